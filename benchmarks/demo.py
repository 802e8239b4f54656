"""`python -m benchmarks.demo`: the method's story on the testbed, as a table and a report.

Runs the main job with no labels, with all labels and with some, one of them through vLLM, in their
run folders below `runs/demo`; finished runs are not repeated.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROWS: tuple[tuple[str, ...], ...] = (
    ("acquisition=none", "rollout=hf"),
    ("acquisition=full", "rollout=hf"),
    ("acquisition=entropy", "rollout=hf"),
    ("acquisition=random", "rollout=vllm"),
)
COLLAPSED_BELOW = 0.10
LEARNT_ABOVE = 0.15


def main() -> int:
    """Run the rows, print the table; 1 when the story did not happen."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo", description=__doc__)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--root", type=Path, default=Path("runs/demo"))
    arguments = parser.parse_args()
    results = [_run(row, arguments.steps, arguments.root) for row in ROWS]
    print(_table(results))
    none, full = results[0], results[1]
    collapsed = none["accuracy_end"] < COLLAPSED_BELOW
    learnt = full["accuracy_end"] > full["accuracy_start"] + LEARNT_ABOVE
    report = _report(arguments.root)
    print(
        f"\nWithout labels held-out accuracy {'collapsed' if collapsed else 'DID NOT COLLAPSE'}; "
        f"with all of them it {'rose' if learnt else 'DID NOT RISE'}. Between them stands the "
        f"question this project is about: which few labels are enough.\n"
        f"Run folders: {arguments.root}\nThe report, for a browser: {report}"
    )
    return 0 if collapsed and learnt else 1


def _run(row: tuple[str, ...], steps: int, root: Path) -> dict[str, Any]:
    folder = root / "-".join(part.split("=")[1] for part in row)
    command = [sys.executable, "-m", "rlavr_hpc.run", *row, f"steps={steps}", f"run_dir={folder}"]
    print(f"\n$ python {' '.join(command[1:])}", flush=True)
    code = subprocess.run(command, check=False).returncode
    if code:
        sys.exit(code)  # the run has said why
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return {"command": " ".join(row), **summary}


def _report(root: Path) -> Path:
    """What the analysis says about the runs; the page's path."""
    out = root / "report"
    command = [sys.executable, "-m", "analysis", str(root), "--out", str(out)]
    print(f"\n$ python {' '.join(command[1:])}", flush=True)
    code = subprocess.run(command, check=False).returncode
    if code:
        sys.exit(code)
    return out / "index.html"


def _table(results: list[dict[str, Any]]) -> str:
    head = f"{'run':36s} {'labels':>7s} {'start':>6s} {'end':>6s}  {'collapsed':9s} {'seconds':>7s}"
    lines = ["", head, "-" * len(head)]
    lines += [
        f"{r['command']:36s} {r['labels_bought']:7d} {r['accuracy_start']:6.3f} "
        f"{r['accuracy_end']:6.3f}  {'yes' if r['collapsed'] else 'no':9s} {r['wall_seconds']:7.0f}"
        for r in results
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
