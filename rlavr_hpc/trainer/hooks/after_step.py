"""What is said of a finished step besides its own metrics, before its row is written."""

from __future__ import annotations

from rlavr_hpc.telemetry.reduce import Metrics
from rlavr_hpc.trainer.components import Components
from rlavr_hpc.trainer.hooks.audit import audit_step
from rlavr_hpc.trainer.hooks.examples import record_examples
from rlavr_hpc.trainer.hooks.first_step import check_first_step
from rlavr_hpc.trainer.hooks.record import Recorder
from rlavr_hpc.trainer.hooks.vote_audit import observe_audits
from rlavr_hpc.trainer.stages.records import StepResult
from rlavr_hpc.types import StepKey


def observe_step(
    components: Components,
    result: StepResult,
    step_key: StepKey,
    *,
    recorder: Recorder | None,
    attempt: int,
) -> Metrics:
    """Record examples, look at a first step, and ask audits; the step's metrics with theirs.

    All ranks call this together.
    """
    records, config = result.records, components.config
    record_examples(recorder, records, step_key, tracking=config.tracking, attempt=attempt)
    check_first_step(recorder, records, step_key, metrics=result.metrics, config=config)
    return {
        **result.metrics,
        **observe_audits(components.audits, records.audited, step_key),
        **audit_step(components.audit, records, step_key),
    }
