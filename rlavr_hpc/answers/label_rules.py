"""What the run's grader makes of an answer from outside that is to become a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlavr_hpc.answers.label_words import is_prose, read_accepted, says_nothing
from rlavr_hpc.answers.readable_forms import is_answer
from rlavr_hpc.answers.tasks.protocol import find_answer
from rlavr_hpc.answers.verifier import Verifier
from rlavr_hpc.errors import RlavrError
from rlavr_hpc.labels.orders import Order
from rlavr_hpc.labels.text import is_void
from rlavr_hpc.types import Question

PROSE = "it is prose, not a mathematical answer; set task=text where words are the answers"


def read_reply(text: str, order: Order) -> str | None:
    """The answer in what a judge wrote, where the grader would look for it; None = none."""
    return find_answer(text, order.question)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRules:
    """Judges answers by the tasks that will grade by them."""

    verifier: Verifier

    def fault(self, question: Question, text: str) -> str:
        """Why a text can be no label of the question; "" where it can."""
        task = question.task
        if is_void(text) or says_nothing(task, text):
            return "it says that there is no answer"
        try:
            read = read_accepted(self.verifier, task, question.text, text)
        except (RlavrError, ValueError):
            return f"it is no answer of task {task}"
        if None in read or not read or not is_answer(task, text, question.text):
            return f"it is no answer of task {task}"
        if task == "math" and any(one is not None and is_prose(one) for one in read):
            return PROSE
        return ""

    def clusters(self, question: Question, texts: Sequence[str]) -> Sequence[Sequence[int]]:
        """Indices of equal texts, the larger cluster first."""
        return self.verifier.cluster_texts(question.task, texts)

    def equals(self, question: Question, text: str, label: str) -> bool:
        """Whether an answer says what one of a label's accepted answers says."""
        accepted = self.verifier.tasks[question.task].accepted(label, question.text)
        found = self.verifier.cluster_texts(question.task, [text, *accepted])
        return any(0 in members and len(members) > 1 for members in found)
