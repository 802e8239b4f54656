"""`python -m benchmarks.gpu`: one GPU, models of real shape and random weights, under 9 minutes.

Qwen3's 0.6B and 4B shapes go through the trainer and vLLM as a run uses them: agreement of
log-probabilities, tokens a second, model FLOPs utilization, seconds of sync, sleep and wake, peak
memory, a whole step. Nothing is downloaded. Every model has a process of its own, which leaves what
it measured when time runs out; what was skipped is noted. Without a GPU, or with `--tiny`, a tiny
model takes the same path, and nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.gpu_figures import SHAPES, Budget, table
from rlavr_hpc.io import write_atomic

MARGIN_SECONDS = 10.0
"""Kept of the budget for the end."""
NAME = "import torch; print(torch.cuda.get_device_name(0) if torch.cuda.is_available() else '')"


def main() -> int:
    """Measure, print the tables; 1 when a model's process failed."""
    arguments = _arguments()
    budget = Budget(60 * arguments.minutes - MARGIN_SECONDS)
    device = device_of_this_machine()
    if not device:
        print("no GPU: tiny model on CPU, path only")
    models = arguments.models if device and not arguments.tiny else ["tiny"]
    arguments.out.mkdir(parents=True, exist_ok=True)
    failed = False
    for model in models:
        if not budget.allows(SHAPES[model].start_seconds):
            print(f"{model}: skipped, {budget.left:.0f} s were left")
            continue
        out = arguments.out / f"gpu-{slug(device)}-{model}.json"
        failed |= not _measure(model, out, budget)
        if out.exists():
            print(table(json.loads(out.read_text())), "", f"written to {out}", "", sep="\n")
    return int(failed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    real = [name for name in SHAPES if name != "tiny"]
    parser.add_argument("--tiny", action="store_true", help="the path alone, with a tiny model")
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--models", nargs="+", choices=real, default=real)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    return parser.parse_args()


def device_of_this_machine() -> str:
    """The first GPU's name, asked in another process: asking takes memory on it; "" without one."""
    asked = subprocess.run([sys.executable, "-c", NAME], capture_output=True, text=True, check=True)
    return asked.stdout.strip()


def slug(device: str) -> str:
    """A device's name as part of a file's."""
    return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-") or "none"


def _measure(model: str, out: Path, budget: Budget) -> bool:
    """Run one model's process to its end, or to the budget's."""
    out.unlink(missing_ok=True)  # a figure of an earlier time is none of this one
    command = [sys.executable, "-m", "benchmarks.gpu_measure", model, str(budget.left), str(out)]
    try:
        with tempfile.TemporaryDirectory(prefix="rlavr-gpu-") as work:
            done = subprocess.run(
                command,
                check=False,
                timeout=max(1.0, budget.left),
                env={**os.environ, "TMPDIR": work},  # gone also when the process is killed
            )
    except subprocess.TimeoutExpired:
        _note(out, "the time ran out in the middle of a part: what is missing was not measured")
        return True
    if done.returncode:
        _note(out, f"the process failed with exit code {done.returncode}: see its output")
    return done.returncode == 0


def _note(out: Path, note: str) -> None:
    if not out.exists():
        return
    result: dict[str, Any] = json.loads(out.read_text())
    result["notes"].append(note)
    write_atomic(out, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
