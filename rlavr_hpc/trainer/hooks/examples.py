"""Examples of a step's responses, on record every so many steps."""

from __future__ import annotations

from functools import partial

from rlavr_hpc.config.tracking import TrackingConfig
from rlavr_hpc.telemetry.examples.record import choose_examples, is_due
from rlavr_hpc.trainer import distributed
from rlavr_hpc.trainer.hooks.mirror import mirror_examples
from rlavr_hpc.trainer.hooks.record import Recorder
from rlavr_hpc.trainer.stages.records import StepRecords
from rlavr_hpc.types import StepKey


def record_examples(
    recorder: Recorder | None,
    records: StepRecords,
    step_key: StepKey,
    *,
    tracking: TrackingConfig,
    attempt: int,
) -> None:
    """Write the step's examples if they are due; before its row, which then always has them."""
    if is_due(step_key.step, every=tracking.examples_every):
        distributed.on_main(
            partial(
                _write,
                recorder,
                records,
                step_key,
                prompts=tracking.examples_prompts,
                attempt=attempt,
            )
        )


def _write(
    recorder: Recorder | None,
    records: StepRecords,
    step_key: StepKey,
    *,
    prompts: int,
    attempt: int,
) -> None:
    assert recorder is not None
    examples = choose_examples(
        records.training_groups,
        records.purchase.labels,
        step_key=step_key,
        attempt=attempt,
        prompts=prompts,
    )
    recorder.examples.write(examples)
    mirror_examples(recorder.mirror, examples)
