"""What islanders say about each other: the statements, their truth, their wording, the solver.

People are numbered from 0. An assignment gives everyone a role: row i is True when person i is a
knight. It has the shape (people,), or (people, worlds) for many assignments at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

Truth = npt.NDArray[np.bool_]


class Connective(StrEnum):
    """How a statement joins two others."""

    AND = "and"
    OR = "or"
    IF = "if"
    IFF = "iff"


HOLDS: dict[Connective, Callable[[Truth, Truth], Any]] = {
    Connective.AND: np.logical_and,
    Connective.OR: np.logical_or,
    Connective.IF: np.less_equal,  # false only when the condition is true and the rest is not
    Connective.IFF: np.equal,
}
WORDING = {
    Connective.AND: "{} and {}",
    Connective.OR: "{} or {}",
    Connective.IF: "if {} then {}",
    Connective.IFF: "{} if and only if {}",
}
PART_WORDING = {Connective.AND: "both {} and {}", Connective.OR: "either {} or {}"}
"""Inside another statement: the first word says where the part begins, so nothing is ambiguous."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Is:
    """Someone is a knight, or a knave."""

    person: int
    knight: bool

    def holds(self, assignment: Truth) -> Truth:
        """Whether the statement is true, per world of the assignment."""
        truth: Truth = assignment[self.person] == self.knight
        return truth


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """The opposite of another statement."""

    part: Statement

    def holds(self, assignment: Truth) -> Truth:
        """Whether the statement is true, per world of the assignment."""
        return np.logical_not(self.part.holds(assignment))


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Two statements joined by a connective."""

    connective: Connective
    left: Statement
    """With `IF`, the condition."""
    right: Statement

    def holds(self, assignment: Truth) -> Truth:
        """Whether the statement is true, per world of the assignment."""
        join = HOLDS[self.connective]
        truth: Truth = join(self.left.holds(assignment), self.right.holds(assignment))
        return truth


Statement = Is | Not | Joined


def say(statement: Statement, names: Sequence[str]) -> str:
    """The statement in words, without a capital first letter of its own.

    Raises:
        KeyError: an `IF` or `IFF` stands inside another statement, which has no clear wording.
    """
    match statement:
        case Is(person=person, knight=knight):
            return f"{names[person]} is a {role(knight)}"
        case Not(part=Is(person=person, knight=knight)):
            return f"{names[person]} is not a {role(knight)}"
        case Not(part=part):
            return f"it is not true that {_say_part(part, names)}"
        case Joined(connective=connective, left=left, right=right):
            return WORDING[connective].format(_say_part(left, names), _say_part(right, names))


def _say_part(statement: Statement, names: Sequence[str]) -> str:
    if not isinstance(statement, Joined):
        return say(statement, names)
    left, right = _say_part(statement.left, names), _say_part(statement.right, names)
    return PART_WORDING[statement.connective].format(left, right)


def role(knight: bool) -> str:
    """The word for a role."""
    return "knight" if knight else "knave"


def solutions(statements: Sequence[Statement]) -> list[tuple[bool, ...]]:
    """Every assignment in which exactly the knights' statements are true.

    Args:
        statements: one a person, in the order of the people.
    """
    worlds = all_worlds(len(statements))
    possible = np.ones(worlds.shape[1], dtype=np.bool_)
    for person, statement in enumerate(statements):
        possible &= statement.holds(worlds) == worlds[person]
    return [tuple(world) for world in worlds[:, possible].T.tolist()]


@cache
def all_worlds(people: int) -> Truth:
    """Every assignment, shape (people, 2**people)."""
    worlds: Truth = np.indices((2,) * people, dtype=np.int8).reshape(people, -1).astype(np.bool_)
    return worlds
