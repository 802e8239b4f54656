from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rlavr_hpc.errors import ExitCode
from rlavr_hpc.runs.attempts import Attempt
from rlavr_hpc.telemetry.examples.record import Example, ExamplesFile, choose_examples
from rlavr_hpc.telemetry.outcome import Attachment, RunOutcome
from rlavr_hpc.telemetry.reduce import Mean
from rlavr_hpc.telemetry.sinks import MetricsFile
from rlavr_hpc.telemetry.wandb.connection import Dashboard, DashboardRun
from rlavr_hpc.telemetry.wandb.files import read_wandb_file, wandb_files
from rlavr_hpc.telemetry.wandb.rows import first_indices
from rlavr_hpc.telemetry.wandb.sink import WandbSink
from rlavr_hpc.training_types import TrainingGroup
from rlavr_hpc.types import StepKey
from tests.support.attempts import begin_attempt
from tests.support.commands import REPOSITORY
from tests.support.groups import group
from tests.support.run_folders import beat
from tests.support.wandb_fakes import (
    BLOCK,
    FakeRun,
    Server,
    calls,
    fake_command,
    field_of,
    log_of,
    write_attempt,
)

DASHBOARD = Dashboard(
    run_id="r", mode="online", project="p", entity=None, group="sweep", config={"a": 1}
)


def connect(
    server: Server, *, breaks_at: int | None = None
) -> Callable[[Path, Dashboard], DashboardRun]:
    """A start of wandb; the first connection breaks at a row."""

    def start(run_dir: Path, dashboard: Dashboard) -> FakeRun:
        server.starts += 1
        return FakeRun(server, breaks_at=breaks_at if server.starts == 1 else None)

    return start


class Writer:
    """Writes an attempt's rows as the loop does: the record first, then the mirror."""

    def __init__(self, run_dir: Path, attempt: Attempt, sink: WandbSink) -> None:
        self.record = MetricsFile(run_dir, attempt.number, fence=lambda: None)
        self.examples = ExamplesFile(run_dir, attempt.number, fence=lambda: None)
        self.branch, self.sink = attempt.branch, sink

    def step(self, step: int, *, value: float, shown: bool = True) -> None:
        step_key = StepKey(seed=1, step=step, branch=self.branch)
        values = self.record.write(step_key, {"x": Mean(value)})
        if shown:
            self.sink.write(step_key, values)


def begin(
    run_dir: Path,
    server: Server,
    *,
    branch: int = 0,
    breaks_at: int | None = None,
) -> Writer:
    attempt = begin_attempt(run_dir, resumed_from=0, branch=branch)
    sink = WandbSink(run_dir, DASHBOARD, attempt, start=connect(server, breaks_at=breaks_at))
    return Writer(run_dir, attempt, sink)


def shown(server: Server) -> list[tuple[int, int, int, float]]:
    """(branch, step, attempt, value) as the dashboard has them, in its order."""
    rows = [server.rows[index] for index in sorted(server.rows)]
    return [(row["branch"], row["step"], row["attempt"], row["x"]) for row in rows]


def test_a_branchs_internal_steps_begin_above_those_of_the_branches_before_it() -> None:
    steps = {0: [0, 1, 2, 3, 4, 5], 1: [3, 4], 3: [1]}
    rows = [{"branch": branch, "step": step} for branch, some in steps.items() for step in some]
    # branch 0 takes 0-5, branch 1 begins at 6 and has up to 6 + 4, branch 2 never wrote a row
    assert first_indices(rows, branches=4) == [0, 6, 11, 11]
    assert first_indices([], branches=1) == [0]


def test_attempts_are_one_run_whose_rows_stand_there_once_and_without_a_gap(tmp_path: Path) -> None:
    server = Server()
    first = begin(tmp_path, server)
    for step in range(4):
        first.step(step, value=step, shown=step < 3)  # killed before step 3 got out
    first.sink.close(ExitCode.STOPPED)
    second = begin(tmp_path, server)
    for step in (2, 3, 4):  # continues after step 1
        second.step(step, value=10 + step)
    second.sink.close(ExitCode.DONE)
    assert shown(server)[:3] == [(0, 0, 1, 0.0), (0, 1, 1, 1.0), (0, 2, 1, 2.0)]
    assert [row[:2] for row in shown(server)[3:]] == [(0, 3), (0, 4)]
    assert sorted(server.rows) == [0, 1, 2, 3, 4]
    assert server.ends == ["preempting", "finish 75", "finish 0"]


