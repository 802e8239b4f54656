"""What goes wrong on clusters, for real: full and read-only disks, damage, zombies, bad moments."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rlavr_hpc.telemetry.sinks import read_metrics
from tests.support.commands import (
    CARE,
    REPOSITORY,
    SIX_STEPS,
    TINY,
    TINY_FILE,
    command,
    learnt_hash,
    metrics,
    purchases,
    results,
    rlavr,
    run,
    summary,
    wait_for_step,
    weights_hash,
)


def assert_same(folder: Path, finished: Path) -> None:
    assert weights_hash(folder, 6) == weights_hash(finished, 6)
    assert learnt_hash(folder, 6) == learnt_hash(finished, 6)
    assert purchases(folder) == purchases(finished)
    assert results(read_metrics(folder)) == results(metrics(finished))
    verified = rlavr("ledger", "verify", str(folder))
    assert verified.returncode == 0, verified.stderr


def start(folder: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "rlavr_hpc.run", *SIX_STEPS, f"run_dir={folder}", *more],
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )


def unfinished_copy(finished: Path, folder: Path) -> Path:
    shutil.copytree(finished, folder)
    (folder / "DONE.json").unlink()
    return folder


def test_damaged_checkpoints_are_passed_over_and_what_they_held_is_done_again(
    finished: Path, tmp_path: Path
) -> None:
    folder = unfinished_copy(finished, tmp_path / "run")
    [newest] = (folder / "checkpoints/step_6/shards").glob("*optim_states.pt")
    os.truncate(newest, newest.stat().st_size - 1)
    [older] = (folder / "checkpoints/step_4/shards").glob("*optim_states.pt")
    content = bytearray(older.read_bytes())
    content[len(content) // 2] ^= 1
    older.write_bytes(content)
    again = run(*SIX_STEPS, f"run_dir={folder}")
    assert again.returncode == 0, again.stderr
    assert "step_6 is skipped: shards/" in again.stderr
    assert "bytes instead of" in again.stderr
    assert "step_4 is skipped: shards/" in again.stderr
    assert "does not have the content it was written with" in again.stderr
    assert summary(folder)["attempts"] == 2
    assert [row["step"] for row in metrics(folder, 2)] == [0, 1, 2, 3, 4, 5, 6]
    assert_same(folder, finished)


def test_a_run_killed_after_its_last_step_has_nothing_to_do_again(
    finished: Path, tmp_path: Path
) -> None:
    folder = unfinished_copy(finished, tmp_path / "run")
    (folder / "summary.json").unlink()
    again = run(*SIX_STEPS, f"run_dir={folder}")
    assert again.returncode == 0, again.stderr
    assert (folder / "DONE.json").exists()
    assert metrics(folder, 2) == []
    assert_same(folder, finished)


def test_lost_lines_behind_a_checkpoint_are_an_error_and_not_bought_again(
    finished: Path, tmp_path: Path
) -> None:
    folder = unfinished_copy(finished, tmp_path / "run")
    ledger = folder / "ledger/1.jsonl"
    lines = ledger.read_text().splitlines(keepends=True)
    ledger.write_text("".join(lines[:-3]))
    again = run(*SIX_STEPS, f"run_dir={folder}")
    assert again.returncode == 1
    assert "some are lost; restore the files" in again.stderr
    assert not (folder / "attempts/2.json").exists()
    ledger.write_text("".join(lines))
    rows = (folder / "metrics/1.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics/1.jsonl").write_text("".join(rows[:2] + rows[3:]))
    again = run(*SIX_STEPS, f"run_dir={folder}")
    assert again.returncode == 1
    assert "has no row of step 2, which comes before the checkpoint of step 6" in again.stderr


def test_two_processes_started_at_once_leave_one_run(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    first, second = start(folder), start(folder)
    told = [process.communicate(timeout=300)[1] for process in (first, second)]
    codes = sorted((first.returncode, second.returncode))
    assert codes == [0, 77], told
    loser = told[0] if first.returncode == 77 else told[1]
    assert "was superseded" in loser
    assert "what it writes from now on does not count" in loser
    assert_same(folder, finished)


def contents(folder: Path) -> dict[Path, bytes]:
    """All files, without those of a checkpoint that was never made complete: they do not count."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {p: p.read_bytes() for p in files if not any(x.endswith(".tmp") for x in p.parts)}


