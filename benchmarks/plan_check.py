"""`python -m benchmarks.plan_check`: what `rlavr plan` says of memory beside what runs need.

Runs on CPU of the testbed and of random Qwen3 models, a few steps each: both engines, one and two
ranks, both number formats. Measured is the largest peak resident size of a rank
(`sys/memory_max_gib`), estimated what the plan says of the same overrides. The plan's three
measured constants (a process with either engine, vLLM's copies) come from the runs called testbed
and small; those called large were not looked at for them. Exit code 1 when one is off by more than
a fifth.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import machine

RESULTS = Path(__file__).parent / "results/plan_check.json"
ALLOWED = 0.20
STEPS = 3
TESTBED = ("acquisition=full", "data.eval_limit=8", "model.pretrain_steps=400")
RANDOM = (
    "acquisition=none",
    "reward=self_certainty",
    "data=jsonl",
    "model=pretrained",
    "algorithm.batch=4",
    "algorithm.mini_batch=4",
    "algorithm.group_size=4",
    "algorithm.micro_batch=8",
    "rollout.max_prompt_tokens=16",
    "rollout.max_response_tokens=64",
)
"""A model that knows nothing earns nothing by votes; its certainty gives every response a reward,
so that all are trained on."""
PROMPTS = 16
SHAPES: dict[str, dict[str, Any]] = {
    "small": {"hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 8},
    "large": {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 16},
}
"""42 and 157 million parameters with 32,000 tokens and a tied embedding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One run."""

    name: str
    ranks: int = 1
    model: str = "testbed"
    overrides: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A run's peak memory of a rank in GiB, and what the plan says of it."""

    name: str
    ranks: int
    measured_gib: float
    estimated_gib: float

    @property
    def ratio(self) -> float:
        """Estimated over measured."""
        return self.estimated_gib / self.measured_gib


CASES = (
    Case(name="testbed hf float32", overrides=("rollout=hf",)),
    Case(name="testbed vllm float32", overrides=()),
    Case(name="testbed vllm bfloat16", overrides=("model.dtype=bfloat16",)),
    Case(name="testbed hf float32 two ranks", ranks=2, overrides=("rollout=hf",)),
    Case(name="testbed vllm float32 two ranks", ranks=2, overrides=()),
    Case(name="small hf float32", model="small", overrides=("rollout=hf", "model.dtype=float32")),
    Case(name="small vllm float32", model="small", overrides=("model.dtype=float32",)),
    Case(name="small vllm bfloat16", model="small", overrides=()),
    Case(
        name="small hf float32 two ranks",
        model="small",
        ranks=2,
        overrides=("rollout=hf", "model.dtype=float32"),
    ),
    Case(name="small vllm bfloat16 two ranks", model="small", ranks=2, overrides=()),
    Case(
        name="small hf float32 recomputed",
        model="small",
        overrides=(
            "rollout=hf",
            "model.dtype=float32",
            "algorithm.micro_batch=16",
            "rollout.max_response_tokens=128",
            "deepspeed.gradient_checkpointing=true",
        ),
    ),
    Case(
        name="small hf float32 long",
        model="small",
        overrides=(
            "rollout=hf",
            "model.dtype=float32",
            "algorithm.micro_batch=16",
            "rollout.max_response_tokens=128",
        ),
    ),
    Case(name="large hf float32", model="large", overrides=("rollout=hf", "model.dtype=float32")),
    Case(
        name="large vllm float32 two ranks",
        model="large",
        ranks=2,
        overrides=("model.dtype=float32",),
    ),
    Case(
        name="large hf bfloat16 offload",
        model="large",
        overrides=("rollout=hf", "deepspeed=zero3_offload"),
    ),
)


def main() -> int:
    """Run, compare and print; returns 1 when an estimate is too far off."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plan_check", description=__doc__)
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as work:
        for case in (case for case in CASES if given.only in case.name):
            rows.append(compare(case, Path(work)))
            print(_line(rows[-1]), flush=True)
    worst = max(abs(row.ratio - 1) for row in rows)
    told = [asdict(row) | {"ratio": row.ratio} for row in rows]
    text = {"machine": machine(), "steps": STEPS, "allowed": ALLOWED, "worst": worst, "runs": told}
    given.out.write_text(json.dumps(text, indent=1) + "\n")
    print(f"{len(rows)} runs, the worst estimate is off by {worst:.1%}; {machine()}")
    return int(worst > ALLOWED)


def compare(case: Case, work: Path) -> Compared:
    """Do one run below `work` and plan it."""
    overrides = [*_input(case, work), *case.overrides, f"steps={STEPS}", "save_every=2"]
    launcher = [sys.executable, "-m"]
    if case.ranks > 1:
        launcher += ["torch.distributed.run", "--standalone", f"--nproc-per-node={case.ranks}"]
        launcher += ["-m"]
    folder = work / case.name.replace(" ", "-")
    _call([*launcher, "rlavr_hpc.run", *overrides, f"run_dir={folder}"])
    lines = (folder / "metrics/1.jsonl").read_text().splitlines()
    peak = max(json.loads(line)["sys/memory_max_gib"] for line in lines)
    plan = [
        sys.executable,
        "-m",
        "rlavr_hpc",
        "plan",
        "--json",
        "gpu=cpu",
        f"gpus={case.ranks}",
    ]
    planned = json.loads(_call([*plan, *overrides]))
    return Compared(
        name=case.name,
        ranks=case.ranks,
        measured_gib=peak,
        estimated_gib=planned["peak"]["host_gib"],
    )


def _call(command: Sequence[str]) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout


def _line(row: Compared) -> str:
    return (
        f"{row.name:34s} measured {row.measured_gib:6.2f} GiB  estimated {row.estimated_gib:6.2f}"
        f"  ratio {row.ratio:.2f}"
    )


def _input(case: Case, work: Path) -> tuple[str, ...]:
    """The overrides that name the model and the data; a random model is written once."""
    if case.model == "testbed":
        return TESTBED
    folder = work / case.model
    if not folder.exists():
        _write_model(case.model, folder)
    return (*RANDOM, f"model.path={folder}", f"data.path={folder / 'prompts.jsonl'}")


def _write_model(name: str, folder: Path) -> None:
    import torch  # noqa: PLC0415
    from transformers import Qwen3Config, Qwen3ForCausalLM  # noqa: PLC0415

    from rlavr_hpc.testbed.base_model import build_tokenizer  # noqa: PLC0415

    tokenizer = build_tokenizer()
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=32000,
        num_attention_heads=8,
        num_key_value_heads=4,
        head_dim=64,
        tie_word_embeddings=True,
        max_position_embeddings=1024,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **SHAPES[name],
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    rows = [{"id": f"q{i}", "prompt": f"What is {i}+{i}?", "answer": "7"} for i in range(PROMPTS)]
    text = "\n".join(map(json.dumps, rows))
    (folder / "prompts.jsonl").write_text(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
