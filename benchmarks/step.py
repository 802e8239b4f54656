"""`python -m benchmarks.step`: where a testbed step's time goes, vLLM and Transformers alternating.

Every row is the median over the steps of several runs (B 64, G 8, first steps left out). Exit code
1 when a target is missed: 1.0 s with vLLM, 0.35 s with rollout=hf, other below 10%. With a policy
that learns (`--acquisition care`) it also tells what share of a step selecting and learning take,
without the scoring forward, which has a column of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.machine import machine

PHASES = ("generate", "sync", "score", "grade", "select", "buy", "train", "learn", "other")
ENGINES = {
    "vllm float32": (("rollout=vllm",), 1.0),
    "vllm bfloat16": (("rollout=vllm", "model.dtype=bfloat16"), 1.0),
    "hf float32": (("rollout=hf",), 0.35),
}
WARM_UP = 5
OTHER_SHARE = 0.10


def main() -> int:
    """Measure and print; returns 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.step", description=__doc__)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--acquisition", default="full", help="full trains on most rollouts")
    arguments = parser.parse_args()
    rows: dict[str, list[dict[str, float]]] = {engine: [] for engine in ENGINES}
    with tempfile.TemporaryDirectory() as root:
        for number in range(arguments.rounds):
            for engine, (overrides, _) in ENGINES.items():
                print(f"round {number + 1} of {arguments.rounds}: {engine}", file=sys.stderr)
                folder = Path(root) / f"{engine}-{number}".replace(" ", "-")
                rows[engine] += _measure(folder, overrides, arguments.steps, arguments.acquisition)
    print(f"median seconds of a step, {arguments.rounds} runs x {arguments.steps - WARM_UP} steps,")
    print(f"acquisition={arguments.acquisition}; {machine()}")
    print("engine          step  " + "  ".join(f"{phase:>8s}" for phase in PHASES))
    missed = max([_report(engine, steps) for engine, steps in rows.items()])
    for engine, steps in rows.items():
        share = median((s["time/select"] + s["time/learn"]) / s["time/step"] for s in steps)
        print(f"{engine}: selecting and learning take {share:.1%} of a step")
    print(f"CARE's probes beside a 4B model, by floating-point operations: {probe_share():.1e}")
    return missed


def _measure(
    folder: Path, overrides: tuple[str, ...], steps: int, acquisition: str
) -> list[dict[str, float]]:
    command = [
        sys.executable, "-m", "rlavr_hpc.run", f"run_dir={folder}", f"steps={steps}",
        f"acquisition={acquisition}", "eval_every=0", "save_every=0", "data.eval_limit=8",
        *overrides,
    ]  # fmt: skip
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    lines = [json.loads(line) for line in (folder / "metrics/1.jsonl").read_text().splitlines()]
    return [line for line in lines if line["step"] > WARM_UP]


def _report(engine: str, steps: list[dict[str, float]]) -> int:
    medians = {phase: median(step[f"time/{phase}"] for step in steps) for phase in PHASES}
    whole = median(step["time/step"] for step in steps)
    target = ENGINES[engine][1]
    missed = [f"target {target:g} s"] if whole > target else []
    missed += ["other above 10%"] if medians["other"] > OTHER_SHARE * whole else []
    cells = "  ".join(f"{medians[phase]:8.3f}" for phase in PHASES)
    print(f"{engine:14s} {whole:5.3f}  {cells}  {'MISSED: ' + ', '.join(missed) if missed else ''}")
    return int(bool(missed))


def probe_share(
    *, hidden: int = 2560, parameters: float = 4e9, response_tokens: int = 1000
) -> float:
    """Operations of CARE's probes in a step (B 64, G 8, p 0.2) over those of the policy's update.

    Multiply-adds count 2, a backward pass twice a forward pass; the policy's update is 6 operations
    per parameter and token (Kaplan et al., arXiv 2001.08361), its generation is left out.
    """
    batch, group, bought, replayed, updates, stages = 64, 8, 13, 16, 3, 2
    per_response = hidden * 64 + 64 * 512
    per_prompt = (hidden + 1 + group) * 128 + (128 + 512) * 256 + 256 * (group + 1)

    def forward(groups: int) -> float:
        return 2.0 * stages * groups * (group * per_response + per_prompt)

    probes = forward(batch) + 3 * updates * forward(bought + replayed)
    return probes / (6.0 * parameters * batch * group * response_tokens)


if __name__ == "__main__":
    sys.exit(main())
