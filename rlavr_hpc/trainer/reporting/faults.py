"""A run's faults for summary.json: what happened, and what to try."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.telemetry.collapse.verdict import Fault, FoundFault, describe_fault
from rlavr_hpc.telemetry.learning_signal import SignalLoss, mend
from rlavr_hpc.trainer.hooks.first_step import grading_keys


def fault_record(found: FoundFault, config: RunConfig, *, bought: int) -> dict[str, Any]:
    """For summary.json: the fault, what happened, and what to try."""
    return asdict(found) | {
        "text": describe_fault(found),
        "mend": _mend(found.fault, config, bought=bought),
    }


def _mend(fault: Fault, config: RunConfig, *, bought: int) -> str:
    """What to try; what keeps a whole run from learning is explained apart."""
    if fault is Fault.stopped_ending:
        limit = config.rollout.max_response_tokens
        return (
            f"responses run into rollout.max_response_tokens={limit}: lower algorithm.lr, or pay "
            "for the end with algorithm=dapo (its length penalty)"
        )
    if fault is Fault.graded_nothing:
        return mend((SignalLoss.unparsable,), grading_keys(config))
    if fault is Fault.stopped_answering:
        return "lower algorithm.lr; the folder examples/ has the responses"
    if not config.quota:
        return (
            "no label was bought and the run trained on the majority vote alone; buy labels with "
            "another acquisition policy"
        )
    if config.quota == config.algorithm.batch:
        return "every label was bought, so the cause is not a lack of labels; lower algorithm.lr"
    return (
        f"{bought} labels did not prevent it; try a larger budget, another acquisition policy or a "
        "lower algorithm.lr"
    )
