"""Labels that are numbers: the places of options, or their texts. All rows together decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlavr_hpc.data.choices import NumberLabel


@dataclass(slots=True)
class NumberRow:
    """A row whose label is the number of an option, or several."""

    name: str
    where: str
    count: int
    labels: tuple[NumberLabel, ...]
    letters: tuple[str, ...] = ()
    """What they mean, once it is decided; "" = no option."""
    undecided: tuple[bool, ...] = ()
    """Which of them may as well count from 1."""


def decide(rows: Sequence[NumberRow]) -> None:
    """Read the numbers of all rows in the same way."""
    labels = [label for row in rows for label in row.labels]
    letters = decided(labels)
    doubtful = undecided(labels, letters)
    start = 0
    for row in rows:
        end = start + len(row.labels)
        row.letters, row.undecided = tuple(letters[start:end]), tuple(doubtful[start:end])
        start = end


def decided(labels: Sequence[NumberLabel]) -> list[str]:
    """The letters that a file's number labels mean, all read in the same way; "" = none.

    They are places, counted from 0, or from 1 where none is 0 and one is the last option's; but
    texts where that is what fits: where rows tell places and texts apart, the majority decides,
    else numbers are places and texts are texts.
    """
    first = _first_place(labels)
    places = [one.number - first for one in labels]
    by_place = [one.options.letter_at(place) for one, place in zip(labels, places, strict=True)]
    only_place = sum(bool(p) and not one.by_text for one, p in zip(labels, by_place, strict=True))
    only_text = sum(bool(one.by_text) and not p for one, p in zip(labels, by_place, strict=True))
    texts_first = only_text > only_place
    return [
        _either(one, place, text_first=texts_first or (only_text == only_place and one.is_text))
        for one, place in zip(labels, by_place, strict=True)
    ]


def _first_place(labels: Sequence[NumberLabel]) -> int:
    above = all(one.number >= 1 for one in labels)
    return 1 if above and any(map(_is_past_last, labels)) else 0


def _is_past_last(label: NumberLabel) -> bool:
    return label.number == label.options.places[-1] + 1


def undecided(labels: Sequence[NumberLabel], letters: Sequence[str]) -> list[bool]:
    """Which labels are places of which nothing in the file says whether they count from 0 or 1.

    Args:
        labels: the file's.
        letters: what `decided` made of them.
    """
    if any(one.number == 0 or _is_past_last(one) for one in labels):
        return [False] * len(labels)
    return [
        bool(letter) and letter != one.by_text for one, letter in zip(labels, letters, strict=True)
    ]


def _either(label: NumberLabel, place: str, *, text_first: bool) -> str:
    return (label.by_text or place) if text_first else (place or label.by_text)
