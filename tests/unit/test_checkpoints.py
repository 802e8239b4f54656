"""Which checkpoints count, which stay, and how they are written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from rlavr_hpc.cli import call
from rlavr_hpc.errors import CheckpointError, RlavrError, UserError
from rlavr_hpc.runs.attempts import forks, read_attempts
from rlavr_hpc.runs.branches import roll_back, undo_roll_back
from rlavr_hpc.runs.checkpoint_retention import RetentionPolicy, steps_to_keep
from rlavr_hpc.runs.checkpoints import (
    TrainingState,
    candidates,
    newest_valid,
    read_checkpoint,
    read_state,
    remove_leftovers,
    restore_replaced,
    stored_state,
)
from rlavr_hpc.runs.done import read_done, remove_done, write_done
from rlavr_hpc.runs.folder import open_run_folder
from rlavr_hpc.runs.healthy_steps import healthy_steps
from rlavr_hpc.runs.process_setup import ProcessSetup, check_fits
from rlavr_hpc.telemetry.reduce import Mean
from rlavr_hpc.telemetry.sinks import MetricsFile, read_line, steps_left_behind
from rlavr_hpc.trainer.checkpoint.shards import on_host, write_file
from rlavr_hpc.types import StepKey
from tests.support.attempts import begin_attempt
from tests.support.configs import composed

STATE = TrainingState(
    step=10, branch=0, attempt=1, world_size=1, threads=2, prompts_fingerprint="p", config_hash="c"
)


def checkpoint(run_dir: Path, **facts: object) -> Path:
    """A complete checkpoint of two small files."""
    state = replace(STATE, **facts)  # type: ignore[arg-type]
    folder = run_dir / f"checkpoints/step_{state.step}"
    (folder / "shards").mkdir(parents=True)
    files = {}
    for name in ("a.pt", "shards/b.pt"):
        content = f"{name} of {state.step}".encode()
        (folder / name).write_bytes(content)
        files[name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest = {"version": 2, "state": stored_state(state), "files": files}
    (folder / "MANIFEST.json").write_text(json.dumps(manifest))
    return folder


def test_metrics_that_were_not_recorded_keep_the_name_that_version_0_1_stored(
    tmp_path: Path,
) -> None:
    metrics = {"train/loss": (1.5, 2.0)}
    folder = checkpoint(tmp_path, unrecorded_metrics=metrics)
    manifest = json.loads((folder / "MANIFEST.json").read_text())
    assert manifest["state"]["owed"] == {"train/loss": [1.5, 2.0]}
    assert "unrecorded_metrics" not in manifest["state"]
    found = newest_valid(tmp_path)
    assert found is not None
    again = dict(found.state.unrecorded_metrics or {})
    assert {name: tuple(pair) for name, pair in again.items()} == {"train/loss": (1.5, 2.0)}
    assert read_state(stored_state(STATE)) == STATE


def test_the_newest_whole_checkpoint_is_taken(tmp_path: Path) -> None:
    checkpoint(tmp_path, step=10)
    checkpoint(tmp_path, step=9)
    found = newest_valid(tmp_path)
    assert found is not None
    assert found.state == STATE


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda f: (f / "a.pt").write_bytes(b"a.pt of 11"), "does not have the content"),
        (lambda f: (f / "a.pt").write_bytes(b"a.pt"), "has 4 bytes instead of 10"),
        (lambda f: (f / "shards/b.pt").unlink(), "shards/b.pt is missing"),
        (lambda f: (f / "MANIFEST.json").unlink(), "MANIFEST.json is missing"),
        (lambda f: (f / "MANIFEST.json").write_text("{"), "manifest cannot be used"),
        (lambda f: (f / "MANIFEST.json").write_text("[]"), "manifest cannot be used"),
    ],
)
def test_a_damaged_checkpoint_is_passed_over_with_its_reason(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], object],
    reason: str,
) -> None:
    checkpoint(tmp_path, step=5)
    damage(checkpoint(tmp_path, step=10))
    found = newest_valid(tmp_path)
    assert found is not None
    assert found.state.step == 5
    assert reason in caplog.text
    assert "step_10" in caplog.text
    with pytest.raises(RlavrError):
        read_checkpoint(tmp_path / "checkpoints/step_10")


def test_a_checkpoint_of_a_newer_version_is_refused_not_passed_over(tmp_path: Path) -> None:
    checkpoint(tmp_path, step=5)
    (checkpoint(tmp_path, step=10) / "MANIFEST.json").write_text('{"version":3}')
    with pytest.raises(UserError, match="newer version"):
        newest_valid(tmp_path)


def test_a_checkpoint_whose_replacement_was_killed_half_way_comes_back(tmp_path: Path) -> None:
    old = checkpoint(tmp_path, step=10)
    old.rename(old.with_name(".step_10.2.old"))
    restore_replaced(tmp_path)
    assert newest_valid(tmp_path) is not None
    other = old.with_name(".step_10.3.old")
    other.mkdir()
    restore_replaced(tmp_path)
    assert other.exists(), "there is a checkpoint in its place"


def test_only_what_older_attempts_left_is_cleared_away(tmp_path: Path) -> None:
    parent = tmp_path / "checkpoints"
    left = (".step_5.1.tmp", ".step_5.2.old", ".step_4.del", ".resharded", ".step_6.3.tmp")
    for name in left:
        (parent / name).mkdir(parents=True)
    remove_leftovers(tmp_path, until=2)
    assert [p.name for p in parent.iterdir()] == [".step_6.3.tmp"]


def test_each_rank_checks_its_share_and_together_they_check_all(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path)
    [found] = candidates(tmp_path)
    (folder / "a.pt").write_bytes(b"a.pt of 11")
    found.verify(rank=1, ranks=2)
    with pytest.raises(CheckpointError, match=r"a\.pt"):
        found.verify(rank=0, ranks=2)


def test_a_checkpoint_of_a_process_that_was_superseded_does_not_count(tmp_path: Path) -> None:
    """Attempt 2 went on from step 5; what attempt 1 still wrote of step 10 is another history."""
    begin_attempt(tmp_path, resumed_from=0)
    checkpoint(tmp_path, step=5)
    begin_attempt(tmp_path, resumed_from=5)
    checkpoint(tmp_path, step=10)
    assert [found.state.step for found in candidates(tmp_path)] == [5]
    checkpoint(tmp_path, step=8, attempt=2)
    assert [found.state.step for found in candidates(tmp_path)] == [8, 5]


def test_what_stays_is_the_last_every_nth_the_best_and_the_newest_healthy() -> None:
    def at(step: int, risk: float, score: float | None = None) -> TrainingState:
        return replace(STATE, step=step, risk=risk, score=score)

    states = [at(5, 0.1, 0.9), at(10, 0.2), at(15, 0.3, 0.85), at(20, 0.6), at(25, 0.7, 0.1)]
    assert steps_to_keep(states, RetentionPolicy(last=1)) == {25, 5, 10}
    assert steps_to_keep(states, RetentionPolicy(last=2, best=False)) == {25, 20, 10}
    assert steps_to_keep(states, RetentionPolicy(last=1, every=10, best=False)) == {25, 20, 10}
    assert steps_to_keep(states, RetentionPolicy(last=1, best=False, healthy_below=0.35)) == {
        25,
        15,
    }
    assert steps_to_keep([], RetentionPolicy()) == set()
    by_stop = replace(at(20, 0.1), scheduled=False)
    owing = replace(at(25, 0.1), unrecorded_metrics={"train/loss": (1.0, 1.0)})
    keep = RetentionPolicy(last=1, best=False)
    assert steps_to_keep([at(10, 0.1), by_stop, owing], keep) == {25, 10}
    equal = [at(5, 0.1, 0.5), at(10, 0.1, 0.5)]
    assert steps_to_keep([*equal, at(15, 0.1, 0.2)], RetentionPolicy(last=1)) == {15, 10}


def test_a_checkpoint_is_healthy_only_where_its_accuracy_is_within_the_noise_of_the_best() -> None:
    states = [
        replace(STATE, step=20, score=0.50, score_error=0.02),
        replace(STATE, step=40, score=0.545, score_error=0.02),
        replace(STATE, step=50),
        replace(STATE, step=60, score=0.50, score_error=0.02),
        replace(STATE, step=70),
        replace(STATE, step=80, score=0.0, score_error=0.0),
        replace(STATE, step=90),
    ]  # two standard errors of a difference: 0.057; the risk of all is 0
    assert healthy_steps(states, below=0.25) == [60, 50, 40, 20]
    assert steps_to_keep(states, RetentionPolicy(last=1)) == {40, 60, 90}
    risky = [replace(state, risk=0.3) if state.step == 60 else state for state in states]
    assert healthy_steps(risky, below=0.25)[0] == 50
    unmeasured = [replace(state, score_error=None) for state in states]
    assert healthy_steps(unmeasured, below=0.25) == [60, 50, 40, 20]


def test_a_roll_back_passes_over_checkpoints_that_lost_their_accuracy(tmp_path: Path) -> None:
    begin_attempt(tmp_path, resumed_from=0)
    checkpoint(tmp_path, step=60, score=0.545, score_error=0.02)
    checkpoint(tmp_path, step=110, score=0.0, score_error=0.0)
    assert roll_back(tmp_path, healthy_below=0.25).step == 60


def test_a_roll_back_goes_to_the_newest_healthy_checkpoint_on_a_new_branch(tmp_path: Path) -> None:
    begin_attempt(tmp_path, resumed_from=0)
    for step, risk in ((10, 0.1), (20, 0.2), (30, 0.6)):
        checkpoint(tmp_path, step=step, risk=risk)
    (tmp_path / "DONE.json").write_text("{}")
    back = roll_back(tmp_path, healthy_below=0.25)
    assert (back.step, back.branch) == (20, 1)
    assert not (tmp_path / "DONE.json").exists()
    assert [found.state.step for found in candidates(tmp_path)] == [20, 10]
    token = read_attempts(tmp_path)[-1]
    assert (token.number, token.branch, token.resumed_from, token.reason) == (2, 1, 20, "rollback")
    assert roll_back(tmp_path, healthy_below=0.25, to=10).branch == 2
    assert [found.state.step for found in candidates(tmp_path)] == [10]
    assert roll_back(tmp_path, healthy_below=0.05).step == 0


def test_a_roll_back_passes_over_a_damaged_checkpoint_and_refuses_one_that_is_not_there(
    tmp_path: Path,
) -> None:
    with pytest.raises(UserError, match="has not started"):
        roll_back(tmp_path, healthy_below=0.25)
    begin_attempt(tmp_path, resumed_from=0)
    checkpoint(tmp_path, step=10)
    (checkpoint(tmp_path, step=20) / "a.pt").write_bytes(b"a.pt of 21")
    with pytest.raises(UserError, match="there are: 10, 20"):
        roll_back(tmp_path, healthy_below=0.25, to=15)
    with pytest.raises(CheckpointError, match="content"):
        roll_back(tmp_path, healthy_below=0.25, to=20)
    assert len(read_attempts(tmp_path)) == 1
    assert roll_back(tmp_path, healthy_below=0.25).step == 10


def test_the_line_of_a_run_leaves_out_what_was_rolled_back(tmp_path: Path) -> None:
    """Branch 0 did steps 0 to 4, branch 1 went on from 2 and did 3, branch 2 from 3 and did 4."""

    def write(attempt: int, branch: int, *steps: int) -> None:
        file = MetricsFile(tmp_path, attempt, fence=lambda: None)
        for step in steps:
            file.write(StepKey(seed=1, step=step, branch=branch), {"train/loss": Mean(attempt)})

    begin_attempt(tmp_path, resumed_from=0)
    write(1, 0, 0, 1, 2, 3, 4)
    begin_attempt(tmp_path, resumed_from=2, branch=1, reason="rollback")
    begin_attempt(tmp_path, resumed_from=2, branch=1)
    assert [row["step"] for row in read_line(tmp_path)] == [0, 1, 2]
    write(3, 1, 3)
    begin_attempt(tmp_path, resumed_from=3, branch=2, reason="rollback")
    begin_attempt(tmp_path, resumed_from=3, branch=2)
    write(5, 2, 4)
    line = read_line(tmp_path)
    assert [row["branch"] for row in line] == [0, 0, 0, 1, 2]
    assert [row["step"] for row in line] == [0, 1, 2, 3, 4]
    assert [row["step"] for row in read_line(tmp_path, until=1)] == [0, 1]
    assert forks(read_attempts(tmp_path)) == {1: 2, 2: 3}


@pytest.mark.parametrize(
    ("change", "message", "key"),
    [
        ({"world_size": 2}, "used 2 ranks, this start has 1", None),
        ({"threads": 1}, "set cluster.threads=1", "cluster.threads"),
        ({"prompts_fingerprint": "q"}, "are not those this run began with", "data"),
    ],
)
def test_a_process_that_cannot_continue_exactly_is_refused(
    change: dict[str, object], message: str, key: str | None
) -> None:
    now = ProcessSetup(world_size=1, threads=2, prompts_fingerprint="p")
    before = replace(now, **change)  # type: ignore[arg-type]
    check_fits(now, now, allowed=frozenset())
    with pytest.raises(UserError, match=message):
        check_fits(before, now, allowed=frozenset())
    if key is not None:
        check_fits(before, now, allowed=frozenset({key}))


def test_a_file_is_hashed_as_it_is_written_and_loads_again(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    content: dict[str, Any] = {"weights": torch.arange(1000.0), "more": [torch.ones(3), ("x", 1)]}
    written = write_file(path, content)
    assert written.size == path.stat().st_size
    assert written.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    loaded = torch.load(path, weights_only=True)
    assert torch.equal(loaded["weights"], content["weights"])
    assert loaded["more"][1] == ("x", 1)


def test_a_snapshot_does_not_change_with_what_it_was_taken_from() -> None:
    live: dict[str, Any] = {
        "a": torch.zeros(2),
        "b": [torch.zeros(1), {"c": torch.zeros(1)}],
        "d": [0],
    }
    copied, shared = on_host(live), on_host(live, copy=False)
    live["a"] += 1
    live["b"][1]["c"] += 1
    live["d"].append(1)
    assert copied["a"].tolist() == [0, 0]
    assert copied["b"][1]["c"].item() == 0
    assert copied["d"] == [0]
    assert shared["a"].tolist() == [1, 1]


# --- roll-backs that are undone ------------------------------------------------------------------


def write_rows(run_dir: Path, attempt: int, branch: int, *steps: int) -> None:
    file = MetricsFile(run_dir, attempt, fence=lambda: None)
    for step in steps:
        file.write(StepKey(seed=1, step=step, branch=branch), {"train/loss": Mean(attempt)})


def finished(run_dir: Path, steps: int) -> None:
    """A run that is done after so many steps, with a checkpoint that is due to its end alone."""
    begin_attempt(run_dir, resumed_from=0)
    write_rows(run_dir, 1, 0, *range(steps + 1))
    checkpoint(run_dir, step=steps, scheduled=False)
    write_done(run_dir, steps)


def test_an_undone_roll_back_leaves_a_finished_run_finished(tmp_path: Path) -> None:
    finished(tmp_path, 3)
    assert roll_back(tmp_path, healthy_below=0.25).step == 0
    assert not list(candidates(tmp_path))
    undone = undo_roll_back(tmp_path)
    assert (undone.branch, undone.step, undone.finished) == (0, 3, True)
    assert read_done(tmp_path) == 3
    assert [found.state.step for found in candidates(tmp_path)] == [3]
    assert [row["step"] for row in read_line(tmp_path)] == [0, 1, 2, 3]
    assert forks(read_attempts(tmp_path)) == {}
    assert [attempt.branch for attempt in read_attempts(tmp_path)] == [0, 1, 0]


def test_an_undone_roll_back_does_not_make_a_stopped_run_finished(tmp_path: Path) -> None:
    finished(tmp_path, 3)
    (tmp_path / "summary.json").write_text(json.dumps({"status": "done", "steps": 3}))
    remove_done(tmp_path)  # more steps were asked for, and the run was stopped on its way
    begin_attempt(tmp_path, resumed_from=3)
    roll_back(tmp_path, healthy_below=0.25)
    undone = undo_roll_back(tmp_path)
    assert (undone.step, undone.finished) == (3, False)
    assert read_done(tmp_path) is None


def test_a_roll_back_reads_the_checkpoint_that_it_takes_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begin_attempt(tmp_path, resumed_from=0)
    checkpoint(tmp_path, step=10)
    open_run_folder(tmp_path, composed())
    read: list[Path] = []

    def counted(path: Path) -> str:
        read.append(path)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr("rlavr_hpc.runs.checkpoints.sha256_of", counted)
    assert call(["rollback", str(tmp_path), "--force"]) == 0, capsys.readouterr()
    assert sorted(path.name for path in read) == ["a.pt", "b.pt"]


def test_an_undone_roll_back_counts_as_none(tmp_path: Path) -> None:
    finished(tmp_path, 3)
    for _ in range(2):
        assert roll_back(tmp_path, healthy_below=0.25).branch == 1
        undo_roll_back(tmp_path)
    roll_back(tmp_path, healthy_below=0.25)
    assert roll_back(tmp_path, healthy_below=0.25).branch == 2


def test_two_undone_roll_backs_of_a_finished_run_leave_it_finished(tmp_path: Path) -> None:
    finished(tmp_path, 3)
    for _ in range(2):
        roll_back(tmp_path, healthy_below=0.25)
    assert not undo_roll_back(tmp_path).finished
    assert undo_roll_back(tmp_path).finished
    assert read_done(tmp_path) == 3


def test_two_roll_backs_are_undone_one_after_the_other(tmp_path: Path) -> None:
    begin_attempt(tmp_path, resumed_from=0)
    for step in (10, 20, 30):
        checkpoint(tmp_path, step=step)
    roll_back(tmp_path, healthy_below=0.25, to=20)
    roll_back(tmp_path, healthy_below=0.25, to=10)
    undo_roll_back(tmp_path)
    assert [found.state.step for found in candidates(tmp_path)] == [20, 10]
    undo_roll_back(tmp_path)
    assert [found.state.step for found in candidates(tmp_path)] == [30, 20, 10]
    with pytest.raises(UserError, match="no roll-back to undo"):
        undo_roll_back(tmp_path)


def test_a_roll_back_whose_branch_has_begun_is_not_undone(tmp_path: Path) -> None:
    finished(tmp_path, 3)
    roll_back(tmp_path, healthy_below=0.25)
    begin_attempt(tmp_path, resumed_from=0, branch=1)
    with pytest.raises(UserError, match="branch 1 has begun"):
        undo_roll_back(tmp_path)
    assert len(read_attempts(tmp_path)) == 3


def test_without_a_roll_back_there_is_nothing_to_undo(tmp_path: Path) -> None:
    for begun in (False, True):
        if begun:
            begin_attempt(tmp_path, resumed_from=0)
        with pytest.raises(UserError, match="no roll-back to undo"):
            undo_roll_back(tmp_path)


def test_only_a_token_that_older_versions_do_not_know_has_the_new_version(tmp_path: Path) -> None:
    finished(tmp_path, 3)
    roll_back(tmp_path, healthy_below=0.25)
    undo_roll_back(tmp_path)
    assert [attempt.version for attempt in read_attempts(tmp_path)] == [2, 3, 3]
    stopped = tmp_path / "stopped"
    begin_attempt(stopped, resumed_from=0)
    roll_back(stopped, healthy_below=0.25)
    assert '"finished"' not in (stopped / "attempts/2.json").read_text()
    assert [attempt.version for attempt in read_attempts(stopped)] == [2, 2]


def test_steps_that_were_rolled_back_are_counted_once(tmp_path: Path) -> None:
    begin_attempt(tmp_path, resumed_from=0)
    write_rows(tmp_path, 1, 0, 0, 1, 2, 3, 4)
    assert steps_left_behind(tmp_path) == 0
    begin_attempt(tmp_path, resumed_from=2, branch=1, reason="rollback")
    assert steps_left_behind(tmp_path) == 2
    begin_attempt(tmp_path, resumed_from=2, branch=1)
    write_rows(tmp_path, 3, 1, 3)
    assert steps_left_behind(tmp_path) == 2
