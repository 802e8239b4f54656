"""What graders can read: forms of a response, and labels that are an answer for their task.

A form is tried, not looked up: each task is given a response in it, and the form is read where the
task finds the answer. So this holds for whatever the tasks read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache

from rlavr_hpc.answers.knights import puzzle_names, read_roles
from rlavr_hpc.answers.tasks.protocol import TaskRules
from rlavr_hpc.answers.tasks.registry import make_tasks
from rlavr_hpc.config.grading import Extract
from rlavr_hpc.errors import RlavrError

SAMPLE = "First one thing, then another.\n\n{}"
WRITTEN = {
    "boxed": "So it is \\boxed{%s}.",
    "line": "Answer: %s",
    "block": "<answer>%s</answer>",
    "hashes": "#### %s",
    "stated": "So the final answer is %s.",
}
"""A response in each form; the names are those of `data.asked_form.AskedForm`."""
ANSWERS = {"math": "42", "choice": "B"}
PUZZLE = "You meet 2 inhabitants: Ann, and Bob. Ann says that Bob is a knave."
ROLES = "(1) Ann is a knight\n(2) Bob is a knave"
COMMAND = re.compile(r"\\[A-Za-z]+")
WORD = re.compile(r"[^\W\d_]{2,}")
MAX_WORDS = 6
"""A mathematical answer with more words is a sentence."""
MAX_CHARS = 1000
"""A longer label is none: no response can give it."""
CHOICE = re.compile(r"[A-Z](?:, ?[A-Z])*|[A-J]{2,6}")
"""One letter, or several."""


@cache
def _tasks(extract: Extract) -> Mapping[str, TaskRules]:
    return make_tasks(extract)


@cache
def forms_read(task: str, extract: Extract) -> frozenset[str]:
    """The forms in which the task's grader finds an answer.

    Returns:
        Names of `WRITTEN`; all of them for a task of the user's own, of which nothing is known.
    """
    if task not in JUDGES:
        return frozenset(WRITTEN)
    rules = _tasks(extract)[task]
    answer = ROLES if task == "knights" else ANSWERS[task]
    found = set()
    for form, written in WRITTEN.items():
        read = rules.extract(SAMPLE.format(written % answer), PUZZLE)
        if read is not None and (task == "knights" or answer in read):
            found.add(form)
    return frozenset(found)


def choices_that_read(task: str, form: str) -> list[Extract]:
    """Values of `grading.extract` with which the task reads this form."""
    return [extract for extract in Extract if form in forms_read(task, extract)]


def is_answer(task: str, label: str, question: str) -> bool:
    """Whether a label is an answer that a response to its task can give.

    Args:
        task: of the row; labels of a user's own task are all taken for answers.
        label: as the data set has it, accepted answers in one text.
        question: the prompt's text, which names a puzzle's people.
    """
    judge = JUDGES.get(task)
    if judge is None:
        return True
    try:
        accepted = _tasks(Extract.boxed)[task].accepted(label, question)
    except (RlavrError, ValueError):
        return False
    return any(judge(answer, question) for answer in accepted)


def _is_math(answer: str, question: str) -> bool:
    words = WORD.findall(COMMAND.sub(" ", answer[: MAX_CHARS + 1]))
    return bool(answer.strip()) and len(answer) <= MAX_CHARS and len(words) <= MAX_WORDS


def _is_choice(answer: str, question: str) -> bool:
    return CHOICE.fullmatch(answer.strip()) is not None


def _is_knights(answer: str, question: str) -> bool:
    return read_roles(answer, puzzle_names(question)) is not None


JUDGES: Mapping[str, Callable[[str, str], bool]] = {
    "math": _is_math,
    "choice": _is_choice,
    "knights": _is_knights,
}
"""Task -> whether an accepted answer, beside its question, is one of the task's."""
