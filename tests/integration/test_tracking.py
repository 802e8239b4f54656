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

from rlavr_hpc.telemetry.sinks import read_metrics
from rlavr_hpc.telemetry.wandb_files import read_wandb_file, wandb_files, wandb_records
from tests.support.commands import (
    CARE,
    REPOSITORY,
    TINY,
    command,
    metrics,
    results,
    run,
    summary,
    wait_for_step,
)
from tests.support.mirrored_attempt import wandb_processes

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
            row = {item.nested_key[0]: json.loads(item.value_json) for item in record.item}
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
        [sys.executable, "-m", "rlavr_hpc.run", *arguments], cwd=REPOSITORY,
        stderr=subprocess.PIPE, env={**os.environ, **SECRETS},
    ) as started:  # fmt: skip
        wait_for_step(folder, 2)
        wait_for_wandb(folder)
        [wandb] = wandb_processes(started.pid)
        os.kill(wandb, signal.SIGTERM)
        started.send_signal(signal.SIGTERM)
        _, errors = started.communicate(timeout=120)
    assert (started.returncode, b"wandb" in errors) == (75, False), errors
    assert [read_wandb_file(path).last for path in wandb_files(folder)] == [
        None,
        len(metrics(folder)) - 1,
    ]
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
    killed = command(script, str(tmp_path), "1", "40", "kill")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    [path] = wandb_files(tmp_path)
    os.truncate(path, 2 * 32768)
    cut = read_wandb_file(path)
    assert cut.cut
    assert cut.last is not None
    assert 21 < cut.last < 40
    continued = command(script, str(tmp_path), "21", "45")
    assert continued.returncode == 0, continued.stderr
    assert [row["step"] for row in dashboard(tmp_path)] == list(range(1, 46))
    attempts = [row["attempt"] for row in dashboard(tmp_path)]
    assert attempts == [1] * cut.last + [2] * (45 - cut.last)
