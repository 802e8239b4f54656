"""Oracle diagnostics: measured after a step, and for the record alone."""

from __future__ import annotations

from functools import partial

from rlavr_hpc.telemetry.audit import Audit
from rlavr_hpc.telemetry.reduce import Metrics
from rlavr_hpc.trainer import distributed
from rlavr_hpc.trainer.stages.records import StepRecords
from rlavr_hpc.types import StepKey


def audit_step(audit: Audit | None, records: StepRecords, step_key: StepKey) -> Metrics:
    """The step's `oracle/` metrics; none without an audit. All ranks call this together."""
    if audit is None:
        return {}
    purchase, by_label = records.purchase, None
    if purchase.spend.pending is not None:
        by_label = {prompt: records.grades[prompt].correct for prompt in purchase.labels}
    return distributed.on_main(
        partial(
            audit.measure,
            records.drawn,
            step_key,
            selection=purchase.selection,
            quota=purchase.spend.quota,
            by_label=by_label,
        )
    )
