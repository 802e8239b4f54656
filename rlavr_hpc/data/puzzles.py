"""Knights-and-knaves puzzles from a seed, each with exactly one solution.

A puzzle's *structure* is who says what, whatever the names and the words around it. No structure
comes twice in a data set. Its hash alone decides whether it may be trained on or is kept for
evaluation, so the two never meet, whatever the seeds and counts, and neither depends on the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count as count_up

import numpy as np

from rlavr_hpc.data.dataset import Dataset
from rlavr_hpc.data.statements import (
    PART_WORDING,
    Connective,
    Is,
    Joined,
    Not,
    Statement,
    role,
    say,
    solutions,
)
from rlavr_hpc.errors import UserError
from rlavr_hpc.types import Message, Question

NAMES = (
    "Ada",
    "Amir",
    "Boris",
    "Clara",
    "Diego",
    "Dmitri",
    "Edith",
    "Elena",
    "Farah",
    "Felix",
    "Greta",
    "Hugo",
    "Ines",
    "Jonas",
    "Karim",
    "Kofi",
    "Lena",
    "Milan",
    "Nadia",
    "Oskar",
    "Petra",
    "Quentin",
    "Rosa",
    "Samir",
    "Tessa",
    "Ursula",
    "Viktor",
    "Wanda",
    "Xavier",
    "Yusuf",
    "Zelda",
    "Zoran",
)
SAYING = (
    '{name} says: "{claim}."',
    '{name} tells you, "{claim}."',
    '{name} insists: "{claim}."',
    '"{claim}," answers {name}.',
    'You ask {name}, whose reply is: "{claim}."',
)
PUZZLE = (
    "Everyone on this island is either a knight, who says only what is true, or a knave, who says "
    "only what is false. You meet {count} inhabitants: {names}. {sayings} Who is a knight, and who "
    "is a knave?"
)
INSTRUCTION = (
    'Here "or" includes that both are true, and "if ... then ..." is false only when its first '
    "part is true and its second is not. Think it through between <think> and </think>. Then give "
    "everyone's role between <answer> and </answer>, one numbered line a person in the order in "
    "which you met them, like this:\n<answer>\n(1) NAME is a knight\n(2) NAME is a knave\n</answer>"
)

ANY = tuple(Connective)
INNER = tuple(PART_WORDING)
"""Connectives that a part of a statement may have."""
SIZES = (1, 2, 2, 2, 3)
"""How many people a statement is about: drawn uniformly, at most as many as there are."""
NEGATED = 0.25
"""Chance that a claim about one person is negated, and that an and/or of two claims is."""
HELD_OUT_EVERY = 4
"""One structure in so many is kept for evaluation."""
TRIES = 400
"""Structures drawn for a puzzle before the generator believes that there is no further one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Puzzle:
    """One puzzle and its solution."""

    names: tuple[str, ...]
    statements: tuple[Statement, ...]
    """Each person's, in the order of `names`."""
    knights: tuple[bool, ...]
    """The one solution."""
    text: str
    """The puzzle without the instruction how to answer."""

    @property
    def id(self) -> str:
        """Depends on the puzzle alone."""
        return f"kk{len(self.names)}-{hashlib.sha256(self.text.encode()).hexdigest()[:12]}"

    @property
    def label(self) -> str:
        """The solution as an answer should state it."""
        people = enumerate(zip(self.names, self.knights, strict=True), start=1)
        return "\n".join(f"({i}) {name} is a {role(knight)}" for i, (name, knight) in people)

    @property
    def question(self) -> Question:
        """What the model is asked."""
        text = f"{self.text}\n\n{INSTRUCTION}"
        message = Message(role="user", content=text)
        return Question(id=self.id, messages=(message,), text=text, task="knights")


