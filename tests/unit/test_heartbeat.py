"""status.json: what a run tells about itself while it goes on."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from rlavr_hpc.cluster.topology import SlurmStart
from rlavr_hpc.runs.evidence import read_facts
from rlavr_hpc.runs.heartbeat import Heartbeat
from rlavr_hpc.runs.process import this_process
from tests.support.attempts import begin_attempt


def told(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "status.json").read_text())
    return values


def test_what_is_known_stays_told_between_evaluations_and_over_attempts(tmp_path: Path) -> None:
    first = Heartbeat(tmp_path, 1, 150, labels_allowed=1950)
    first.beat("running", step=50, labels_bought=650, accuracy=0.5, risk=0.25)
    first.beat("stopped", step=50, labels_bought=None, accuracy=None, exit_code=75)
    assert (told(tmp_path)["accuracy"], told(tmp_path)["exit_code"]) == (0.5, 75)
    Heartbeat(tmp_path, 2, 150).beat("starting", step=50)
    now = told(tmp_path)
    assert (now["labels_bought"], now["accuracy"], now["risk"]) == (650, 0.5, 0.25)
    assert "exit_code" not in now
    assert (now["attempt"], now["labels_allowed"]) == (2, None)


def test_the_pace_is_the_mean_of_the_first_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heart = Heartbeat(tmp_path, 1, 150)
    clock = iter([100.0, 102.0, 108.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    for step in (1, 2, 3):
        heart._last_write = 0.0
        heart.beat("running", step=step)
    assert told(tmp_path)["seconds_per_step"] == 4.0  # of 2 and 6 seconds


def test_a_long_run_moves_its_pace_by_a_tenth_of_the_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heart = Heartbeat(tmp_path, 1, 150)
    clock = iter([*range(0, 40, 2), 38 + 12])  # 19 steps of 2 s, then one of 12 s
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    for step in range(1, 22):
        heart._last_write = 0.0
        heart.beat("running", step=step)
    assert told(tmp_path)["seconds_per_step"] == 3.0


def test_a_value_that_is_no_number_is_left_out(tmp_path: Path) -> None:
    Heartbeat(tmp_path, 1, 150).beat("running", step=1, risk=float("nan"), accuracy=0.5)
    assert "risk" not in told(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", '{"risk": "x"}', "{"])
def test_a_torn_file_of_the_last_attempt_is_no_hindrance(tmp_path: Path, text: str) -> None:
    (tmp_path / "status.json").write_text(text)
    Heartbeat(tmp_path, 2, 150).beat("starting", step=0)
    assert told(tmp_path)["state"] == "starting"


def test_a_superseded_attempt_does_not_speak_for_the_run(tmp_path: Path) -> None:
    first = Heartbeat(tmp_path, 1, 150)
    begin_attempt(tmp_path, resumed_from=0)
    begin_attempt(tmp_path, resumed_from=0)
    Heartbeat(tmp_path, 2, 150).beat("running", step=7)
    first.beat("running", step=3)
    assert (told(tmp_path)["attempt"], told(tmp_path)["step"]) == (2, 7)


def test_readers_know_whose_heartbeat_it_is(tmp_path: Path) -> None:
    job = asdict(SlurmStart(job="12_0", restart=2, node="n7"))
    Heartbeat(tmp_path, 1, 150, job=job).beat("starting", step=0)
    beat = read_facts(tmp_path).heartbeat
    assert beat is not None
    assert (beat.job, beat.restart, beat.node) == ("12_0", 2, "n7")
    assert beat.process == this_process()
