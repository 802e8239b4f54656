"""The dashboard's mirror with the real wandb, which writes files and needs no network."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rlavr_hpc.telemetry.examples.record import read_examples
from rlavr_hpc.telemetry.sinks import read_metrics
from rlavr_hpc.telemetry.wandb.files import (
    read_artifacts,
    read_rows,
    read_wandb_file,
    wandb_files,
    wandb_records,
)
from tests.support.commands import (
    CARE,
    REPOSITORY,
    TINY,
    command,
    metrics,
    purchases,
    results,
    rlavr,
    run,
    summary,
    wait_for_step,
)
from tests.support.mirrored_attempt import wandb_processes
from tests.support.tensorboard_reader import scalars

CANARY = "canary-7f3a9-canary-7f3a9-canary-7f3a9-c"
SECRETS = dict.fromkeys(
    ("WANDB_API_KEY", "SLURM_AUTH_TOKEN", "SLURM_DB_PASSWORD", "SLURM_A_SECRET", "MY_KEY"), CANARY
)


def told(run_dir: Path) -> Iterator[tuple[str, Any]]:
    """(kind, record) of all attempts in order, taken apart by wandb's own protocol."""
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

    for path in wandb_files(run_dir):
        for _, content in wandb_records(path.read_bytes()):
            record = Record()
            record.ParseFromString(content)
            kind = str(record.WhichOneof("record_type"))
            yield kind, getattr(record, kind)


def dashboard(run_dir: Path) -> list[dict[str, Any]]:
    """The rows that a dashboard has after all attempts were sent.

    wandb numbers a row anew that is not above those before it, so that it would stand there twice.
    """
    rows: list[dict[str, Any]] = []
    for kind, record in told(run_dir):
        if kind == "history":
            items = [item for item in record.item if len(item.nested_key) == 1]  # tables apart
            row = {item.nested_key[0]: json.loads(item.value_json) for item in items}
            assert not rows or row["_step"] > rows[-1]["_step"]
            rows.append(row)
    return rows


def test_a_run_preempted_with_wandbs_process_and_continued_is_one_whole_run_there(
    tmp_path: Path,
) -> None:
    """Slurm's TERM reaches every process of a job step, and wandb's own ends at once.

    The checkpoint is lost too, so that the next attempt does every step again.
    """
    folder = tmp_path / "run"
    arguments = [*TINY, *CARE, "rollout=hf", "steps=6", "eval_every=3", "save_every=0"]
    arguments += ["tracking=offline", "name=my-sweep", f"run_dir={folder}"]
    with subprocess.Popen(
        [sys.executable, "-m", "rlavr_hpc.run", *arguments],
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        env={**os.environ, **SECRETS},
    ) as started:
        wait_for_step(folder, 2)
        wait_for_wandb(folder)
        [wandb] = wandb_processes(started.pid)
        os.kill(wandb, signal.SIGTERM)
        started.send_signal(signal.SIGTERM)
        _, errors = started.communicate(timeout=120)
    assert (started.returncode, b"wandb" in errors) == (75, False), errors
    first, second = (read_wandb_file(path) for path in wandb_files(folder))
    assert (first.ended, second.ended, second.last) == (False, True, len(metrics(folder)) - 1)
    shutil.rmtree(folder / "checkpoints")
    continued = run(*arguments, environment=SECRETS)
    assert continued.returncode == 0, continued.stderr
    assert summary(folder)["attempts"] == 2
    assert_mirrored(folder)
    everything = list(told(folder))
    runs = [record for kind, record in everything if kind == "run"]
    assert {(r.run_id, r.run_group, r.job_type) for r in runs} == {
        (runs[0].run_id, "my-sweep", "train")
    }
    assert runs[0].run_id.startswith("my-sweep-")
    ends = [
        (kind, getattr(r, "exit_code", 0))
        for kind, r in everything
        if kind in ("preempting", "exit")
    ]
    assert ends == [("preempting", 0), ("exit", 75), ("exit", 0)]
    assert set(runs[0].tags) == {
        "policy:care",
        "budget:0.2",
        "model:testbed",
        "engine:hf",
        "seed:1",
    }
    kinds = [record.type for kind, record in everything if kind == "artifact"]
    # the second attempt has bought more, and adds no copy of the table or the config
    assert kinds == ["run_table", "config", "ledger", "ledger"]
    for path in folder.rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes(), path


def wait_for_wandb(folder: Path) -> None:
    """Until its file is there: it begins beside the steps."""
    deadline = time.monotonic() + 60
    while not wandb_files(folder) and time.monotonic() < deadline:
        time.sleep(0.01)


def assert_mirrored(folder: Path) -> None:
    """The dashboard has every row of the record once, with its values."""
    there, record = dashboard(folder), read_metrics(folder)
    own = ("_step", "_runtime", "_timestamp")
    rows = [{k: v for k, v in row.items() if k not in own} for row in there]
    assert results(rows) == [{k: v for k, v in row.items() if k != "v"} for row in results(record)]
    assert [row["_step"] for row in there] == [row["step"] for row in record] == list(range(7))


