"""Config group `task`: what an answer is, when two are equal, and what a response earns."""

from __future__ import annotations

from dataclasses import dataclass

from rlavr_hpc.config.plugin import PluginConfig
from rlavr_hpc.errors import UserError

AUTO = "auto"
BUILT_IN = ("math", "choice", "knights")
"""Tasks whose rules are the config's group `grading`; they have no settings of their own."""


@dataclass(slots=True, kw_only=True)
class TaskConfig(PluginConfig):
    """What an answer is, when two are equal in the vote, and what a response earns."""

    name: str = AUTO
    """Registered name of the task of all prompts; `auto` = each row's `data_source` says it, or
    `data.task`."""
    target: str = ""
    """Import path of the task's class, `package.module:Class`; not part of the run's identity."""

    def __post_init__(self) -> None:
        """Check the fields against each other."""
        if self.name == AUTO and self.target:
            raise UserError(
                f"task.target={self.target} has no name of its own: give it one with task.name=NAME"
            )
        if self.name != AUTO and not self.target:
            raise UserError(
                f"task.target is missing: task.name={self.name} needs the class that it names, "
                "task.target=package.module:Class"
            )
        if self.settings and (self.name == AUTO or self.name in BUILT_IN):
            raise UserError(
                f"task.settings.{min(self.settings)} has no effect with task={self.name}, which "
                "has no settings; see the keys of grading"
            )

    @property
    def named(self) -> str | None:
        """Its name; None = rows say theirs."""
        return None if self.name == AUTO else self.name

    def check_beside(self, data_task: str | None) -> None:
        """Raise UserError where `data.task` names another one."""
        if self.named and data_task not in (None, self.name):
            raise UserError(
                f"task={self.name} and data.task={data_task} contradict each other; leave one of "
                "them out"
            )
