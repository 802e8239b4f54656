"""A row's options: how they stand below its prompt, and which letter a label means."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
    """As the row names them, "" where it does not; `letters` is what the prompt shows."""
    places: tuple[int, ...]
    """Where they stand in the row, from 0; options that are empty there are left out here."""
    kept_letters: bool = False
    """Whether the prompt shows them already, behind the row's own letters."""

    @property
    def letters(self) -> str:
        """A, B, ... as the prompt shows them."""
        return self.own_letters if self.kept_letters else ascii_uppercase[: len(self.texts)]

    @property
    def own_letters(self) -> str:
        """The row's: its names where these are letters, else those of the places."""
        named = "".join(self.names).upper()
        if all(len(name) == 1 for name in self.names) and set(named) <= set(ascii_uppercase):
            return named
        return "".join(ascii_uppercase[place : place + 1] or " " for place in self.places)

    def letter(self, name: str) -> str:
        """The letter of the option that the row calls so; "" = there is none."""
        if name and name in self.names:
            return self.letters[self.names.index(name)]
        place = self.own_letters.find(name.upper()) if len(name) == 1 else -1
        return self.letters[place] if place >= 0 else ""

    def letter_at(self, place: int) -> str:
        """The letter of the option at a place of the row; "" = there is none."""
        return self.letters[self.places.index(place)] if place in self.places else ""

    def rendered(self) -> str:
        """A line per option."""
        return "\n".join(
            f"{letter}. {text}" for letter, text in zip(self.letters, self.texts, strict=True)
        )

    def stand_in(self, prompt: str) -> bool:
        """Whether the prompt shows every option behind its letter already."""
        flat = " ".join(prompt.split())
        return _stand_in(flat, self.letters, self.texts)

    def as_in(self, prompt: str) -> Options:
        """The same, behind the row's own letters where the prompt shows them so."""
        if self.letters == self.own_letters:
            return self
        flat = " ".join(prompt.split())
        return replace(self, kept_letters=_stand_in(flat, self.own_letters, self.texts))


def _stand_in(flat: str, letters: str, texts: Sequence[str]) -> bool:
    return all(
        re.search(rf"(?<![A-Za-z]){letter}\W{{1,4}}{re.escape(' '.join(text.split()))}", flat)
        for letter, text in zip(letters, texts, strict=True)
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
    there = [(place, name, text) for place, (name, text) in enumerate(pairs) if text]
    if not there:
        return None
    if len(there) > len(ascii_uppercase):
        raise ValueError(f"{len(there)} options are more than there are letters")
    places, names, texts = zip(*there, strict=True)
    options = Options(texts=tuple(texts), names=tuple(names), places=tuple(places))
    return _without_own_letters(options)


def _without_own_letters(options: Options) -> Options:
    """Options that bring their letters, `B) 21`, without them, and named by them."""
    found = [OWN_LETTER.fullmatch(text) for text in options.texts]
    own = [match for match in found if match]
    letters = "".join(match[1] for match in own)
    whole = "".join(sorted(letters)) == ascii_uppercase[: len(options.texts)]
    if len(own) < len(options.texts) or not (whole or letters == options.own_letters):
        return options
    texts = tuple(match[2].strip() for match in own)
    return replace(options, texts=texts, names=tuple(letters))


def _pairs(value: object) -> list[tuple[str, str]]:
    """(name, text) of each option; the text of one that the row leaves empty is ""."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, Mapping):
        texts = next((value[key] for key in TEXT_KEYS if _is_list(value.get(key))), None)
        if texts is not None:
            names = next((value[key] for key in NAME_KEYS if _is_list(value.get(key))), ())
            return _named([_text(text) for text in texts], [_text(name) for name in names])
        named = {str(name): _text(text) for name, text in value.items()}
        single = all(len(name) == 1 for name in named)
        return [(name, named[name]) for name in (sorted(named) if single else named)]
    if not _is_list(value):
        raise ValueError(f"options are a list or letter -> text, not {str(value)[:40]!r}")
    assert isinstance(value, list | tuple)
    if all(isinstance(one, Mapping) for one in value):
        texts = [_text(_first(one, TEXT_KEYS)) for one in value]
        return _named(texts, [_text(_first(one, NAME_KEYS)) for one in value])
    return _named([_text(one) for one in value], ())


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
    if label in options.names or label in ascii_uppercase:
        named = options.letter(label)
        if named:
            return named
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
        return options.letter(match[1])
    parts = [part for part in re.split(r"[,;/&\s]+|\band\b", label) if part]
    marked = [m[1] for part in parts if (m := MARKED.fullmatch(part))]
    if len(marked) == len(parts) and set(marked) <= set(options.own_letters):
        return ", ".join(map(options.letter, marked))
    if set(label) <= set(options.own_letters) and len(set(label)) == len(label):
        return ", ".join(map(options.letter, label))  # ACD
    own = OWN_LETTER.fullmatch(label)
    named = options.letter(own[1]) if own else ""
    return named if own and named and _by_text(own[2], options) == named else ""
