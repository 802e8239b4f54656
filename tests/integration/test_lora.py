"""Adapters in a run: their weights told three ways, kills, another base, several ranks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from rlavr_hpc.cli import call
from rlavr_hpc.errors import UserError
from rlavr_hpc.runs.checkpoints import read_checkpoint
from rlavr_hpc.runs.folder import read_config
from rlavr_hpc.testbed.questions import make_world
from rlavr_hpc.trainer.checkpoint.consolidate import consolidate
from rlavr_hpc.trainer.policy.tokenizer import TokenizerBundle, load_tokenizer
from tests.support.commands import (
    REPOSITORY,
    TINY,
    command,
    learnt_hash,
    metrics,
    results,
    run,
    wait_for_step,
    weights_hash,
)

LORA = (
    *TINY,
    "acquisition=entropy",
    "budget=0.25",
    "lora=default",
    "algorithm.lr=1e-2",
    "eval_every=0",
)
SIX = (*LORA, "rollout=hf", "steps=6", "save_every=3")
ADAPTERS = 2 * 16 * (4 * (64 + 64) + 3 * (64 + 128))
"""Parameters of the testbed's: rank 16 beside seven matrices in each of two layers."""
PROMPTS = [q.text for q in make_world("HMHHMHXX", wrong_rule=0).questions[::6]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six steps on one rank, float32; its weights as the trainer held them at the end."""
    out = tmp_path_factory.mktemp("lora") / "out"
    done = command("tests.support.policy_weights", str(out), *SIX)
    assert done.returncode == 0, done.stderr
    return out


def base_of(run_dir: Path) -> TokenizerBundle:
    return load_tokenizer(read_config(run_dir), quiet=True)


def logits(model: Any) -> torch.Tensor:  # noqa: ANN401
    tokenizer = AutoTokenizer.from_pretrained(model.name_or_path)
    with torch.no_grad():
        found: torch.Tensor = model(**tokenizer(PROMPTS, return_tensors="pt")).logits
    return found


def as_trained(out: Path, dtype: torch.dtype) -> Any:  # noqa: ANN401
    """A plain model that holds exactly what the trainer would send to an engine."""
    path = base_of(out / "run").path
    model: Any = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(path), dtype=dtype)
    model.load_state_dict(load_file(out / "policy.safetensors"), strict=True)
    model.name_or_path = path
    return model.eval()


def test_a_checkpoint_holds_the_adapters_alone_and_names_their_base(trained: Path) -> None:
    folder = trained / "run/checkpoints/step_6/shards"
    files = sorted(folder.glob("*"))
    optimizer, model = (torch.load(path, weights_only=False) for path in reversed(files))
    [weights] = optimizer["optimizer_state_dict"]["fp32_flat_groups"]
    assert weights.numel() == ADAPTERS
    assert sum(path.stat().st_size for path in files) < 13 * ADAPTERS
    assert len(model["adapters"]["base"]) == 16
    assert not [name for name in model["module"] if "base_layer.weight" in name]


def test_the_engine_got_base_weights_with_the_adapters_in_them_at_every_step(trained: Path) -> None:
    rows = metrics(trained / "run")[1:]
    assert max(row["train/sampler_gap"] for row in rows) < 1e-4
    assert sum(row["train/grad_norm"] > 0 for row in rows) > 2
    base = AutoModelForCausalLM.from_pretrained(base_of(trained / "run").path)
    before, after = dict(base.named_parameters()), load_file(trained / "policy.safetensors")
    assert before.keys() == after.keys()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {name for name in before if "_proj.weight" in name}


def test_a_checkpoint_put_together_is_what_the_trainer_held(trained: Path) -> None:
    found = load_file(trained / "model/model.safetensors")
    expected = load_file(trained / "policy.safetensors")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_exported_adapters_are_loaded_by_peft_with_the_trainers_logits(
    trained: Path, tmp_path: Path
) -> None:
    from peft import PeftModel

    assert call(["export", str(trained / "run"), str(tmp_path / "adapter"), "--adapter"]) == 0
    base: Any = AutoModelForCausalLM.from_pretrained(base_of(trained / "run").path)
    untrained = logits(base)
    loaded = PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    expected = logits(as_trained(trained, torch.float32))
    assert torch.allclose(logits(loaded.base_model), expected, atol=1e-5)
    assert not torch.allclose(untrained, expected, atol=1e-2)
    assert (
        str(base_of(trained / "run").path)
        not in (tmp_path / "adapter/adapter_config.json").read_text()
    )


def test_a_killed_run_ends_with_the_bytes_of_one_that_was_not(
    trained: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    arguments = [*SIX, f"run_dir={folder}"]
    with subprocess.Popen(
        [sys.executable, "-m", "rlavr_hpc.run", *arguments],
        cwd=REPOSITORY,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    ) as started:
        wait_for_step(folder, 5)
        started.kill()
    continued = run(*arguments)
    assert continued.returncode == 0, continued.stderr
    assert "attempt 2 continues after step 3" in continued.stderr
    assert weights_hash(folder, 6) == weights_hash(trained / "run", 6)
    whole = results(metrics(trained / "run"))
    assert results(metrics(folder, 2)) == whole[4:]


def spoilt(model: Path, out: Path) -> Path:
    """A copy of a model with one of its weights changed in its last bits."""
    shutil.copytree(model, out)
    weights = load_file(out / "model.safetensors")
    weights["model.norm.weight"][3] *= 1 + 2**-20
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    return out


def test_another_base_is_refused_when_a_run_goes_on_and_when_it_is_put_together(
    trained: Path, tmp_path: Path
) -> None:
    config, base = read_config(trained / "run"), base_of(trained / "run")
    other = spoilt(Path(base.path), tmp_path / "other")
    checkpoint = read_checkpoint(trained / "run/checkpoints/step_6")
    with pytest.raises(UserError, match=r"set model\.path to the first one"):
        consolidate(
            checkpoint, tmp_path / "out", model=config.model, base=replace(base, path=other)
        )
    cache = Path(base.path).parents[0]
    shutil.copytree(cache.parent, tmp_path / "cache", symlinks=True)
    step_key = tmp_path / "cache" / cache.name / Path(base.path).name
    shutil.rmtree(step_key)
    other.rename(step_key)
    shutil.copytree(trained / "run", tmp_path / "run")
    refused = run(
        *SIX,
        "steps=7",
        f"run_dir={tmp_path / 'run'}",
        environment={"RLAVR_CACHE": str(tmp_path / "cache"), "PATH": os.environ["PATH"]},
    )
    assert refused.returncode == 2, refused.stderr
    assert "holds adapters of a model whose weights have the fingerprint" in refused.stderr
    assert weights_hash(tmp_path / "run", 6) == weights_hash(trained / "run", 6)


@pytest.mark.ranks
def test_on_two_ranks_in_bfloat16_the_reference_is_the_policy_without_its_adapters(
    tmp_path: Path,
) -> None:
    """Also with tied embeddings and activations computed twice."""
    done = command(
        "tests.support.policy_weights",
        str(tmp_path / "out"),
        *LORA,
        "rollout=hf",
        "steps=3",
        "model.dtype=bfloat16",
        "model.tied_embeddings=true",
        "deepspeed=zero3_sleep",
        "algorithm.loss.settings.kl_coef=0.01",
        ranks=2,
    )
    assert done.returncode == 0, done.stderr
    kl = [row["train/reference_kl"] for row in metrics(tmp_path / "out/run")[1:]]
    assert abs(kl[0]) < 1e-6, "before the first update the policy is its own reference"
    assert kl[2] > 1e-4
    found = load_file(tmp_path / "out/model/model.safetensors")
    expected = load_file(tmp_path / "out/policy.safetensors")
    assert all(torch.equal(found[name], expected[name]) for name in found)


@pytest.mark.ranks
@pytest.mark.vllm
@pytest.mark.slow
def test_two_ranks_with_vllm_stopped_half_way_end_with_the_same_bytes(tmp_path: Path) -> None:
    settings = (*LORA, "rollout=vllm", "model.dtype=bfloat16", "acquisition=care", "save_every=2")
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    assert run(*settings, "steps=4", f"run_dir={whole}", ranks=2).returncode == 0
    assert run(*settings, "steps=2", f"run_dir={halves}", ranks=2).returncode == 0
    done = run(*settings, "steps=4", f"run_dir={halves}", ranks=2)
    assert done.returncode == 0, done.stderr
    assert weights_hash(halves, 4) == weights_hash(whole, 4)
    assert learnt_hash(halves, 4) == learnt_hash(whole, 4)
    rows = metrics(halves) + metrics(halves, 2)
    same = [row for row in results(rows) if row["step"] in (1, 3, 4)]
    assert same == [row for row in results(metrics(whole)) if row["step"] in (1, 3, 4)]
    assert max(row["train/sampler_gap"] for row in rows[1:] if "train/sampler_gap" in row) < 0.05


@pytest.mark.ranks
@pytest.mark.slow
def test_adapters_are_redistributed_to_another_number_of_ranks(
    trained: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(trained / "run", folder)
    allowed = (*SIX, "allow_change=[cluster.ranks,cluster.threads]", f"run_dir={folder}")
    done = run(*allowed, "steps=7", ranks=2)
    assert done.returncode == 0, done.stderr
    assert "redistributed" in done.stderr
    assert metrics(folder, 2)[-1]["train/sampler_gap"] < 1e-4
