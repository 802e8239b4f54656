"""Reads and checks the inputs that a config names, before anything slow is imported or loaded."""

from __future__ import annotations

from pathlib import Path

from rlavr_hpc.answers.tasks.registry import check_task, make_tasks
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.data.load_split import Split, load_split
from rlavr_hpc.errors import UserError


def load_inputs(config: RunConfig) -> Split:
    """Read the data; check that it and the model's folder hold what the run needs.

    Raises:
        UserError: no model folder, no file, no rows, an unknown task or one whose class cannot be
            used, a label that its task cannot take, or no labels although the acquisition policy
            buys some.
    """
    _check_model(config)
    tasks = make_tasks(config.grading.extract, config.task)  # its class is looked at before data
    split = load_split(config.data, task=config.task_name)
    for data in (split.train, split.held_out):
        for question in data.questions:
            if question.task not in tasks:
                check_task(question.task, config.task)
            if question.id in data.answers and question.task == config.task.named:
                tasks[question.task].accepted(data.answers[question.id], question.text)
    if config.quota and not split.train.answers:
        raise UserError(
            f"acquisition={config.acquisition.name} buys labels, but no row of "
            f"{config.data.path} has one; add answers to the data, or use acquisition=none"
        )
    return split


def _check_model(config: RunConfig) -> None:
    given = config.model.path
    if given is None or Path(given).expanduser().is_dir():
        return
    if given.startswith((".", "/", "~")) or given.count("/") > 1:  # else it is a hub name
        raise UserError(f"model.path={given} does not exist")