def test_what_was_rolled_back_stays_on_the_dashboard_and_what_follows_is_not_dropped(
    tmp_path: Path,
) -> None:
    server = Server()
    old = begin(tmp_path, server)
    for step in range(5):
        old.step(step, value=step)
    old.sink.close(ExitCode.STOPPED)
    begin_attempt(tmp_path, resumed_from=2, branch=1, reason="rollback")
    new = begin(tmp_path, server, branch=1)
    for step in (3, 4):
        new.step(step, value=10 + step)
    new.sink.close(ExitCode.DONE)
    assert shown(server)[4:] == [(0, 4, 1, 4.0), (1, 3, 3, 13.0), (1, 4, 3, 14.0)]
    assert sorted(server.rows) == [0, 1, 2, 3, 4, 8, 9]


def test_a_parked_run_does_not_look_finished(tmp_path: Path) -> None:
    server = Server()
    attempt = begin(tmp_path, server)
    attempt.step(0, value=0)
    attempt.sink.close(ExitCode.WAITING_FOR_LABELS)
    assert server.ends == ["preempting", "finish 76"]


def example(step: int, *, attempt: int, answer: str = "3") -> Example:
    """Of a prompt without a label."""
    given = TrainingGroup(group=group([answer, "4"]), rewards=(1.0, 0.0), weight=1.0, bought=False)
    [made] = choose_examples(
        [given], {}, step_key=StepKey(seed=1, step=step), attempt=attempt, prompts=1
    )
    return made


def test_a_steps_examples_stand_with_its_row_once_also_when_it_was_done_again(
    tmp_path: Path,
) -> None:
    server = Server()
    first = begin(tmp_path, server)
    for step in range(3):
        made = [example(step, attempt=1)] if step != 1 else []
        first.examples.write(made)
        if step < 2:
            first.sink.show(made)
        first.step(step, value=step, shown=step < 2)  # killed before step 2 got out
    first.sink.close(ExitCode.STOPPED)
    assert sorted(server.tables) == [0]
    second = begin(tmp_path, server)
    for step in (1, 2, 3):  # continues after step 0
        again = [example(step, attempt=2, answer="5" if step == 3 else "3")]
        second.examples.write(again)
        second.sink.show(again)
        second.step(step, value=step)
    second.sink.close(ExitCode.DONE)
    # step 1 was shown without a table, step 2 comes from the record of either attempt
    assert {step: table.rows[0][14] for step, table in server.tables.items()} == {
        0: "3",
        2: "3",
        3: "5",
    }


