"""Models, runs and checkpoints on test sets, as a user starts it."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rlavr_hpc.errors import CheckpointError, UserError
from rlavr_hpc.testbed.base_model import Recipe
from rlavr_hpc.testbed.model_cache import ensure_base_model
from rlavr_hpc.testbed.questions import make_world
from tests.support.commands import REPOSITORY, TINY, metrics, rlavr, run

GREEDY = ("--temperature", "0", "--samples", "2")
SHARED = REPOSITORY.parent / "shared" / "data"


def evaluate(
    *arguments: str, ranks: int = 1, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return rlavr("evaluate", *arguments, ranks=ranks, environment=environment)


def told(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def answers(path: Path) -> dict[str, list[str | None]]:
    rows = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    return {row["id"]: row["answers"] for row in rows}


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose own evaluation always takes the likeliest token."""
    folder = tmp_path_factory.mktemp("run") / "r"
    settings = [o for o in TINY if not o.startswith("data.eval_limit")]
    done = run(
        *settings,
        "rollout=hf",
        "steps=4",
        "save_every=2",
        "acquisition=full",
        "eval.temperature=0.0001",
        f"run_dir={folder}",
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def base_model() -> Path:
    return ensure_base_model(
        Recipe(kinds="HMHHMHXX", wrong_rule=0, seed=0, steps=400, tied=False), quiet=True
    )


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    """Sixty questions as a file."""
    asked = make_world("HMHHMHXX", wrong_rule=0).hopeful[:60]
    path = tmp_path / "questions.jsonl"
    rows = [{"prompt": q.text, "answer": str(q.truth), "id": q.name} for q in asked]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_run_is_measured_at_its_newest_checkpoint_as_it_measured_itself(
    run_dir: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = [str(run_dir), "--on", "held_out", *GREEDY, "--json", "--out", str(out)]
    done = evaluate(*arguments)
    assert done.returncode == 0, done.stderr
    found = told(out / "held_out.json")
    assert json.loads(done.stdout) == [found]
    rows = metrics(run_dir)
    for name in ("mean@2", "pass@2", "maj@2"):
        assert found["statistics"][name]["value"] == pytest.approx(
            rows[-1][f"eval/held_out/{name}"]
        )
    own = [row["eval/held_out/mean@2"] for row in (rows[0], rows[-1])]
    assert own[0] != own[1], "the base model could not be told apart"
    assert (found["model"]["name"], found["settings"]["engine"]) == ("r/step_4", "hf")
    assert sorted(p.name for p in out.iterdir()) == [".lock", "held_out.json", "held_out.jsonl"]
    again = evaluate(*arguments)
    assert "holds everything already" in again.stderr
    assert (again.returncode, json.loads(again.stdout)) == (0, [found])
    labels = {"truth", "label", "answer", "gold"}
    lines = (out / "held_out.jsonl").read_text().splitlines()
    assert not any(labels & json.loads(line).keys() for line in lines[1:])


def kill_midway(arguments: list[str], path: Path, number: signal.Signals) -> tuple[int, str]:
    """Send a signal once at least six problems more are on disk than at the start."""
    target = (path.read_text().count("\n") if path.exists() else 1) + 6
    command = [sys.executable, "-m", "rlavr_hpc", "evaluate", *arguments]
    with subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True) as started:
        deadline = time.monotonic() + 200
        while not (path.exists() and path.read_text().count("\n") >= target):
            assert time.monotonic() < deadline
            assert started.poll() is None
            time.sleep(0.002)
        started.send_signal(number)
        _, errors = started.communicate(timeout=120)
    return started.returncode, errors


def test_a_model_folder_stopped_killed_and_torn_gives_the_results_of_an_undisturbed_one(
    base_model: Path, questions: Path, tmp_path: Path
) -> None:
    arguments = [str(base_model), "--on", str(questions), "--engine", "hf", "--dtype", "float32"]
    arguments += ["--chunk", "3", "--max-response-tokens", "8", "--temperature", "1", "--out"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    undisturbed = evaluate(*arguments, str(whole))
    assert undisturbed.returncode == 0, undisturbed.stderr
    record = cut / "questions.jsonl"
    code, errors = kill_midway([*arguments, str(cut)], record, signal.SIGTERM)
    assert code == 75, errors
    assert "stopped after" in errors
    kill_midway([*arguments, str(cut)], record, signal.SIGKILL)
    assert not (cut / "questions.json").exists()
    record.write_bytes(record.read_bytes()[:-30])
    finished = evaluate(*arguments, str(cut))
    assert (finished.returncode, finished.stdout) == (0, undisturbed.stdout), finished.stderr
    for name in ("questions.json", "questions.jsonl"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes(), name
    distinct = {a for row in answers(record).values() for a in row}
    assert len(distinct) > 20, "hardly anything was drawn at random"


@pytest.mark.ranks
def test_a_checkpoint_put_together_is_the_policy_that_its_ranks_held(two_ranks: Path) -> None:
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    policy = load_file(two_ranks / "policy.safetensors")
    model = AutoModelForCausalLM.from_pretrained(two_ranks / "model", dtype=torch.bfloat16)
    named = dict(model.named_parameters(remove_duplicate=False))
    assert named.keys() == policy.keys()
    assert all(torch.equal(named[name], policy[name]) for name in policy)
    assert model.lm_head.weight is model.model.embed_tokens.weight


@pytest.mark.ranks
@pytest.mark.vllm
def test_two_ranks_with_vllm_and_one_with_transformers_measure_the_same(
    two_ranks: Path, tmp_path: Path
) -> None:
    """Always the likeliest token, in float32, so that the engines cannot differ by chance."""
    limits = [f"{two_ranks}/run/checkpoints/step_2", "--on", "held_out", *GREEDY]
    limits += ["--dtype", "float32", "--out"]
    one = evaluate(*limits, str(tmp_path / "1"))
    assert one.returncode == 0, one.stderr
    two = evaluate(*limits, str(tmp_path / "2"), "--engine", "vllm", "--chunk", "7", ranks=2)
    assert two.returncode == 0, two.stderr
    assert (two.stdout, two.stdout.count("mean@2")) == (one.stdout, 1)
    assert len(answers(tmp_path / "1/held_out.jsonl")) == 8
    assert answers(tmp_path / "2/held_out.jsonl") == answers(tmp_path / "1/held_out.jsonl")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["/nowhere"], "/nowhere does not exist"),
        (["--on", "poetry"], "no such test set"),
        (["--on", "aime24", "--data-dir", "/nowhere"], "/nowhere/math/aime24.json does not exist"),
        (["--samples", "0"], "--samples=0 must be at least 1"),
        (["--tensor-parallel", "2", "--engine", "vllm"], "does not divide the 1 ranks"),
        (["--max-response-tokens", "5000"], "the model holds 4096; lower --max-response-tokens"),
        (["--out", "FILE/below"], "cannot be written"),
    ],
)
def test_a_mistake_is_one_message(
    run_dir: Path, tmp_path: Path, change: list[str], message: str
) -> None:
    (tmp_path / "file").write_text("")
    given = [text.replace("FILE", str(tmp_path / "file")) for text in change]
    model = [str(run_dir)] if given[0].startswith("--") else []
    out = [] if "--out" in given else ["--out", str(tmp_path / "out")]
    done = evaluate(*model, "--on", "held_out", *out, *given)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("rlavr: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_that_is_missing_or_damaged_is_not_read(run_dir: Path, tmp_path: Path) -> None:
    from rlavr_hpc.runs.checkpoints import read_checkpoint

    folder = tmp_path / "checkpoints"
    shutil.copytree(run_dir / "checkpoints", folder)
    assert read_checkpoint(folder / "step_2").state.step == 2
    with pytest.raises(UserError, match="not a complete checkpoint; there are: step_4, step_2"):
        read_checkpoint(folder / "step_3")
    shard = next((folder / "step_2/shards").glob("*optim_states.pt"))
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="bytes instead of"):
        read_checkpoint(folder / "step_2")


