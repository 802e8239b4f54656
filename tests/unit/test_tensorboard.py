from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rlavr_hpc.errors import ExitCode
from rlavr_hpc.runs.attempts import Attempt
from rlavr_hpc.telemetry.metrics_mirror import open_mirror
from rlavr_hpc.telemetry.reduce import Mean
from rlavr_hpc.telemetry.sinks import MetricsFile, MetricsMirror
from rlavr_hpc.telemetry.tensorboard.events import EventFile
from rlavr_hpc.telemetry.tensorboard.sink import FOLDER, TensorboardSink
from rlavr_hpc.telemetry.wandb.sink import WandbSink
from rlavr_hpc.types import StepKey
from tests.support.attempts import begin_attempt
from tests.support.configs import composed
from tests.support.tensorboard_reader import scalars


class Writer:
    """Writes an attempt's rows as the loop does: the record first, then the mirror."""

    def __init__(self, run_dir: Path, attempt: Attempt, sink: MetricsMirror) -> None:
        self.record = MetricsFile(run_dir, attempt.number, fence=lambda: None)
        self.branch, self.sink = attempt.branch, sink

    def steps(self, *steps: int, value: float, shown: bool = True) -> None:
        for step in steps:
            step_key = StepKey(seed=1, step=step, branch=self.branch)
            values = self.record.write(step_key, {"a/x": Mean(value + step)})
            if shown:
                self.sink.write(step_key, values)


def begin(run_dir: Path, *, resumed_from: int = 0) -> Writer:
    attempt = begin_attempt(run_dir, resumed_from=resumed_from)
    return Writer(run_dir, attempt, TensorboardSink(run_dir, attempt))


def wait_for(run_dir: Path, count: int) -> list[tuple[int, float]]:
    """The points shown, once there are so many."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        points = scalars(run_dir / FOLDER).get("a/x", []) if (run_dir / FOLDER).is_dir() else []
        if len(points) == count:
            return points
        time.sleep(0.02)
    raise AssertionError(f"never {count} points")


def test_rows_are_shown_while_the_run_goes_on(tmp_path: Path) -> None:
    writer = begin(tmp_path)
    writer.steps(0, 1, 2, value=10.0)
    assert wait_for(tmp_path, 3) == [(0, 10.0), (1, 11.0), (2, 12.0)]
    writer.steps(3, value=10.0)
    assert wait_for(tmp_path, 4)[-1] == (3, 13.0)
    writer.sink.close(ExitCode.DONE)


def test_a_step_that_is_done_again_after_a_kill_is_shown_once(tmp_path: Path) -> None:
    begin(tmp_path).steps(0, 1, 2, 3, value=10.0)  # killed, not closed; the checkpoint was step 1
    wait_for(tmp_path, 4)
    second = begin(tmp_path, resumed_from=1)
    second.steps(2, 3, 4, value=20.0)
    second.sink.close(ExitCode.DONE)
    assert scalars(tmp_path / FOLDER)["a/x"] == [
        (0, 10.0),
        (1, 11.0),
        (2, 22.0),
        (3, 23.0),
        (4, 24.0),
    ]
    assert len(list((tmp_path / FOLDER).iterdir())) == 1


def test_what_a_killed_attempt_did_not_get_out_is_shown_by_the_next_one(tmp_path: Path) -> None:
    first = begin(tmp_path)
    first.steps(0, 1, value=10.0)
    first.steps(2, 3, value=10.0, shown=False)
    second = begin(tmp_path, resumed_from=3)
    second.steps(4, value=10.0)
    second.sink.close(ExitCode.STOPPED)
    assert [step for step, _ in scalars(tmp_path / FOLDER)["a/x"]] == [0, 1, 2, 3, 4]


def test_a_run_that_is_done_without_a_new_row_is_shown_whole(tmp_path: Path) -> None:
    begin(tmp_path).steps(0, 1, value=10.0, shown=False)
    begin(tmp_path, resumed_from=1).sink.close(ExitCode.DONE)
    assert [step for step, _ in scalars(tmp_path / FOLDER)["a/x"]] == [0, 1]


def test_the_process_of_an_earlier_attempt_cannot_spoil_what_the_next_one_shows(
    tmp_path: Path,
) -> None:
    go_on = threading.Event()

    def late(path: Path) -> EventFile:
        go_on.wait(20)
        return EventFile(path)

    stalled = begin_attempt(tmp_path, resumed_from=0)
    zombie = Writer(tmp_path, stalled, TensorboardSink(tmp_path, stalled, start=late))
    zombie.steps(0, 1, value=10.0)
    second = begin(tmp_path, resumed_from=0)
    second.steps(0, 1, 2, value=20.0)
    wait_for(tmp_path, 3)
    go_on.set()
    zombie.sink.close(ExitCode.STOPPED)
    second.steps(3, value=20.0)
    second.sink.close(ExitCode.DONE)
    assert scalars(tmp_path / FOLDER)["a/x"] == [(0, 20.0), (1, 21.0), (2, 22.0), (3, 23.0)]


def test_a_disk_that_fails_costs_a_warning_and_no_step(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FOLDER).write_text("not a folder")
    writer = begin(tmp_path)
    with caplog.at_level(logging.WARNING):
        writer.steps(0, 1, 2, value=1.0)
        writer.sink.close(ExitCode.DONE)
    [told] = [record.getMessage() for record in caplog.records]
    assert told.startswith("the TensorBoard mirror stops (FileExistsError")
    assert told.endswith("`rlavr track rebuild RUN --tensorboard OUT` shows it later")


def test_a_disk_that_hangs_delays_the_end_by_no_more_than_the_patience(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hangs = threading.Event()

    def never(path: Path) -> EventFile:
        hangs.wait(60)
        return EventFile(path)

    attempt = begin_attempt(tmp_path, resumed_from=0)
    sink = TensorboardSink(tmp_path, attempt, start=never, patience=0.2)
    started = time.monotonic()
    with caplog.at_level(logging.WARNING):
        Writer(tmp_path, attempt, sink).steps(*range(200), value=1.0)
        sink.close(ExitCode.STOPPED)
    assert time.monotonic() - started < 10
    assert "TensorBoard did not take everything within 0.2 s" in caplog.text
    hangs.set()


@pytest.mark.parametrize(
    ("kind", "made"),
    [("none", type(None)), ("tensorboard", TensorboardSink), ("offline", WandbSink)],
)
def test_the_config_chooses_the_mirror(tmp_path: Path, kind: str, made: type) -> None:
    attempt = begin_attempt(tmp_path, resumed_from=0)
    mirror = open_mirror(composed(f"tracking={kind}"), tmp_path, attempt, dashboard_id="r")
    assert type(mirror) is made


def test_writing_events_loads_neither_torch_nor_tensorflow_nor_a_server() -> None:
    code = (
        "import sys, pathlib, tempfile\n"
        "from rlavr_hpc.telemetry.tensorboard.events import write_events\n"
        "folder = pathlib.Path(tempfile.mkdtemp())\n"
        "write_events(folder / 'run', [{'step': 1, 'time': 1.0, 'x': 1.0}])\n"
        "print(sorted({'torch', 'tensorflow', 'grpc'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
