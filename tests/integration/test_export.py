"""A run's policy as a Hugging Face folder: the same logits, the same sampling, nothing private."""

from __future__ import annotations

import json
import os
import platform
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from rlavr_hpc.cli import call
from rlavr_hpc.testbed.questions import make_world
from tests.support.commands import REPOSITORY, TINY, command, metrics, rlavr

STOP, END = 281, 351
"""The number 35, an extra stop token here, and the testbed's end token."""
SECRET = "canary-4711"
PROMPTS = [q.text for q in make_world("HMHHMHXX", wrong_rule=0).questions[::6]]


def export(*arguments: object) -> int:
    """The command in this process."""
    umask = os.umask(0o027)
    try:
        return call(["export", *map(str, arguments)])
    finally:
        os.umask(umask)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps, one rank, float32; its weights as the trainer held them at the end."""
    out = tmp_path_factory.mktemp("one") / "out"
    done = command(
        "tests.support.policy_weights",
        str(out),
        *TINY,
        "rollout=hf",
        "steps=2",
        "save_every=1",
        "eval_every=0",
        "acquisition=full",
        f"rollout.stop_token_ids=[{STOP}]",
        "rollout.temperature=0.9",
        f"data.system_prompt={SECRET}",
    )
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def exported(trained: Path) -> Path:
    out = trained / "exported"
    assert export(trained / "run", out) == 0
    return out


def as_trained(weights: Path, base: Path, dtype: torch.dtype) -> Any:  # noqa: ANN401
    """A model of the run's architecture that holds exactly the trainer's weights."""
    model: Any = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base), dtype=dtype)
    model.load_state_dict(load_file(weights), strict=True)
    return model.eval()


def logits(model: Any, tokenizer: Any) -> torch.Tensor:  # noqa: ANN401
    with torch.no_grad():
        found: torch.Tensor = model(**tokenizer(PROMPTS, return_tensors="pt")).logits
    return found


def base_of(run_dir: Path) -> Path:
    from rlavr_hpc.runs.folder import read_config
    from rlavr_hpc.trainer.policy.tokenizer import load_tokenizer

    return Path(load_tokenizer(read_config(run_dir), quiet=True).path)


def told(out: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((out / "rlavr_hpc.json").read_text())
    return loaded


def test_transformers_loads_it_and_its_logits_are_those_of_the_trainers_weights(
    trained: Path, exported: Path
) -> None:
    loaded = AutoModelForCausalLM.from_pretrained(exported)
    tokenizer, base = AutoTokenizer.from_pretrained(exported), base_of(trained / "run")
    assert loaded.dtype == torch.float32
    expected = as_trained(trained / "policy.safetensors", base, torch.float32)
    assert torch.equal(logits(loaded, tokenizer), logits(expected, tokenizer))
    assert loaded.lm_head.weight is not loaded.model.embed_tokens.weight
    own = AutoTokenizer.from_pretrained(base)
    assert [tokenizer.encode(p) for p in PROMPTS] == [own.encode(p) for p in PROMPTS]
    generation = GenerationConfig.from_pretrained(exported)
    generation.validate(strict=True)
    sampling = ("do_sample", "temperature", "top_k", "top_p", "max_new_tokens")
    assert [getattr(generation, name) for name in sampling] == [True, 0.9, 0, 1.0, 8]
    assert (generation.eos_token_id, generation.pad_token_id) == ([END, STOP], END + 1)


def test_another_step_and_another_number_format_are_exported_on_demand(
    trained: Path, exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint

    earlier = trained / "run/checkpoints/step_1"
    (tmp_path / "out").mkdir()
    arguments = [earlier, tmp_path / "out", "--dtype", "bfloat16", "--json"]
    assert export(*arguments) == 0
    printed = capsys.readouterr()
    written = json.loads(printed.out)
    assert "newest" not in printed.err
    found = load_file(tmp_path / "out/model.safetensors")
    theirs = get_fp32_state_dict_from_zero_checkpoint(str(earlier), tag="shards")
    prefix = "language_model."
    shards = {n.removeprefix(prefix): w for n, w in theirs.items() if n.startswith(prefix)}
    assert found.keys() == shards.keys()
    assert all(torch.equal(found[name], shards[name].bfloat16()) for name in shards)
    newest = load_file(exported / "model.safetensors")
    assert any(not torch.equal(found[name], newest[name].bfloat16()) for name in shards)
    assert written["provenance"] == told(tmp_path / "out")
    assert {p.name for p in (tmp_path / "out").iterdir()} == written["files"].keys()
    assert [told(out)["origin"]["step"] for out in (tmp_path / "out", exported)] == [1, 2]
    assert [told(out)["spend"]["bought"] for out in (tmp_path / "out", exported)] == [16, 32]
    start, end = (row["eval/held_out/mean@2"] for row in metrics(trained / "run")[::2])
    assert told(exported)["outcome"]["accuracy"] == end
    outcome = told(tmp_path / "out")["outcome"]
    assert (outcome["accuracy"], outcome["last_measured"]) == (None, [0, start])


def test_the_card_says_what_the_run_was_and_nothing_private(trained: Path, exported: Path) -> None:
    card = (exported / "README.md").read_text()
    front = yaml.safe_load(card.split("---\n")[1])
    assert (front["library_name"], "base_model" in front) == ("transformers", False)
    provenance = json.loads((trained / "run/provenance/1.json").read_text())
    for line in (
        "labels bought: 32 of 32 allowed by this step",
        "budget: 100.0% of prompts asked, 100.0% effective (16 of 16 a step)",
        f"code revision: {provenance['git']}",
        "behind a system prompt whose text is not given here",
    ):
        assert line in card
    assert not told(exported)["origin"]["config_changed"]
    private = [SECRET, str(trained), str(Path.home()), str(REPOSITORY), platform.node(), "maps"]
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(text)}(?!\w)" for text in private))
    for path in exported.iterdir():
        assert path.stat().st_mode & 0o777 == 0o640
        if path.suffix != ".safetensors" and path.name != "tokenizer.json":
            assert pattern.findall(path.read_text()) == [], path.name
    labels = {line.get("label") for line in map(json.loads, ledger(trained / "run"))} - {None}
    assert len(labels) > 1
    assert not any(f'"{label}"' in (exported / "rlavr_hpc.json").read_text() for label in labels)


def ledger(run_dir: Path) -> list[str]:
    return (run_dir / "ledger/1.jsonl").read_text().splitlines()


def test_sampling_that_the_base_model_suggests_is_not_passed_on(
    trained: Path, tmp_path: Path
) -> None:
    """Many published models suggest a temperature without `do_sample`, which cannot be saved."""
    from rlavr_hpc.runs.checkpoints import read_checkpoint
    from rlavr_hpc.runs.folder import read_config
    from rlavr_hpc.trainer.checkpoint.consolidate import consolidate
    from rlavr_hpc.trainer.policy.tokenizer import load_tokenizer

    config = read_config(trained / "run")
    base = load_tokenizer(config, quiet=True)
    shutil.copytree(base.path, tmp_path / "base")
    odd = {"temperature": 0.6, "top_k": 20, "eos_token_id": END, "pad_token_id": END + 1}
    (tmp_path / "base/generation_config.json").write_text(json.dumps(odd))
    checkpoint = read_checkpoint(trained / "run/checkpoints/step_2")
    base = replace(base, path=tmp_path / "base")
    consolidate(checkpoint, tmp_path / "out", model=config.model, base=base)
    written = GenerationConfig.from_pretrained(tmp_path / "out")
    assert (written.temperature, written.top_k, written.eos_token_id) == (None, None, [END, STOP])


def test_a_damaged_checkpoint_is_passed_over_and_the_choice_is_told(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir, out = tmp_path / "run", tmp_path / "out"
    shutil.copytree(trained / "run", run_dir)
    shard = next((run_dir / "checkpoints/step_2/shards").glob("*optim_states.pt"))
    shard.write_bytes(shard.read_bytes()[:-1])
    assert export(run_dir, out) == 0
    assert told(out)["origin"]["step"] == 1
    assert "step_1, the newest valid checkpoint (step 1 of 2)" in capsys.readouterr().err
    assert export(run_dir, tmp_path / "other", "--step", 2) == 1
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["RUN", "FULL"], "is not empty; choose another folder"),
        (["RUN", "FULL/notes.txt"], "is a file; name a folder"),
        (["RUN", "FULL/notes.txt/below"], "nothing can be created in"),
        (["RUN", "RUN/checkpoints/step_9"], "is where the run keeps its checkpoints"),
        (["RUN", "OUT", "--step", "7"], "not a complete checkpoint; there are: step_2, step_1"),
        (["FULL", "OUT"], "is neither a run's folder"),
        (["some/model", "OUT"], "only these are exported"),
    ],
)
def test_a_mistake_is_one_message_and_changes_nothing(
    trained: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/notes.txt").write_text("kept")
    places = {"RUN": trained / "run", "FULL": tmp_path / "full", "OUT": tmp_path / "out"}
    for name, step_key in places.items():
        arguments = [text.replace(name, str(step_key)) for text in arguments]
    assert export(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("rlavr: ")
    assert message in error
    assert error.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["full"]
    assert (tmp_path / "full/notes.txt").read_text() == "kept"


def test_a_full_disk_leaves_nothing_and_is_one_message(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        assert export(trained / "run/checkpoints/step_2", tmp_path / "out") == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    error = capsys.readouterr().err
    assert "File too large" in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_killed_export_leaves_no_folder_and_the_next_one_removes_what_it_left(
    trained: Path, exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, work = tmp_path / "out", tmp_path / ".out.export"
    arguments = [str(trained / "run"), str(out)]
    line = [sys.executable, "-m", "rlavr_hpc", "export", *arguments]
    with subprocess.Popen(line, cwd=REPOSITORY, stderr=subprocess.DEVNULL) as started:
        deadline = time.monotonic() + 200
        while not (work / "model").exists():
            assert time.monotonic() < deadline
            assert started.poll() is None
            time.sleep(0.002)
        started.send_signal(signal.SIGSTOP)
        assert export(*arguments) == 2
        assert "another export is writing" in capsys.readouterr().err
        started.kill()
    assert not out.exists()
    assert work.is_dir()
    (work / "model/torn").write_text("half")
    assert export(*arguments) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    for path in exported.iterdir():
        assert (out / path.name).read_bytes() == path.read_bytes(), path.name
    assert len(list(out.iterdir())) == len(list(exported.iterdir()))


def test_the_exported_folder_is_evaluated_like_any_model(exported: Path, tmp_path: Path) -> None:
    questions = tmp_path / "questions.jsonl"
    rows = [{"prompt": text, "answer": "1", "id": str(i)} for i, text in enumerate(PROMPTS[:6])]
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = rlavr(
        "evaluate",
        str(exported),
        "--on",
        str(questions),
        "--engine",
        "hf",
        "--dtype",
        "float32",
        "--samples",
        "2",
        "--max-response-tokens",
        "8",
        "--out",
        str(tmp_path / "o"),
        "--json",
    )
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    assert (found["problems"], found["model"]["name"]) == (6, "exported")
    assert found["settings"]["stop_token_ids"] == [STOP, END]
    lines = (tmp_path / "o/questions.jsonl").read_text().splitlines()[1:]
    assert any(answer for line in lines for answer in json.loads(line)["answers"])


@pytest.mark.vllm
def test_vllm_loads_it_and_samples_as_the_run_did(exported: Path) -> None:
    done = command("tests.support.vllm_reads", str(exported), json.dumps(PROMPTS))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["sampling"] == {"temperature": 0.9, "top_p": 1.0, "top_k": 0, "max_tokens": 8}
    model = AutoModelForCausalLM.from_pretrained(exported)
    tokenizer = AutoTokenizer.from_pretrained(exported)
    for prompt, response in zip(PROMPTS, found["responses"], strict=True):
        assert response["prompt_ids"] == tokenizer.encode(prompt)
        ids = response["prompt_ids"] + response["ids"]
        with torch.no_grad():
            logp = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        first = len(response["prompt_ids"])
        expected = [float(logp[first + i - 1, t]) for i, t in enumerate(response["ids"])]
        assert response["logprobs"] == pytest.approx(expected, abs=1e-3)
        assert not {STOP, END} & set(response["ids"][:-1]), "went on behind a stop token"
    assert any(response["ids"][-1] == STOP for response in found["responses"])


@pytest.mark.ranks
def test_two_ranks_tied_embeddings_and_bfloat16_give_the_logits_of_the_trainers_weights(
    two_ranks: Path, tmp_path: Path
) -> None:
    run_dir, out = two_ranks / "run", tmp_path / "exported"
    assert export(run_dir, out) == 0
    assert "lm_head.weight" not in load_file(out / "model.safetensors")
    loaded, tokenizer = (
        AutoModelForCausalLM.from_pretrained(out),
        AutoTokenizer.from_pretrained(out),
    )
    assert loaded.dtype == torch.bfloat16
    expected = as_trained(two_ranks / "policy.safetensors", base_of(run_dir), torch.bfloat16)
    assert torch.equal(logits(loaded, tokenizer), logits(expected, tokenizer))
    assert loaded.lm_head.weight is loaded.model.embed_tokens.weight
    untrained = AutoModelForCausalLM.from_pretrained(base_of(run_dir), dtype=torch.bfloat16)
    assert not torch.equal(logits(untrained, tokenizer), logits(loaded, tokenizer))
    assert told(out)["origin"]["ranks"] == 2
