"""Ten true SIGKILLs at exact places: a run continued after them equals one that was not killed.

The short version of `python -m benchmarks.resume`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.kill_tables import HF, HF_2, VLLM, VLLM_2, Kind
from benchmarks.killing import Trial, reference_of, steps_redone
from rlavr_hpc.telemetry.sinks import read_metrics

pytestmark = [pytest.mark.vllm, pytest.mark.ranks]

Wanted = tuple[str, int, dict[str, Any]]
"""Where, in which step, and the fields of the point."""
KILLS: dict[str, tuple[Wanted, ...]] = {
    HF.name: (  # checkpoints after steps 4, 8, 12 and 14; epochs end with steps 6 and 12
        ("generate", 6, {"skip": 5}),
        ("purchase", 7, {"skip": 1}),  # its intent is on disk, its labels are not
        ("ledger", 8, {"skip": 2, "cut": 0.6}),  # the labels of step 8, torn
        ("rename-before", 8, {}),
        ("deletion", 12, {"cut": 0.5}),
        ("end", 14, {"skip": 2}),  # all but DONE.json is written
    ),
    VLLM.name: (("learn", 6, {"skip": 5}),),
    HF_2.name: (("checkpoint", 4, {"delay": 0.01, "rank": 1, "alone": True}),),
    VLLM_2.name: (
        ("metrics", 6, {"skip": 6, "cut": 0.5}),  # the row of step 6, torn; there is one of step 0
        ("train", 7, {"skip": 2, "rank": 1, "alone": True}),
    ),
}
BESIDE = ("checkpoint", "rename-before", "deletion")
"""Places that the run comes by beside its next steps."""
REDONE = {HF.name: 10, VLLM.name: 1, HF_2.name: 4, VLLM_2.name: 3}
"""Steps that had a row already, at least; a checkpoint that came late adds some."""


def killed_and_continued(kind: Kind, folder: Path) -> tuple[Trial, Trial]:
    """The run, and the one it is compared with."""
    reference = reference_of(kind, folder / "reference")
    trial = Trial(kind=kind, folder=folder / "run")
    for phase, _, fields in KILLS[kind.name]:
        trial.kill(trial.point(phase, **fields))
    trial.finish()
    return trial, reference


def whole_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]]


def assert_as_undisturbed(trial: Trial, reference: Trial) -> None:
    """The run was killed where it should be, and ended as the other one."""
    wanted = [(phase, step) for phase, step, _ in KILLS[trial.kind.name]]
    assert [start.step_key for start in trial.kills] == [phase for phase, _ in wanted]
    for (phase, step), start in zip(wanted, trial.kills, strict=True):
        assert step <= start.step <= step + 2 * (phase in BESIDE)
    assert [start.trouble for start in trial.starts] == [None] * (len(wanted) + 1)
    assert REDONE[trial.kind.name] <= steps_redone(trial) <= REDONE[trial.kind.name] + 4
    assert trial.compare(reference.folder) is None
    newest = {
        row["step"]: attempt
        for attempt in range(1, trial.starts[-1].attempt + 1)
        for row in whole_rows(trial.folder / f"metrics/{attempt}.jsonl")
    }
    assert {row["step"]: row["attempt"] for row in read_metrics(trial.folder)} == newest


@pytest.mark.parametrize(
    "kind", [pytest.param(HF, id="hf"), pytest.param(VLLM, id="vllm", marks=pytest.mark.slow)]
)
def test_one_rank_killed_in_every_cheap_phase_ends_as_if_it_was_not(
    kind: Kind, tmp_path: Path
) -> None:
    assert_as_undisturbed(*killed_and_continued(kind, tmp_path))


@pytest.mark.parametrize(
    "kind", [pytest.param(HF_2, id="hf", marks=pytest.mark.slow), pytest.param(VLLM_2, id="vllm")]
)
def test_two_ranks_killed_together_or_one_alone_end_as_if_they_were_not(
    kind: Kind, tmp_path: Path
) -> None:
    assert_as_undisturbed(*killed_and_continued(kind, tmp_path))
