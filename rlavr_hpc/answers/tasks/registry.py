"""The tasks by their names."""

from __future__ import annotations

from collections.abc import Mapping

from rlavr_hpc.answers.tasks.choice import ChoiceTask
from rlavr_hpc.answers.tasks.knights import KnightsTask
from rlavr_hpc.answers.tasks.math import MathTask
from rlavr_hpc.answers.tasks.own import ClassTask
from rlavr_hpc.answers.tasks.protocol import Task, TaskRules
from rlavr_hpc.config.grading import Extract, Thoughts
from rlavr_hpc.config.task import AUTO, BUILT_IN, TaskConfig
from rlavr_hpc.errors import UserError
from rlavr_hpc.plugins import load_plugin

TEXT_TASK = TaskConfig(name="text", target="rlavr_hpc.answers.tasks.text:TextTask")
TASKS = (*BUILT_IN, TEXT_TASK.name)
"""What comes with the program."""


def class_tasks(config: TaskConfig | None) -> tuple[TaskConfig, ...]:
    """The tasks of a run that a class of their own decides: `text`, and what the config names."""
    if config is None or config.name in (AUTO, *BUILT_IN):
        return (TEXT_TASK,)
    return (config,) if config.name == TEXT_TASK.name else (TEXT_TASK, config)


def make_tasks(
    where: Extract, thoughts: Thoughts = Thoughts.skip, *, config: TaskConfig | None = None
) -> Mapping[str, TaskRules]:
    """All tasks by their names.

    Args:
        where: where a math answer may stand.
        thoughts: whether it may stand in a thought.
        config: the run's own task; None = there is none.

    Raises:
        UserError: there is no such class, it is no `Task`, or refuses a setting.
    """
    own = {
        one.name: ClassTask(name=one.name, no_answer=load_task(one).no_answer)
        for one in class_tasks(config)
    }
    return {
        "math": MathTask(where=where, thoughts=thoughts),
        "choice": ChoiceTask(thoughts=thoughts),
        "knights": KnightsTask(thoughts=thoughts),
        **own,
    }


def load_task(config: TaskConfig) -> Task:
    """The class of a task, with its settings.

    Raises:
        UserError: there is no such class, it is no `Task`, or refuses a setting.
    """
    task = load_plugin(config.target, config.settings, where="task")
    if not isinstance(task, Task):
        raise UserError(
            f"task.target={config.target!r} is not derived from {Task.__module__}.{Task.__name__}"
        )
    return task


def check_task(name: str, config: TaskConfig | None = None) -> None:
    """Raise UserError unless there is a task of that name."""
    known = {*TASKS, *(own.name for own in class_tasks(config))}
    if name not in known:
        raise UserError(f"data.task={name!r} is not one of {', '.join(sorted(known))}")
