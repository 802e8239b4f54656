"""Reads and checks the inputs that a config names, before anything slow is imported or loaded."""

from __future__ import annotations

from rlavr_hpc.answers.tasks.registry import check_task
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.data.load_split import Split, load_split
from rlavr_hpc.errors import UserError
from rlavr_hpc.trainer.model_folder.folder import check_model


def load_inputs(config: RunConfig) -> Split:
    """Read the data; check that it and the model's folder hold what the run needs.

    Raises:
        UserError: no whole model's folder, no file, no rows, an unknown task, or no labels although
            the acquisition policy buys some.
    """
    check_model(config.model)
    split = load_split(config.data)
    for question in (*split.train.questions[:1], *split.held_out.questions[:1]):
        check_task(question.task)
    if config.quota and not split.train.answers:
        raise UserError(
            f"acquisition={config.acquisition.name} buys labels, but no row of "
            f"{config.data.path} has one; add answers to the data, or use acquisition=none"
        )
    return split