def test_a_process_that_slept_through_its_successor_stops_and_changes_nothing(
    finished: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    sleeper = start(folder)
    wait_for_step(folder, 2)
    sleeper.send_signal(signal.SIGSTOP)
    successor = run(*SIX_STEPS, f"run_dir={folder}")
    assert successor.returncode == 0, successor.stderr
    before = contents(folder)
    sleeper.send_signal(signal.SIGCONT)
    _, told = sleeper.communicate(timeout=120)
    assert sleeper.returncode == 77, told
    assert "was superseded" in told
    after = contents(folder)
    assert after.keys() == before.keys()
    changed = {str(p.relative_to(folder)) for p in after if after[p] != before[p]}
    assert changed <= {"ledger/1.jsonl", "metrics/1.jsonl"}, "its own segments, behind their seals"
    assert_same(folder, finished)


@pytest.mark.parametrize(
    ("kind", "number", "last"),
    [pytest.param("evaluation", 2, 3, marks=pytest.mark.slow), ("step", 5, 4)],
)
def test_work_that_no_longer_fits_is_given_up_and_the_run_equals_an_undisturbed_one(
    finished: Path, tmp_path: Path, kind: str, number: int, last: int
) -> None:
    """The evaluation of step 3 is owed to the next attempt; step 5 is done again."""
    folder = tmp_path / "run"
    arguments = [*SIX_STEPS, "cluster.grace_seconds=0", f"run_dir={folder}"]
    stopped = command("tests.support.asked_to_stop", kind, str(number), "0", *arguments)
    assert stopped.returncode == 75, stopped.stderr
    assert f"stopped after step {last} of 6, checkpoint written" in stopped.stderr
    done = [row["step"] for row in metrics(folder)]
    assert done == list(range(last if kind == "evaluation" else last + 1))
    manifest = json.loads((folder / f"checkpoints/step_{last}/MANIFEST.json").read_text())
    assert (manifest["state"]["owed"] is not None) == (kind == "evaluation")
    continued = run(*SIX_STEPS, f"run_dir={folder}")
    assert continued.returncode == 0, continued.stderr
    redone = [row["step"] for row in metrics(folder, 2)]
    assert redone == list(range(last if kind == "evaluation" else last + 1, 7))
    assert_same(folder, finished)


@pytest.mark.vllm
@pytest.mark.ranks
def test_a_signal_on_one_rank_has_all_ranks_give_up_generating_with_vllm(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    stopped = command(
        "tests.support.asked_to_stop",
        "step",
        "3",
        "1",
        *TINY,
        *CARE,
        "rollout=vllm",
        "steps=6",
        "save_every=2",
        "cluster.grace_seconds=0",
        f"run_dir={folder}",
        ranks=2,
    )
    assert stopped.returncode == 1, "torchrun's own"
    assert json.loads((folder / "status.json").read_text())["exit_code"] == 75
    assert "stopped after step 2 of 6, checkpoint written" in stopped.stderr
    assert [row["step"] for row in metrics(folder)] == [0, 1, 2]
    assert (folder / "checkpoints/step_2/MANIFEST.json").is_file()


@pytest.mark.ranks
def test_a_full_disk_under_a_checkpoint_stops_both_ranks_and_loses_nothing(
    small_disk: Path,
) -> None:
    filler, folder = small_disk / "filler", small_disk / "run"
    filler.write_bytes(b"x" * (11 * 2**20))
    arguments = [*TINY, "acquisition=full", "rollout=hf", "steps=2", "eval_every=0"]
    arguments += [f"run_dir={folder}"]
    full = run(*arguments, ranks=2)
    assert full.returncode == 1
    assert "checkpoints/step_2: cannot be written (" in full.stderr
    assert "older checkpoints are intact" in full.stderr
    assert "Traceback" not in full.stderr.split("torch/distributed")[0]
    assert not list(folder.glob("checkpoints/step_*"))
    spent = purchases(folder)
    assert len(spent) == 2 * 16
    filler.unlink()
    again = run(*arguments, ranks=2)
    assert again.returncode == 0, again.stderr
    assert purchases(folder)[: len(spent)] == spent
    assert rlavr("ledger", "verify", str(folder)).returncode == 0


def test_a_folder_that_became_read_only_is_one_clear_error(small_disk: Path) -> None:
    folder = small_disk / "run"
    arguments = [*TINY, "acquisition=random", "rollout=hf", "eval_every=0", f"run_dir={folder}"]
    assert run(*arguments, "steps=1").returncode == 0
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    refused = run(*arguments, "steps=2")
    assert refused.returncode == 2
    assert "cannot be written" in refused.stderr
    assert "is read-only" in refused.stderr
    assert "Traceback" not in refused.stderr
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    again = run(*arguments, "steps=2")
    assert again.returncode == 0, again.stderr
    assert summary(folder)["steps"] == 2


def test_other_prompts_in_the_same_file_are_refused_even_without_a_checkpoint(
    tmp_path: Path,
) -> None:
    data, folder = tmp_path / "data.jsonl", tmp_path / "run"
    rows = [json.dumps({"prompt": f"what is {i}", "answer": str(i)}) for i in range(20)]
    data.write_text("\n".join(rows))
    arguments = [*TINY_FILE, "data=jsonl", f"data.path={data}", "acquisition=random", "rollout=hf"]
    arguments += ["eval_every=0", f"run_dir={folder}"]
    first = run(*arguments, "steps=1")
    assert first.returncode == 0, first.stderr
    shutil.rmtree(folder / "checkpoints")
    data.write_text("\n".join([*rows, json.dumps({"prompt": "what is more", "answer": "1"})]))
    refused = run(*arguments, "steps=2")
    assert refused.returncode == 2, refused.stderr
    assert "are not those this run began with" in refused.stderr
    data.write_text("\n".join(rows))
    again = run(*arguments, "steps=2")
    assert again.returncode == 0, again.stderr
