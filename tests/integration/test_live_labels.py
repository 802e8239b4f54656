"""Labels from a program: the same run as with the data's own, whatever happens on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlavr_hpc.acquisition.ledger import read_ledger
from rlavr_hpc.errors import ExitCode
from rlavr_hpc.runs.states import run_state
from tests.support.answering import Answering
from tests.support.commands import (
    CARE,
    REPOSITORY,
    SIX_STEPS,
    TINY,
    TINY_FILE,
    learnt_hash,
    metrics,
    purchases,
    results,
    rlavr,
    run,
    weights_hash,
)

LIVE = ("labels/pending", "oracle/label_wrong")
FAST = ("labels.poll=0.1", "labels=command")


def assert_same(folder: Path, finished: Path, *, attempts: int = 1) -> None:
    """Weights, probes, purchases and rows are those of the other run."""
    assert sorted(purchases(folder)) == sorted(purchases(finished))
    assert weights_hash(folder, 6) == weights_hash(finished, 6)
    assert learnt_hash(folder, 6) == learnt_hash(finished, 6)
    rows = [row for attempt in range(1, attempts + 1) for row in metrics(folder, attempt)]
    newest = {row["step"]: {k: v for k, v in row.items() if k not in LIVE} for row in rows}
    assert results([newest[step] for step in sorted(newest)]) == results(metrics(finished))


def test_a_program_with_the_datas_answers_gives_the_run_with_the_datas_labels(
    finished: Path, tmp_path: Path
) -> None:
    folder, program = tmp_path / "run", Answering(tmp_path / "program", finished)
    done = run(*SIX_STEPS, *FAST, program.command(share=2), f"run_dir={folder}")
    assert done.returncode == ExitCode.DONE, done.stderr
    assert_same(folder, finished)
    state = read_ledger(folder)
    assert program.asked == {key: calls for key, (calls, _) in state.orders.calls.items()}, (
        "the ledger says how often each was asked"
    )
    assert state.cost == read_ledger(finished).cost
    verified = rlavr("ledger", "verify", str(folder))
    assert verified.returncode == ExitCode.DONE, verified.stderr


def test_a_run_that_parks_is_answered_by_the_bridge_and_ends_as_one_that_waits(
    finished: Path, tmp_path: Path
) -> None:
    folder, program = tmp_path / "run", Answering(tmp_path / "program", finished)
    parking = (*SIX_STEPS, *FAST, program.command(), f"run_dir={folder}", "labels.pending=park")
    for step in (0, 1):
        parked = run(*parking, "labels.inline=false")
        assert parked.returncode == ExitCode.WAITING_FOR_LABELS, parked.stderr
        assert f"labels of step {step + 1} are pending from command" in parked.stderr
        assert run_state(folder, queue=None).step == step
        served = rlavr("labels", "serve", str(folder), "--once")
        assert served.returncode == ExitCode.DONE, served.stderr
        assert served.stderr.count(" answered") == 4, "a line an order"
    waiting = (*SIX_STEPS, *FAST, program.command(), f"run_dir={folder}")
    assert run(*waiting).returncode == ExitCode.DONE
    assert_same(folder, finished, attempts=3)
    assert set(program.asked.values()) == {1}


def test_a_run_whose_job_and_bridge_are_killed_while_labels_are_pending_loses_nothing(
    finished: Path, tmp_path: Path
) -> None:
    folder, program = tmp_path / "run", Answering(tmp_path / "program", finished)
    waiting = (*SIX_STEPS, *FAST, program.command(share=2), f"run_dir={folder}")
    job = start("rlavr_hpc.run", *waiting, "labels.inline=false")
    orders = folder / "labels/orders/1.jsonl"
    until(lambda: orders.exists() and orders.read_bytes().count(b"\n") == 4)
    until(lambda: said(folder)["state"] == "waiting")
    assert (said(folder)["pending"], said(folder)["source"]) == (4, "command")
    bridge = start("rlavr_hpc", "labels", "serve", str(folder), "--poll", "0.1")
    until(lambda: bool(program.asked))
    for process in (bridge, job):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    again = run(*waiting)
    assert again.returncode == ExitCode.DONE, again.stderr
    assert_same(folder, finished, attempts=2)
    asked = {key: calls for key, (calls, _) in read_ledger(folder).orders.calls.items()}
    assert all(program.asked[key] <= calls for key, calls in asked.items())


def test_a_file_without_any_answer_is_trained_on_and_evaluation_is_left_out(
    tmp_path: Path,
) -> None:
    rows = [{"prompt": f"Say \\boxed{{{i}}}.", "id": f"p{i}"} for i in range(32)]
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    program = tmp_path / "answer.py"
    program.write_text(
        "import json, sys\n"
        "for line in sys.stdin:\n"
        "    order = json.loads(line)\n"
        "    print(json.dumps({'key': order['key'], 'answer': order['prompt_id'][1:]}))\n"
    )
    folder = tmp_path / "run"
    done = run(
        *TINY_FILE,
        *CARE,
        "rollout=hf",
        "steps=2",
        "data=jsonl",
        f"data.path={data}",
        *FAST,
        f"labels.command='{sys.executable} {program}'",
        f"run_dir={folder}",
    )
    assert done.returncode == ExitCode.DONE, done.stderr
    assert all(label == prompt[1:] for _, prompt, label, _ in purchases(folder))
    assert "no held-out prompts" in done.stderr + done.stdout


@pytest.mark.slow
def test_a_run_asks_for_verdicts_and_trains_away_from_the_votes_called_wrong(
    tmp_path: Path,
) -> None:
    program, folder = tmp_path / "judge.py", tmp_path / "run"
    program.write_text(
        "import json, sys\n"
        "for line in sys.stdin:\n"
        "    order = json.loads(line)\n"
        "    said = {'verdict': 'wrong' if int(order['key'][-1], 16) % 2 else 'right'}\n"
        "    said = said if order['ask'] == 'verdict' else {'void': 'no vote'}\n"
        "    print(json.dumps({'key': order['key'], **said}))\n"
    )
    verdicts = ("labels.ask=verdict", "labels.on_wrong=negative", "unlabelled=drop", "budget=0.5")
    done = run(
        *(*TINY, *CARE, "rollout=hf", "steps=3", *FAST, *verdicts),
        f"labels.command='{sys.executable} {program}'",
        f"run_dir={folder}",
    )
    assert done.returncode == ExitCode.DONE, done.stderr
    rows = [row for row in metrics(folder) if "train/negative_groups" in row]
    wrong = [row["labels/wrong_votes"] for row in rows]
    assert [row["train/negative_groups"] for row in rows] == wrong
    assert sum(wrong) > 0
    assert any(row["train/advantage_min"] < 0 for row in rows)
    assert all(0 < row["labels/vote_right"] < 1 for row in rows)
    assert all(row["labels/vote_loss"] > 0 for row in rows)
    settled = [one for step in read_ledger(folder).purchases.values() for one in step.values()]
    assert sum(one.wrong is not None for one in settled) == sum(wrong)


def test_a_run_that_goes_on_sees_late_labels_again_in_the_same_steps(
    finished: Path, tmp_path: Path
) -> None:
    folder, program = tmp_path / "run", Answering(tmp_path / "program", finished)
    going = (*SIX_STEPS, *FAST, program.command(), f"run_dir={folder}", "labels.pending=go_on")
    job = start("rlavr_hpc.run", *going)
    until(lambda: (folder / "checkpoints/step_4").exists())
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()
    before = purchases(folder)
    again = run(*going)
    assert again.returncode == ExitCode.DONE, again.stderr
    after = purchases(folder)
    assert [one for one in after if one[0] <= before[-1][0]] == before
    late = [p.decided for step in read_ledger(folder).purchases.values() for p in step.values()]
    assert any(late), "some came in a later step than they were ordered in"


@pytest.mark.slow
@pytest.mark.vllm
@pytest.mark.ranks
def test_two_ranks_with_vllm_wait_together(tmp_path: Path) -> None:
    common = (*TINY, *CARE, "steps=3", "save_every=2")
    reference, folder = tmp_path / "reference", tmp_path / "run"
    assert run(*common, f"run_dir={reference}", ranks=2).returncode == ExitCode.DONE
    program = Answering(tmp_path / "program", reference)
    live = (*common, *FAST, program.command(share=2), f"run_dir={folder}")
    parked = run(*live, "labels.pending=park", "labels.inline=false", ranks=2)
    assert parked.returncode != ExitCode.DONE  # torchrun has a code of its own
    parked_with = (said(folder)["state"], said(folder)["exit_code"])
    assert parked_with == ("parked", ExitCode.WAITING_FOR_LABELS)
    done = run(*live, ranks=2)
    assert done.returncode == ExitCode.DONE, done.stderr
    assert sorted(purchases(folder)) == sorted(purchases(reference))
    assert weights_hash(folder, 3) == weights_hash(reference, 3)
    assert learnt_hash(folder, 3) == learnt_hash(reference, 3)


def said(folder: Path) -> dict[str, Any]:
    """The heartbeat."""
    loaded: dict[str, Any] = json.loads((folder / "status.json").read_text())
    return loaded


def start(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    """A command in the background, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=REPOSITORY,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
