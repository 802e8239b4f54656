"""`python -m benchmarks.report`: how long the analysis of many long runs takes.

Made-up run folders with the metrics, purchases, attempts and configs of real ones (a sweep of
policies and budgets over seeds, some collapsed, some resumed), then `python -m analysis` on them as
a process of its own, Python's start and all of the report's files included. Exit code 1 when a
target is missed: 10 s for 100 runs of 1,000 steps, 60 s for 1,000 of them.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import yaml
from tqdm import tqdm

from benchmarks.machine import machine
from rlavr_hpc.io import write_record
from rlavr_hpc.runs.attempts import SEALED, seal_file, segment
from rlavr_hpc.telemetry import names

TARGETS = {100: 10.0, 1000: 60.0}
"""Runs -> seconds."""
ARMS = (
    ("none", 0.0, True),
    ("full", 1.0, False),
    ("random", 0.1, True),
    ("random", 0.2, False),
    ("care", 0.1, True),
    ("care", 0.2, False),
    ("anchored", 0.05, False),
    ("entropy", 0.2, True),
)
"""(policy, budget, collapses)"""
BATCH, QUOTA = 64, 13
KIB_PER_GIB = 1 << 20


def main() -> int:
    """Measure and print; 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3, help="of the smallest; the others one")
    arguments = parser.parse_args()
    print(f"{arguments.steps} steps a run, {machine()}")
    missed = False
    for runs in sorted(arguments.runs):
        with tempfile.TemporaryDirectory() as folder:
            sweep = make_sweep(Path(folder) / "runs/study", runs, arguments.steps)
            rounds = arguments.rounds if runs == min(arguments.runs) else 1
            took = [_analyse(sweep, Path(folder) / "report") for _ in range(rounds)]
            page = (Path(folder) / "report/index.html").stat().st_size / 2**20
        target = TARGETS.get(runs, math.inf)
        missed |= median(took) > target
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / KIB_PER_GIB
        print(
            f"{runs:6d} runs  {median(took):6.1f} s (median of {rounds})  index.html {page:.1f} MiB"
            f"  largest process {peak:.2f} GiB" + ("  MISSED" if median(took) > target else ""),
            flush=True,
        )
    return int(missed)


def _analyse(sweep: Path, out: Path) -> float:
    start = time.perf_counter()
    command = [sys.executable, "-m", "analysis", str(sweep), "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def make_sweep(sweep: Path, runs: int, steps: int) -> Path:
    """A sweep of so many finished runs; those of one arm have the same curves."""
    sweep.mkdir(parents=True)
    texts = [_record(arm, steps) for arm in range(len(ARMS))]
    plan = []
    for index in tqdm(range(runs), desc="making runs", unit="run", disable=None):
        policy, budget, _ = ARMS[index % len(ARMS)]
        seed = index // len(ARMS) + 1
        folder = sweep / f"{index:08x}"
        _write_run(folder, texts[index % len(ARMS)], steps=steps, resumed=index % 5 == 0)
        config = _config(policy, budget, seed=seed, steps=steps)
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        plan.append(
            {
                "index": index,
                "run_id": folder.name,
                "folder": str(folder),
                "overrides": [f"acquisition={policy}", f"budget={budget}", f"seed={seed}"],
            }
        )
    write_record(sweep / "sweep.json", 1, {"name": sweep.name, "runs": plan})
    return sweep


def _config(policy: str, budget: float, *, seed: int, steps: int) -> dict[str, Any]:
    extra = {f"group_{i}": {"a": i, "b": ["x", "y"], "c": "a text"} for i in range(30)}
    return {
        "version": 1,
        "name": "study",
        "seed": seed,
        "steps": steps,
        "budget": budget,
        "algorithm": {"batch": BATCH, "group_size": 8},
        "acquisition": {"name": policy, "has_trust": policy in ("care", "anchored")},
        **extra,
    }


def _record(arm: int, steps: int) -> Mapping[str, str]:
    """The text of an arm's metrics and ledger."""
    policy, _, collapses = ARMS[arm]
    labels = 0 if policy == "none" else QUOTA
    noise = random.Random(arm)
    rows = (json.dumps(row) + "\n" for row in _rows(noise, steps, labels, collapses=collapses))
    lines = (json.dumps(line) + "\n" for line in _purchases(noise, steps, labels))
    return {"metrics": "".join(rows), "ledger": "".join(lines) if labels else ""}


def _rows(
    noise: random.Random, steps: int, labels: int, *, collapses: bool
) -> Iterator[dict[str, Any]]:
    others = [
        value
        for key, value in vars(names).items()
        if key.isupper() and isinstance(value, str) and value.partition("/")[1]
    ]
    onset = steps // 3
    for step in range(steps + 1):
        level = 0.4 + 0.3 * min(1.0, step / onset)
        if collapses and step > onset:
            level *= math.exp(-(step - onset) / 50)
        row: dict[str, Any] = {"v": 1, "step": step, "branch": 0, "time": 1.7e9 + step}
        row |= {name: noise.gauss(0.5, 0.02) for name in others}
        row |= {
            names.ORACLE_TRUE_REWARD: level + noise.gauss(0, 0.02),
            names.COLLAPSE_MAJORITY_RATIO: 1.0 - level / 2 + noise.gauss(0, 0.01),
            names.LABELS_BOUGHT: float(labels if step else 0),
            names.LABELS_TOTAL: float(labels * step),
            names.COLLAPSE_RISK: min(1.0, max(0.0, 0.9 - level)),
        }
        if step % 50 == 0:
            row[names.eval_name("held_out", "mean", 8)] = level
        yield row


def _purchases(noise: random.Random, steps: int, labels: int) -> Iterator[dict[str, Any]]:
    seq = 0
    for step in range(1, steps + 1):
        prompts = [f"prompt-{noise.randrange(10_000)}" for _ in range(labels)]
        lines: list[dict[str, Any]] = [{"kind": "intent", "prompts": prompts, "quota": labels}]
        lines += [{"kind": "commit", "prompt": p, "label": "12", "cost": 1.0} for p in prompts]
        for line in lines:
            yield {**line, "branch": 0, "step": step, "seq": seq, "hash": f"{seq:032x}", "v": 1}
            seq += 1


def _write_run(folder: Path, texts: Mapping[str, str], *, steps: int, resumed: bool) -> None:
    """A run of one attempt, or of two: the second does the last tenth of the first again."""
    for kind in ("attempts", *texts):
        (folder / kind).mkdir(parents=True)
    attempts = 2 if resumed else 1
    metrics = texts["metrics"].splitlines(keepends=True)
    half = len(metrics) // 2
    parts = [metrics[: half + half // 10], metrics[half:]] if resumed else [metrics]
    for number, part in enumerate(parts, start=1):
        segment(folder, "metrics", number).write_text("".join(part))
    segment(folder, "ledger", 1).write_text(texts["ledger"])
    for number in range(1, attempts + 1):
        seals = {kind: asdict(seal_file(segment(folder, kind, number - 1))) for kind in SEALED}
        token = {
            "version": 2,
            "number": number,
            "resumed_from": half - 1 if number > 1 else 0,
            "seals": seals if number > 1 else {},
            "branch": 0,
            "reason": "start",
            "setup": {"world_size": 1},
            "host": "node",
            "pid": 1,
            "started": "2026-01-01T00:00:00+00:00",
            "nonce": f"{folder.name}-{number}",
        }
        (folder / "attempts" / f"{number}.json").write_text(json.dumps(token))
    (folder / "DONE.json").write_text(json.dumps({"version": 1, "steps": steps, "time": 0.0}))


if __name__ == "__main__":
    sys.exit(main())