def make_dataset(people: Sequence[int], *, count: int, seed: int, held_out: bool) -> Dataset:
    """Generate a data set; a smaller `count` gives a prefix of it.

    Args:
        people: sizes of the puzzles, which take turns; a size that stands twice comes twice.
        count: number of puzzles.
        seed: of the data set.
        held_out: from the structures kept for evaluation, else from the others.

    Raises:
        UserError: there are not so many different puzzles.
    """
    streams = {size: stream(size, seed=seed, held_out=held_out) for size in people}
    puzzles: list[Puzzle] = []
    for index in range(count):
        size = people[index % len(people)]
        puzzle = next(streams[size], None)
        if puzzle is None:
            made = sum(len(p.names) == size for p in puzzles)
            raise UserError(
                f"data.{'eval_count' if held_out else 'count'}={count} is more than there are: "
                f"only {made} different puzzles of {size} people were found; ask for fewer, or "
                f"for more people with data.{'eval_people' if held_out else 'people'}"
            )
        puzzles.append(puzzle)
    return Dataset(
        questions=tuple(p.question for p in puzzles), answers={p.id: p.label for p in puzzles}
    )


def stream(people: int, *, seed: int, held_out: bool) -> Iterator[Puzzle]:
    """Different puzzles of one size, until `TRIES` draws in a row bring no new one."""
    seen: set[str] = set()
    for index in count_up():
        place = np.random.SeedSequence([seed, people, index, int(held_out)])
        rng = np.random.default_rng(place)
        for _ in range(TRIES):
            statements = tuple(draw_statement(rng, speaker, people) for speaker in range(people))
            structure = _structure(statements)
            if structure in seen or _is_held_out(structure) is not held_out:
                continue
            found = solutions(statements)
            if len(found) == 1:
                seen.add(structure)
                yield _tell(rng, statements, found[0])
                break
        else:
            return


def draw_statement(rng: np.random.Generator, speaker: int, people: int) -> Statement:
    """A statement that mentions somebody besides the speaker.

    It mentions nobody twice, so it is true in some worlds and false in others, and everyone it
    mentions can matter.
    """
    size = min(SIZES[int(rng.integers(len(SIZES)))], people)
    mentioned = rng.permutation(people).tolist()
    if size == 1:
        mentioned.remove(speaker)
        return _draw_claim(rng, mentioned[0])
    claims = [_draw_claim(rng, person) for person in mentioned[:size]]
    connective = _draw_connective(rng, ANY)
    if size == 2:
        pair = Joined(connective=connective, left=claims[0], right=claims[1])
        negated = connective in INNER and rng.random() < NEGATED
        return Not(part=pair) if negated else pair
    inner = _draw_connective(rng, INNER)
    pair = Joined(connective=inner, left=claims[0], right=claims[1])
    if rng.integers(2):
        return Joined(connective=connective, left=pair, right=claims[2])
    return Joined(connective=connective, left=claims[2], right=pair)


def _draw_connective(rng: np.random.Generator, choice: Sequence[Connective]) -> Connective:
    return choice[int(rng.integers(len(choice)))]


def _draw_claim(rng: np.random.Generator, person: int) -> Statement:
    claim = Is(person=person, knight=bool(rng.integers(2)))
    return Not(part=claim) if rng.random() < NEGATED else claim


def _structure(statements: Sequence[Statement]) -> str:
    numbers = [str(person) for person in range(len(statements))]
    return "\n".join(say(statement, numbers) for statement in statements)


def _is_held_out(structure: str) -> bool:
    return hashlib.sha256(structure.encode()).digest()[0] % HELD_OUT_EVERY == 0


def _tell(
    rng: np.random.Generator, statements: tuple[Statement, ...], knights: tuple[bool, ...]
) -> Puzzle:
    people = len(statements)
    names = tuple(NAMES[i] for i in rng.permutation(len(NAMES))[:people].tolist())
    sayings = []
    for name, statement in zip(names, statements, strict=True):
        claim = say(statement, names)
        manner = SAYING[int(rng.integers(len(SAYING)))]
        sayings.append(manner.format(name=name, claim=claim[0].upper() + claim[1:]))
    comma = "," if people > 2 else ""
    listed = f"{', '.join(names[:-1])}{comma} and {names[-1]}"
    text = PUZZLE.format(count=people, names=listed, sayings=" ".join(sayings))
    return Puzzle(names=names, statements=statements, knights=knights, text=text)
