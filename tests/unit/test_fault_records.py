"""What summary.json says of a fault: what happened, and which key to try."""

from __future__ import annotations

import pytest

from rlavr_hpc.telemetry.collapse.verdict import WORDS, Fault, FoundFault
from rlavr_hpc.trainer.reporting.faults import fault_record
from tests.support.configs import composed


@pytest.mark.parametrize(
    ("fault", "overrides", "words"),
    [
        (Fault.graded_nothing, (), "set grading.extract (now boxed)"),
        (Fault.stopped_ending, (), "rollout.max_response_tokens=8"),
        (Fault.stopped_answering, (), "lower algorithm.lr"),
        (Fault.collapsed, ("acquisition=none",), "no label was bought"),
        (Fault.collapsed, ("acquisition=full",), "every label was bought"),
        (Fault.lost_accuracy, ("acquisition=care",), "7 labels did not prevent it"),
    ],
)
def test_each_fault_comes_with_what_to_try(
    fault: Fault, overrides: tuple[str, ...], words: str
) -> None:
    record = fault_record(FoundFault(fault=fault, since=None), composed(*overrides), bought=7)
    assert words in record["mend"]
    assert record["fault"] == fault
    assert record["text"] == WORDS[fault]
