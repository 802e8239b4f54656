"""What a profile's events come to, on a trace written by hand."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import torch

from rlavr_hpc.io import read_record
from rlavr_hpc.trainer.reporting import profile as profile_module
from rlavr_hpc.trainer.reporting.profile import StepProfile
from rlavr_hpc.trainer.reporting.profile_table import Bound, Event, tabulate


def span(name: str, start: float, length: float, own: float = 0.0, *, gpu: bool = False) -> Event:
    return Event(name=name, start=start, length=length, own=own, on_device=gpu)


def test_a_profile_that_a_roll_back_left_open_ends_with_the_next(tmp_path: Path) -> None:
    abandoned = StepProfile(folder=tmp_path / "1", last=99)
    for step in (1, 2, 3):
        with abandoned.around(step):
            pass
    fresh = StepProfile(folder=tmp_path / "2", last=99)
    for step in range(2, 7):
        with fresh.around(step):
            torch.ones(3).exp()
            assert len(profile_module._open) == 1
    assert not (tmp_path / "1").exists()
    assert read_record(tmp_path / "2/table.json", 1)["steps"] == [4, 5, 6]
    with gzip.open(tmp_path / "2/trace.json.gz") as file:
        ranges = [event.get("name") for event in json.load(file)["traceEvents"]]
    assert ranges.count("step") == 3
    with pytest.raises(KeyboardInterrupt), StepProfile(folder=tmp_path, last=9).around(1):
        raise KeyboardInterrupt
    assert profile_module._open == []


STEP = [
    span("step", 0, 1000),
    span("step/generate", 100, 500),
    span("step/train", 600, 300),
]


def test_operators_count_in_the_phase_in_which_they_begin_and_the_rest_of_it_is_python() -> None:
    operators = [
        span("aten::mm", 100, 300, 300),
        span("aten::add", 400, 100, 100),
        span("aten::view", 500, 5, 5),
        span("MmBackward0", 600, 290, 40),
        span("aten::mm", 600, 250, 250),
        span("aten::mm", 1500, 99, 99),
    ]
    rows = {row.phase: row for row in tabulate(STEP + operators)}
    assert list(rows) == ["generate", "train", "other"]
    parts = [rows["generate"].parts[kind] for kind in Bound]
    assert parts == pytest.approx([1e-4, 3e-4, 1e-4, 0.0])
    assert (rows["generate"].bound, rows["generate"].calls) == (Bound.compute, 3)
    name, own, calls = rows["generate"].top[0]
    assert (name, calls) == ("aten::mm", 1)
    assert own == pytest.approx(3e-4)
    assert rows["train"].parts[Bound.python] == pytest.approx(5e-5)
    assert rows["train"].seconds == pytest.approx(3e-4)
    assert rows["other"].share == pytest.approx(0.2)
    assert rows["other"].bound is Bound.python
    assert rows["other"].calls == 0


def test_an_accelerators_kernels_decide_where_there_are_any() -> None:
    events = [
        span("aten::mm", 100, 490, 490),
        span("ncclDevKernel_AllGather", 110, 400, 400, gpu=True),
        span("sm90_xmma_gemm_bf16", 610, 250, 250, gpu=True),
        span("step", 0, 1000, gpu=True),
    ]
    rows = {row.phase: row for row in tabulate(STEP + events)}
    assert rows["generate"].parts[Bound.compute] == 0.0
    assert rows["generate"].bound is Bound.communication
    assert rows["train"].bound is Bound.compute


def test_seconds_are_per_step() -> None:
    second = [span(e.name, e.start + 2000, e.length) for e in STEP]
    rows = {row.phase: row for row in tabulate(STEP + second)}
    assert rows["generate"].seconds == pytest.approx(5e-4)
    assert sum(row.share for row in rows.values()) == pytest.approx(1.0)


def test_a_trace_without_a_step_is_refused() -> None:
    with pytest.raises(ValueError, match="no step"):
        tabulate([span("aten::mm", 0, 1, 1)])
