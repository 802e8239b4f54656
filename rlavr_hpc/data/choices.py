"""A row's options: how they stand below its prompt, and which letter a label means."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from string import ascii_uppercase

from rlavr_hpc.data.columns import unwritten
from rlavr_hpc.labels.text import answer_text

TEXT_KEYS = ("text", "content", "value", "option", "choice")
NAME_KEYS = ("label", "key", "letter", "id", "name")
OWN_LETTER = re.compile(r"\s*[(\[]?([A-Z])[)\].:]\s*(.*)", re.DOTALL)
"""An option that brings its letter: `B) 21`."""
MARKED = re.compile(r"[(\[]?([A-Za-z])[)\].:]*")
"""A label that is a letter, with or without its marks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a row offers to choose from."""

    texts: tuple[str, ...]
    names: tuple[str, ...]
    """As the row names them; `letters` is what the prompt shows."""

    @property
    def letters(self) -> str:
        """A, B, ..."""
        return ascii_uppercase[: len(self.texts)]

    def rendered(self) -> str:
        """A line per option."""
        return "\n".join(
            f"{letter}. {text}" for letter, text in zip(self.letters, self.texts, strict=True)
        )

    def stand_in(self, prompt: str) -> bool:
        """Whether the prompt shows every option behind its letter already."""
        flat = " ".join(prompt.split())
        return all(
            re.search(rf"(?<![A-Za-z]){letter}\W{{1,4}}{re.escape(' '.join(text.split()))}", flat)
            for letter, text in zip(self.letters, self.texts, strict=True)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberLabel:
    """A label that is a number, which may be the place of an option or its text."""

    options: Options
    number: int
    by_text: str
    """The letter of the option that reads so; "" = none does."""
    is_text: bool
    """Whether the file has it as text."""


def read_options(value: object) -> Options | None:
    """The options in a column's value; None where it holds none.

    A list of texts; letter -> text; `{"text": [...], "label": [...]}`; a list of such pairs; or any
    of these written as text.

    Raises:
        ValueError: it is something else, or more than there are letters.
    """
    value = unwritten(value)
    if value is None or value == "":
        return None
    pairs = _pairs(value)
    if not pairs:
        return None
    if len(pairs) > len(ascii_uppercase):
        raise ValueError(f"{len(pairs)} options are more than there are letters")
    names, texts = zip(*pairs, strict=True)
    found = [OWN_LETTER.fullmatch(text) for text in texts]
    own = [match for match in found if match]
    if len(own) == len(texts) and "".join(m[1] for m in own) == ascii_uppercase[: len(own)]:
        texts = tuple(match[2].strip() for match in own)
    return Options(texts=tuple(texts), names=tuple(names))


def _pairs(value: object) -> list[tuple[str, str]]:
    """(name, text) of each option."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, Mapping):
        texts = next((value[key] for key in TEXT_KEYS if _is_list(value.get(key))), None)
        if texts is not None:
            names = next((value[key] for key in NAME_KEYS if _is_list(value.get(key))), ())
            return _named([_text(text) for text in texts], [_text(name) for name in names])
        named = {str(name): _text(text) for name, text in value.items() if text is not None}
        single = all(len(name) == 1 for name in named)
        return [(n, named[n]) for n in (sorted(named) if single else named) if named[n]]
    if not _is_list(value):
        raise ValueError(f"options are a list or letter -> text, not {str(value)[:40]!r}")
    assert isinstance(value, list | tuple)
    if all(isinstance(one, Mapping) for one in value):
        texts = [_text(_first(one, TEXT_KEYS)) for one in value]
        return _named(texts, [_text(_first(one, NAME_KEYS)) for one in value])
    return _named([_text(one) for one in value if one is not None], ())


def _named(texts: Sequence[str], names: Sequence[str]) -> list[tuple[str, str]]:
    named = list(names) if len(names) == len(texts) and all(names) else [""] * len(texts)
    return list(zip(named, texts, strict=True))


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


def _first(one: Mapping[str, object], keys: Sequence[str]) -> object:
    return next((one[key] for key in keys if one.get(key) is not None), None)


def _text(value: object) -> str:
    return answer_text(value)


def letter_of(label: str, options: Options, *, is_text: bool) -> str | NumberLabel:
    """The letter that a label means, or a number that the whole file decides on; "" = none.

    Args:
        label: not empty.
        options: the row's.
        is_text: whether the file has the label as text.
    """
    if set(label) <= set(options.letters) and len(label) == 1:
        return label
    if label in options.names:
        return options.letters[options.names.index(label)]
    by_text = _by_text(label, options)
    if re.fullmatch(r"-?\d{1,3}", label):
        return NumberLabel(options=options, number=int(label), by_text=by_text, is_text=is_text)
    return by_text or _by_letter(label, options)


def _by_text(label: str, options: Options) -> str:
    """The letter of the one option that reads like the label."""
    for key in (_exact, _folded, _number):
        wanted = key(label)
        hits = [
            letter
            for letter, text in zip(options.letters, options.texts, strict=True)
            if wanted is not None and key(text) == wanted
        ]
        if hits:
            return hits[0] if len(hits) == 1 else ""
    return ""


def _exact(text: str) -> str:
    return text.strip()


def _folded(text: str) -> str:
    return " ".join(text.split()).strip("$.").casefold()


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text.strip().strip("$").replace(",", ""))
    except InvalidOperation:
        return None


def _by_letter(label: str, options: Options) -> str:
    """A letter in marks, `(B)`; several, `A, C`; or one with its option behind it, `B. 20`."""
    match = MARKED.fullmatch(label)
    if match:
        return match[1].upper() if match[1].upper() in options.letters else ""
    parts = [part for part in re.split(r"[,;/&\s]+|\band\b", label) if part]
    letters = [m[1] for part in parts if (m := MARKED.fullmatch(part))]
    if len(letters) == len(parts) and all(one in options.letters for one in letters):
        return ", ".join(letters)
    if set(label) <= set(options.letters) and len(set(label)) == len(label):
        return ", ".join(label)  # ACD
    own = OWN_LETTER.fullmatch(label)
    if own and own[1] in options.letters:
        return own[1] if _by_text(own[2], options) == own[1] else ""
    return ""


def decided(labels: Sequence[NumberLabel]) -> list[str]:
    """The letters that a file's number labels mean, all read in the same way; "" = none.

    They are places, counted from 0, or from 1 where none is 0 and one is the last option's; but
    texts where that is what fits: where rows tell places and texts apart, the majority decides,
    else numbers are places and texts are texts.
    """
    first = _first_place(labels)
    places = [one.number - first for one in labels]
    by_place = [
        one.options.letters[place] if 0 <= place < len(one.options.texts) else ""
        for one, place in zip(labels, places, strict=True)
    ]
    only_place = sum(bool(p) and not one.by_text for one, p in zip(labels, by_place, strict=True))
    only_text = sum(bool(one.by_text) and not p for one, p in zip(labels, by_place, strict=True))
    texts_first = only_text > only_place
    return [
        _either(one, place, text_first=texts_first or (only_text == only_place and one.is_text))
        for one, place in zip(labels, by_place, strict=True)
    ]


def _first_place(labels: Sequence[NumberLabel]) -> int:
    numbers = [(one.number, len(one.options.texts)) for one in labels]
    above = all(number >= 1 for number, _ in numbers)
    return 1 if above and any(number == size for number, size in numbers) else 0


def _either(label: NumberLabel, place: str, *, text_first: bool) -> str:
    return (label.by_text or place) if text_first else (place or label.by_text)
