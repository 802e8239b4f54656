"""`python -m benchmarks.demo`: the method's story on the testbed, as a table and a report.

Runs the main job with no labels, with all, and twice with the same few: bought at random, and as
`acquisition=checked` chooses them, this one through vLLM. Their folders are below `runs/demo`;
finished runs are not repeated. Exit code 1 when the story did not happen.
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
    ("acquisition=random", "budget=0.05", "rollout=hf"),
    ("acquisition=checked", "budget=0.05", "rollout=vllm"),
)
LEARNT = 0.15
"""Rise of held-out accuracy that is told from noise on any seed."""


def main() -> int:
    """Run the rows, print the table and the story."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo", description=__doc__)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--root", type=Path, default=Path("runs/demo"))
    arguments = parser.parse_args()
    results = [_run(row, arguments.steps, arguments.root) for row in ROWS]
    print(_table(results))
    report = _report(arguments.root)
    words, happened = story(results)
    print(f"\n{words}\nRun folders: {arguments.root}\nThe report, for a browser: {report}")
    return 0 if happened else 1


def story(results: list[dict[str, Any]]) -> tuple[str, bool]:
    """What the runs show, in a sentence each, and whether it is what the project is about.

    Args:
        results: summaries, in the order of `ROWS`.
    """
    none, full, drawn, chosen = results
    learnt = full["accuracy_end"] > full["accuracy_start"] + LEARNT
    better = chosen["accuracy_end"] > drawn["accuracy_end"]
    labels = f"{chosen['labels_bought'] / full['labels_bought']:.0%} of the labels"
    words = (
        f"Without labels the run {'collapsed' if none['collapsed'] else 'DID NOT COLLAPSE'}; "
        f"with all of them held-out accuracy {'rose' if learnt else 'DID NOT RISE'}.\n"
        f"With {labels}, chosen by `checked`, it ends at {chosen['accuracy_end']:.2f}, "
        f"{'above' if better else 'NOT ABOVE'} the {drawn['accuracy_end']:.2f} of labels drawn at "
        "random (one seed of each: docs/policies.md has more)."
    )
    return words, none["collapsed"] and learnt and better


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
    head = f"{'run':45s} {'labels':>7s} {'start':>6s} {'end':>6s}  {'collapsed':9s} {'seconds':>7s}"
    lines = ["", head, "-" * len(head)]
    lines += [
        f"{r['command']:45s} {r['labels_bought']:7d} {r['accuracy_start']:6.3f} "
        f"{r['accuracy_end']:6.3f}  {'yes' if r['collapsed'] else 'no':9s} {r['wall_seconds']:7.0f}"
        for r in results
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
