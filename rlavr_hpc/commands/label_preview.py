"""What a run's grader reads in an answer that somebody gives as its label."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rlavr_hpc.answers.build_verifier import build_verifier
from rlavr_hpc.answers.equivalence import ParsedAnswer
from rlavr_hpc.answers.knights import puzzle_names, read_roles
from rlavr_hpc.answers.label_words import (
    compares_as_words,
    is_prose,
    read_accepted,
    says_nothing,
)
from rlavr_hpc.answers.readable_forms import is_answer
from rlavr_hpc.answers.verifier import Verifier
from rlavr_hpc.cluster.topology import available_cores
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.errors import RlavrError
from rlavr_hpc.labels.desk.reading import Reading
from rlavr_hpc.labels.orders import Order
from rlavr_hpc.labels.served_run import ServedRun
from rlavr_hpc.labels.text import is_void

LETTERS = re.compile(r"[A-Z](, [A-Z])*")
PROSE = (
    "This is read as words, not as mathematics. Give the value alone, a name of one or two words, "
    "or words in \\text{...}; say that you cannot answer if you do not know."
)
WORD = "(compared word for word, not as mathematics)"


def read_label(verifier: Verifier, task: str, question: str, text: str) -> Reading:
    """What the grader reads in a text as the label of a question.

    To be called in one thread, always the same: graders end with the thread that started them.
    """
    if task not in verifier.tasks:
        return Reading(problem=f"This run knows no task {task!r}.")
    if is_void(text) or says_nothing(task, text):
        return Reading(problem="This stands for no answer; say that you cannot answer instead.")
    if problem := _not_of_task(task, question, text):
        return Reading(problem=problem)
    try:
        read = read_accepted(verifier, task, question, text)
    except RlavrError as error:
        return Reading(problem=str(error))
    return _as_reading(task, text, read)


def _as_reading(task: str, text: str, found: Sequence[ParsedAnswer | None]) -> Reading:
    read = [one for one in found if one is not None]
    if len(read) < len(found) or not read:
        return Reading(problem="The grader finds no answer in this.")
    if any(one.gave_up for one in read):
        return Reading(problem="The grader cannot read this within its limits; write it simpler.")
    if task not in ("math", "choice", "knights"):
        return Reading(shown=text, key=" | ".join(sorted(repr(one.key) for one in read)))
    math = task == "math"
    if math and any(map(is_prose, read)):
        return Reading(problem=PROSE)
    words = math and any(map(compares_as_words, read))
    return Reading(
        shown=" or ".join(one.shown or one.raw[1] for one in read),
        note=WORD if words else "",
        math=math and len(read) == 1 and not words,
        key=" | ".join(sorted(repr(one.key) for one in read)),
    )


def _not_of_task(task: str, question: str, text: str) -> str:
    """Why a text is no answer of its task; "" = it may be one."""
    if task == "knights" and read_roles(text, puzzle_names(question)) is None:
        return "Say of everyone in the puzzle who is a knight and who is a knave."
    if task == "math" and not is_answer(task, text, question):
        return "Give the answer alone, without a sentence around it."
    return ""


@dataclass(slots=True)
class RunGraders:
    """The graders of the runs that a desk serves, each started with the first answer to read."""

    config_of: Callable[[Path], RunConfig]
    _verifiers: dict[Path, Verifier] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def preview(self, run: ServedRun, order: Order, text: str) -> Reading:
        """What the run's own grader reads."""
        with self._lock:
            verifier = self._of(run.run_dir)
        task, question = order.task, order.question
        reading = verifier.beside.submit(read_label, verifier, task, question, text).result()
        if task == "choice" and not reading.problem and not LETTERS.fullmatch(reading.shown):
            return Reading(problem="Name the letter of an option, or several: A, C.")
        return reading

    def close(self) -> None:
        """End them."""
        for verifier in self._verifiers.values():
            verifier.close()

    def _of(self, run_dir: Path) -> Verifier:
        if run_dir not in self._verifiers:
            config = self.config_of(run_dir)
            self._verifiers[run_dir] = build_verifier(
                config.grading, config.task, workers=min(2, available_cores(os.environ))
            )
        return self._verifiers[run_dir]
