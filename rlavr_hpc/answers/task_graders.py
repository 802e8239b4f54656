"""Who reads and compares the answers of a task that has a class, for `equivalence.Equality`."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from rlavr_hpc.answers.answer_rules import AnswerRules
from rlavr_hpc.answers.equivalence import Equality, ParsedAnswer
from rlavr_hpc.answers.sandbox.pool import GraderPool
from rlavr_hpc.answers.sandbox.process import Limits, Outcome, Request
from rlavr_hpc.answers.sandbox.protocol import FAILED, OWN, OWN_LABEL
from rlavr_hpc.answers.sandbox.task_reader import load_reader
from rlavr_hpc.answers.sandbox.timeouts import RawAnswer
from rlavr_hpc.config.task import TaskConfig

log = logging.getLogger(__name__)

T = TypeVar("T")
MAX_TOLD = 3
"""Errors of a task's class that are told; one line each."""


class _TaskAnswers:
    """What a task's graders say, as `Equality` needs it: the task's class decides everything."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._told: set[str] = set()

    @property
    def rules(self) -> AnswerRules:
        return AnswerRules(
            read_here=_read_label, parsed=self._parsed, outcome=self._outcome, is_exact=is_label
        )

    def _parsed(self, raw: RawAnswer, reply: object) -> ParsedAnswer | None:
        match reply:
            case None:
                return None
            case [str(answer), None] if answer != FAILED:
                return ParsedAnswer(raw=(raw[0], answer), key=answer, shown=answer)
            case [str(answer), str(key)] if answer != FAILED:
                answered = raw[0], answer
                return ParsedAnswer(raw=answered, key=key, shown=answer, comparable=False)
        self._tell(reply)
        return ParsedAnswer(raw=raw, key=("gave up", raw), shown="", comparable=False, gave_up=True)

    def _outcome(self, reply: object) -> float | None:
        if isinstance(reply, bool | float):
            return reply
        self._tell(reply)
        return None

    def _tell(self, reply: object) -> None:
        match reply:
            case [str(kind), str(words)] if kind == FAILED and words not in self._told:
                self._told.add(words)
                if len(self._told) <= MAX_TOLD:
                    log.warning("task=%s: %s: such answers are ungradable", self._name, words)


def _read_label(raw: RawAnswer) -> ParsedAnswer | None:
    return ParsedAnswer(raw=raw, key=raw, shown="") if is_label(raw) else None


def is_label(raw: RawAnswer) -> bool:
    """Whether it is a label of a task with a class: never at fault, and read by the class alone."""
    return raw[0].startswith(f"{OWN_LABEL}:")


def by_task(items: Iterable[T], *, mode: Callable[[T], str]) -> dict[str | None, list[T]]:
    """Answers or pairs by the name of the task whose class reads them; None = mathematics."""
    found: dict[str | None, list[T]] = {}
    for item in items:
        kind, _, name = mode(item).partition(":")
        found.setdefault(name if kind in (OWN, OWN_LABEL) else None, []).append(item)
    return found


class ProgramGraders:
    """Answers at once, in this process; for classes that come with the program."""

    def __init__(self, task: TaskConfig, limits: Limits) -> None:
        """Build the class."""
        self.limits = limits
        self.timed_out = 0
        self.pids: list[int] = []
        self._serve = load_reader(task.target, json.dumps(task.settings))

    def run(self, requests: Sequence[Request]) -> list[Outcome]:
        """Answer every request, in order."""
        outcomes = []
        for request in requests:
            began = time.process_time()
            outcomes.append((self._serve(request), time.process_time() - began))
        return outcomes

    def wait_until_ready(self) -> None:
        """There is nothing to wait for."""

    def close(self) -> None:
        """There is nothing to end."""


def task_equality(task: TaskConfig, *, limits: Limits, workers: int) -> Equality:
    """Reads and compares answers of a task; its graders start with the first answer."""
    own, rules = (task.target, json.dumps(task.settings)), _TaskAnswers(task.name).rules
    if task.comes_with_the_program:
        return Equality(lambda: ProgramGraders(task, limits), rules=rules)
    return Equality(lambda: GraderPool(limits, workers=workers, own=own), rules=rules)