@pytest.mark.data
@pytest.mark.skipif(
    not SHARED.is_dir(), reason="the shared data folder is not beside the repository"
)
def test_real_test_sets_are_measured_by_name_and_by_file(base_model: Path, tmp_path: Path) -> None:
    sets = f"aime24,math500,{SHARED / 'kk/3ppl-test.parquet'}"
    done = evaluate(
        str(base_model),
        "--on",
        sets,
        "--engine",
        "hf",
        "--limit",
        "2",
        "--samples",
        "2",
        "--max-response-tokens",
        "8",
        "--out",
        str(tmp_path / "o"),
        environment={"RLAVR_DATA": str(SHARED)},
    )
    assert done.returncode == 0, done.stderr
    for name in ("aime24", "math500", "3ppl-test"):
        found = told(tmp_path / f"o/{name}.json")
        assert (found["problems"], found["statistics"]["mean@2"]["value"]) == (2, 0.0)


@pytest.mark.slow
def test_a_hub_name_is_measured_and_known_by_its_commit(
    base_model: Path, questions: Path, tmp_path: Path
) -> None:
    commit, repository = "0123456789abcdef" * 2 + "01234567", tmp_path / "hub/models--tiny--model"
    shutil.copytree(base_model, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text(commit)
    done = evaluate(
        "tiny/model",
        "--on",
        str(questions),
        "--engine",
        "hf",
        "--limit",
        "2",
        "--out",
        str(tmp_path / "o"),
        environment={"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path / "hub")},
    )
    assert done.returncode == 0, done.stderr
    assert told(tmp_path / "o/questions.json")["model"]["fingerprint"] == commit