def test_damaged_examples_cost_the_dashboard_its_tables_and_no_row(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server()
    writer = begin(tmp_path, server)
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples/1.jsonl").write_text("{}\n")
    with caplog.at_level(logging.WARNING):
        writer.step(0, value=1.0)
        writer.sink.close(ExitCode.DONE)
    assert [row[1] for row in shown(server)] == [0]
    assert "the dashboard gets no tables of earlier examples" in caplog.text


def test_what_an_attempt_leaves_besides_its_rows_is_stored_when_it_ends(tmp_path: Path) -> None:
    server, spend = Server(), Attachment(kind="ledger", files={"spend.csv": b"step"})
    writer = begin(tmp_path, server)
    writer.step(0, value=1.0)
    writer.sink.close(
        ExitCode.STOPPED, lambda: RunOutcome(attachments=(spend,), summary={"summary/steps": 1})
    )
    assert (server.attached, server.summary) == ([spend], {"summary/steps": 1})
    assert server.ends == ["preempting", "finish 75"]


def test_an_outcome_that_cannot_be_made_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def outcome() -> RunOutcome:
        raise FileNotFoundError("config.yaml")

    writer = begin(tmp_path, Server())
    writer.step(0, value=1.0)
    with caplog.at_level(logging.WARNING):
        writer.sink.close(ExitCode.DONE, outcome)
    assert "the wandb mirror stops (FileNotFoundError: config.yaml)" in caplog.text


@pytest.mark.parametrize("breaks_at", [0, 2])
def test_when_wandbs_process_is_killed_another_is_started_and_nothing_is_missing(
    tmp_path: Path, breaks_at: int
) -> None:
    server = Server()
    writer = begin(tmp_path, server, breaks_at=breaks_at)
    for step in range(4):
        writer.step(step, value=step)
    writer.sink.close(ExitCode.STOPPED)
    assert [row[1] for row in shown(server)] == [0, 1, 2, 3]
    assert (server.starts, server.ends) == (2, ["preempting", "finish 75"])


def test_a_hanging_dashboard_delays_no_step_and_costs_a_stop_only_its_patience(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    forever = threading.Event()

    def hang(run_dir: Path, dashboard: Dashboard) -> DashboardRun:
        forever.wait(20)
        raise AssertionError

    attempt = begin_attempt(tmp_path, resumed_from=0)
    sink = WandbSink(tmp_path, DASHBOARD, attempt, start=hang, patience=0.2)
    begun = time.monotonic()
    for step in range(100):
        sink.write(StepKey(seed=1, step=step), {"x": 1.0})
    assert time.monotonic() - begun < 0.2
    with caplog.at_level(logging.WARNING):
        sink.close(ExitCode.STOPPED)
    assert 0.2 <= time.monotonic() - begun < 2.0
    assert "did not take everything within 0.2 s" in caplog.text
    forever.set()


def test_a_dashboard_that_cannot_be_reached_is_said_once_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(run_dir: Path, dashboard: Dashboard) -> DashboardRun:
        raise PermissionError("no API key")

    attempt = begin_attempt(tmp_path, resumed_from=0)
    sink = WandbSink(tmp_path, DASHBOARD, attempt, start=refuse)
    with caplog.at_level(logging.WARNING):
        for step in range(3):
            sink.write(StepKey(seed=1, step=step), {"x": 1.0})
        sink.close(ExitCode.DONE)
    assert [record.getMessage() for record in caplog.records] == [
        "the wandb mirror stops (PermissionError: no API key); the run goes on"
    ]


@pytest.mark.parametrize(
    ("code", "ends"),
    [
        (ExitCode.DONE, ["finish 0"]),
        (ExitCode.FAILED, ["finish 1"]),
        (ExitCode.EARLY_WARNING, ["finish 3"]),
        (ExitCode.STOPPED, ["preempting", "finish 75"]),
    ],
)
def test_only_a_run_that_is_done_looks_finished(
    tmp_path: Path, code: ExitCode, ends: list[str]
) -> None:
    server = Server()
    writer = begin(tmp_path, server)
    writer.step(0, value=1.0)
    writer.sink.close(code)
    assert server.ends == ends


def test_an_attempt_without_a_row_opens_no_dashboard_unless_the_run_is_done(
    tmp_path: Path,
) -> None:
    server = Server()
    first = begin(tmp_path, server)
    first.step(0, value=1.0, shown=False)  # killed here, with the last step on record
    stopped = begin(tmp_path, server)
    stopped.sink.close(ExitCode.STOPPED)
    assert server.starts == 0
    done = begin(tmp_path, server)
    done.sink.close(ExitCode.DONE)
    assert [row[:3] for row in shown(server)] == [(0, 0, 1)]
    assert server.ends == ["finish 0"]


def test_a_wandb_file_tells_its_whole_part_and_its_last_row(tmp_path: Path) -> None:
    path = write_attempt(tmp_path, "20260101_000000", steps=[3, 4, 9])  # rows span blocks
    whole = read_wandb_file(path)
    assert (whole.begun, whole.ended, whole.last, whole.cut) == (True, True, 9, False)
    killed = path.with_name("killed.wandb")
    killed.write_bytes(path.read_bytes()[:BLOCKS_OF_A_KILL])
    cut = read_wandb_file(killed)
    assert (cut.begun, cut.ended, cut.last, cut.cut) == (True, False, 4, True)
    assert cut.whole < BLOCKS_OF_A_KILL
    damaged = bytearray(path.read_bytes())
    damaged[cut.whole + 100] ^= 1  # in the third row
    killed.write_bytes(damaged)
    assert read_wandb_file(killed).whole == cut.whole
    killed.write_bytes(b":W&B\xe1\xbe\x00")
    empty = read_wandb_file(killed)
    assert (empty.begun, empty.last, empty.whole, empty.cut) == (False, None, 0, True)


BLOCKS_OF_A_KILL = 45_000
"""Bytes: two rows of 20 kB and a piece of the third."""


def test_a_block_with_no_room_for_another_chunk_is_padded(tmp_path: Path) -> None:
    path = tmp_path / "x.wandb"
    filling = field_of(17, b"x" * (BLOCK - 7 - 7 - 5 - 3))  # leaves 3 bytes of the block
    path.write_bytes(log_of([filling, field_of(18, b"exit")]))
    assert path.read_bytes()[BLOCK - 4 : BLOCK] == b"x\0\0\0"
    file = read_wandb_file(path)
    assert (file.begun, file.ended, file.cut) == (True, True, False)


def test_attempts_are_taken_in_order_of_their_start(tmp_path: Path) -> None:
    for stamp in ("20260102_000000", "20251231_235959", "20260101_120000"):
        write_attempt(tmp_path, stamp)
    online = tmp_path / "wandb/run-20260101_180000-r"
    online.mkdir()
    (online / "run-r.wandb").touch()
    found = [path.parent.name.split("run-")[1][:8] for path in wandb_files(tmp_path)]
    assert found == ["20251231", "20260101", "20260101", "20260102"]
    assert len(wandb_files(tmp_path, kind="offline-run-")) == 3
    assert wandb_files(tmp_path, run_id="other") == []


def sync(fakes: Path, *arguments: str) -> tuple[int, str, str]:
    """Run the command; what is typed at it must not reach wandb."""
    done = subprocess.run(
        [sys.executable, "-m", "rlavr_hpc", "track", "sync", *arguments],
        input="typed",
        text=True,
        capture_output=True,
        check=False,
        cwd=REPOSITORY,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(fakes)},
    )
    return done.returncode, done.stdout, done.stderr


def test_a_runs_attempts_are_sent_in_order_in_one_call_and_only_once(tmp_path: Path) -> None:
    fakes = fake_command(tmp_path / "path")
    for run, stamps in {"s/a": ("20260102_1", "20260101_1"), "s/b": ("20260103_1",)}.items():
        for stamp in stamps:
            write_attempt(tmp_path / run, stamp)
    code, said, _ = sync(fakes, str(tmp_path / "s"))
    assert (code, said.splitlines()) == (
        0,
        [f"{tmp_path}/s/a: attempts: 2 sent", f"{tmp_path}/s/b: attempts: 1 sent"],
    )
    sent = [[name[12:20] for name, _ in call] for call in calls(fakes)]
    assert sent == [["20260101", "20260102"], ["20260103"]]
    code, said, _ = sync(fakes, str(tmp_path / "s"))
    assert (code, said.count("nothing new"), len(calls(fakes))) == (0, 2, 2)
    write_attempt(tmp_path / "s/a", "20260104_1")
    assert sync(fakes, str(tmp_path / "s/a"))[0] == 0
    assert [name[12:20] for name, _ in calls(fakes)[-1]] == ["20260104"]


@pytest.mark.parametrize("fault", ["refused", "crash"])
def test_a_run_that_fails_is_told_with_wandbs_words_tried_again_and_stops_no_other(
    tmp_path: Path, fault: str
) -> None:
    fakes = fake_command(tmp_path / "path")
    path = write_attempt(tmp_path / f"s/a-{fault}", "20260101_1")
    Path(f"{path}.synced").touch()  # of an earlier try, which wandb took for a success
    write_attempt(tmp_path / "s/b", "20260101_1")
    code, said, _ = sync(fakes, str(tmp_path / "s"))
    words = "Fatal error while uploading data" if fault == "refused" else "Finished syncing"
    assert code == 1
    assert f"a-{fault}: failed: wandb ended with 0 and said:" in said
    assert words in said
    assert "s/b: attempts: 1 sent" in said
    assert sync(fakes, str(tmp_path / "s"))[0] == 1
    assert len(calls(fakes)) == 3


def test_without_a_login_it_says_what_to_do_and_tries_no_more(tmp_path: Path) -> None:
    fakes = fake_command(tmp_path / "path")
    (fakes / "wandb/says").write_text("API key")
    for name in "ab":
        write_attempt(tmp_path / "s" / name, "20260101_1")
    code, said, told = sync(fakes, str(tmp_path / "s"))
    assert (code, said) == (2, "")
    assert "set WANDB_API_KEY, or run `wandb login` once on this machine" in told


def test_nothing_to_send_is_a_mistake_that_names_the_folder(tmp_path: Path) -> None:
    code, _, told = sync(tmp_path, str(tmp_path))
    assert (code, f"nothing to send below {tmp_path}" in told) == (2, True)
    code, _, told = sync(tmp_path, str(tmp_path / "nowhere"))
    assert (code, "nowhere: no such folder" in told) == (2, True)


def test_a_network_that_is_away_costs_the_timeout_and_marks_nothing(tmp_path: Path) -> None:
    fakes = fake_command(tmp_path / "path")
    (fakes / "wandb/says").write_text("sleep")
    path = write_attempt(tmp_path / "a", "20260101_1")
    code, said, _ = sync(fakes, str(tmp_path / "a"), "--timeout", "1")
    assert code == 1
    assert "failed: wandb was not done after 1 s; is there a network?" in said
    assert not (path.parent / "sent.json").exists()


def test_of_killed_attempts_only_whole_records_are_sent(tmp_path: Path) -> None:
    fakes = fake_command(tmp_path / "path")
    cut = write_attempt(tmp_path / "a", "20260101_1", steps=[0, 1], ended=False, more=b"torn")
    empty = write_attempt(tmp_path / "a", "20260102_1")
    empty.write_bytes(log_of([]))
    write_attempt(tmp_path / "a", "20260103_1", steps=[2])
    code, said, _ = sync(fakes, str(tmp_path / "a"))
    told = "2 sent, 1 of them without the end that a kill cut off, 1 empty after a kill"
    assert (code, said) == (0, f"{tmp_path}/a: attempts: {told}\n")
    [call] = calls(fakes)
    assert [name[12:20] for name, _ in call] == ["20260101", "20260103"]
    assert call[0][1] == cut.stat().st_size - len(b"torn")
    assert cut.read_bytes().endswith(b"torn"), "the original is left alone"
    assert Path(f"{cut}.syncstate").exists(), "else a second try would count on from the first"


def test_an_attempt_that_is_being_written_is_left_until_it_has_ended(tmp_path: Path) -> None:
    fakes = fake_command(tmp_path / "path")
    write_attempt(tmp_path / "a", "20260101_1", ended=False)
    write_attempt(tmp_path / "a", "20260102_1", steps=[0], ended=False)
    beat(tmp_path / "a", time=time.time(), job=None)
    code, said, _ = sync(fakes, str(tmp_path / "a"))
    assert (code, said.split(": ")[-1]) == (0, "1 sent, 1 still being written, left for later\n")
    beat(tmp_path / "a", time=time.time() - 3600, job=None)
    assert sync(fakes, str(tmp_path / "a"))[1].endswith("attempts: 1 sent\n")
    assert [name[12:20] for call in calls(fakes) for name, _ in call] == ["20260101", "20260102"]


def test_a_file_that_grew_after_it_was_sent_is_sent_again(tmp_path: Path) -> None:
    fakes = fake_command(tmp_path / "path")
    path = write_attempt(tmp_path / "a", "20260101_1", steps=[0], ended=False)
    assert sync(fakes, str(tmp_path / "a"))[0] == 0
    os.truncate(path, path.stat().st_size + 5)
    assert sync(fakes, str(tmp_path / "a"))[0] == 0
    assert len(calls(fakes)) == 2