def test_rows_that_a_killed_attempt_lost_are_shown_by_the_next_and_none_twice(
    tmp_path: Path,
) -> None:
    """A kill leaves whole blocks; the next attempt does steps 21 to 40 again."""
    script = "tests.support.mirrored_attempt"
    blocks = 2 * 32768
    killed = command(script, str(tmp_path), "1", "40", "kill", str(blocks))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    [path] = wandb_files(tmp_path)
    os.truncate(path, blocks)
    cut = read_wandb_file(path)
    assert cut.cut
    assert cut.last is not None
    assert 21 < cut.last < 40
    continued = command(script, str(tmp_path), "21", "45")
    assert continued.returncode == 0, continued.stderr
    assert [row["step"] for row in dashboard(tmp_path)] == list(range(1, 46))
    attempts = [row["attempt"] for row in dashboard(tmp_path)]
    assert attempts == [1] * cut.last + [2] * (45 - cut.last)


@pytest.mark.slow
def test_runs_that_were_killed_again_and_again_are_rebuilt_whole_from_their_record(
    tmp_path: Path,
) -> None:
    folder, given = tmp_path / "run", [*TINY, *CARE, "rollout=hf", "steps=7", "eval_every=3"]
    given += ["save_every=2", "tracking=offline", "tracking.examples_every=3", f"run_dir={folder}"]
    for step in (3, 5):
        kill_after(folder, step, given)
    assert run(*given).returncode == 0
    record, examples = read_metrics(folder), read_examples(folder)
    assert summary(folder)["attempts"] == 3
    assert [(row["branch"], row["step"]) for row in record] == [(0, step) for step in range(8)]
    assert sorted({e.step for e in examples}) == [1, 3, 6]

    made = rlavr("track", "rebuild", str(folder), "--offline", "--as", "again")

    assert made.returncode == 0, made.stdout + made.stderr
    [path] = [path for path in wandb_files(folder) if path.stem.endswith("-again")]
    rows = list(read_rows(path))
    assert [plain(row) for row in rows] == [plain(row) for row in record]
    times = [round(row["_timestamp"], 3) for row in rows]
    assert times == [round(row["time"], 3) for row in record]
    tables = [(row["step"], table_of(path, row)) for row in rows if "examples" in row]
    assert [step for step, _ in tables] == [1, 3, 6]
    labels = {purchase[2] for purchase in purchases(folder)} - {None}
    for step, table in tables:
        there = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
        shown = [e for e in examples if e.step == step and not e.labelled]
        ids = [(e.prompt_id, r.sample) for e in shown for r in e.responses]
        assert [(row["prompt_id"], row["sample"]) for row in there] == ids
        assert len(there) == 8
        assert {row["label"] for row in there} == {None}
        assert None not in {row["reward"] for row in there}
    assert labels
    artifacts = [name.rpartition("-")[2] for name, _ in read_artifacts(path)]
    assert artifacts == ["examples", "examples", "examples", "config", "ledger"]
    twice = rlavr("track", "rebuild", str(folder), "--as", "again")
    assert (twice.returncode, "choose another suffix" in twice.stdout) == (1, True)
    assert [path for path in wandb_files(folder) if path.stem.endswith("-again")] == [path]


def test_tensorboard_shows_a_run_that_was_killed_and_resumed_with_each_step_once(
    tmp_path: Path,
) -> None:
    folder, given = tmp_path / "run", [*TINY, *CARE, "rollout=hf", "steps=6", "eval_every=3"]
    given += ["save_every=2", "tracking=tensorboard", f"run_dir={folder}"]
    kill_after(folder, 3, given)
    assert run(*given).returncode == 0
    record = read_metrics(folder)
    points = scalars(folder / "tensorboard")
    assert summary(folder)["attempts"] == 2
    assert [step for step, _ in points["collapse/majority_ratio"]] == list(range(1, 7))
    facts = ("v", "time", "step", "branch", "attempt")
    for name in {name for row in record for name in row if name not in facts}:
        rows = [row for row in record if name in row]
        assert [step for step, _ in points[name]] == [row["step"] for row in rows], name
        values = [value for _, value in points[name]]
        assert values == pytest.approx([row[name] for row in rows], rel=1e-6), name


def kill_after(folder: Path, step: int, given: list[str]) -> None:
    """Start or continue the run, and kill it with wandb's process behind this step's row."""
    with subprocess.Popen(
        [sys.executable, "-m", "rlavr_hpc.run", *given],
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as started:
        wait_for_row(folder, step, started)
        for pid in wandb_processes(started.pid):
            os.kill(pid, signal.SIGKILL)
        started.kill()
    assert started.returncode == -signal.SIGKILL


def wait_for_row(folder: Path, step: int, started: subprocess.Popen[bytes]) -> None:
    """Until the record has this step, from whichever attempt."""
    deadline = time.monotonic() + 250
    while started.poll() is None and time.monotonic() < deadline:
        if folder.exists() and any(row["step"] == step for row in read_metrics(folder)):
            return
        time.sleep(0.02)
    started.kill()
    raise TimeoutError(f"step {step} never came")


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what wandb adds and what is for the record only."""
    own = ("_step", "_runtime", "_timestamp", "v", "time", "examples")
    return {name: value for name, value in row.items() if name not in own}


def table_of(path: Path, row: dict[str, Any]) -> dict[str, Any]:
    """The table that a row of a `.wandb` file names."""
    table: dict[str, Any] = json.loads(
        (path.parent / "files" / row["examples"]["path"]).read_text()
    )
    return table
