"""The tasks by their names."""

from __future__ import annotations

from collections.abc import Mapping

from rlavr_hpc.answers.tasks.choice import ChoiceTask
from rlavr_hpc.answers.tasks.knights import KnightsTask
from rlavr_hpc.answers.tasks.math import MathTask
from rlavr_hpc.answers.tasks.protocol import Task
from rlavr_hpc.config.grading import Extract, Thoughts
from rlavr_hpc.errors import UserError

TASKS = ("math", "choice", "knights")


def make_tasks(where: Extract, thoughts: Thoughts = Thoughts.skip) -> Mapping[str, Task]:
    """All tasks; `where` and `thoughts` tell where an answer may stand."""
    return {
        "math": MathTask(where=where, thoughts=thoughts),
        "choice": ChoiceTask(thoughts=thoughts),
        "knights": KnightsTask(),
    }


def check_task(name: str) -> None:
    """Raise UserError unless there is a task of that name."""
    if name not in TASKS:
        raise UserError(f"data.task={name!r} is not one of {', '.join(sorted(TASKS))}")
