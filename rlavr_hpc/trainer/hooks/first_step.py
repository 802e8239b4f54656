"""A look at the responses of step 1: a run that cannot learn says so before it has cost much."""

from __future__ import annotations

import logging

from rlavr_hpc.answers.readable_forms import forms_read
from rlavr_hpc.config.effect_conditions import chooses_task, reads_mathematics
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.config.task import BUILT_IN
from rlavr_hpc.data.asked_form import SHOWN, AskedForm
from rlavr_hpc.telemetry.learning_signal import (
    GradingKeys,
    choose_endings,
    describe_losses,
    losses_of,
    mend,
)
from rlavr_hpc.telemetry.reduce import Metrics, as_row
from rlavr_hpc.trainer.hooks.record import Recorder
from rlavr_hpc.trainer.stages.records import StepRecords
from rlavr_hpc.types import StepKey

PUZZLES = "knights"
"""The task of puzzles that the program makes."""

log = logging.getLogger(__name__)


def grading_keys(config: RunConfig) -> GradingKeys:
    """The settings that decide what can be read of a response."""
    return GradingKeys(
        extract=str(config.grading.extract),
        max_response_tokens=config.rollout.max_response_tokens,
        mathematics=reads_mathematics(config),
        chooses_task=chooses_task(config),
        reads=_forms(config),
    )


def _forms(config: RunConfig) -> tuple[str, ...]:
    """What the task of all prompts reads; empty where rows say theirs, or it is the user's."""
    made = None if chooses_task(config) else PUZZLES
    task = config.task_name or made
    if task not in BUILT_IN:
        return ()
    forms = forms_read(task, config.grading.extract)
    return tuple(SHOWN[form] for form in AskedForm if form in forms)


def check_first_step(
    recorder: Recorder | None,
    records: StepRecords,
    step_key: StepKey,
    *,
    metrics: Metrics,
    config: RunConfig,
) -> None:
    """Say on the console of rank 0 when nothing can be learnt from step 1, and what mends it."""
    if recorder is None or step_key.step != 1:
        return
    losses = losses_of(as_row(metrics))
    if not losses:
        return
    labels = records.purchase.labels
    first = ((group.rollouts[0].text, group.prompt.id in labels) for group in records.drawn)
    endings = choose_endings(first, losses)
    lines = [
        f"WARNING after step 1: {describe_losses(losses)} "
        f"({sum(len(group.rollouts) for group in records.drawn)} responses)",
        *(["  how some of them end:"] if endings else []),
        *(f'    "{ending}"' for ending in endings),
        f"  to change it: {mend(losses, grading_keys(config))}",
    ]
    log.warning("\n%s\n", "\n".join(lines))
