"""`python -m benchmarks.policies`: which labels to buy? Policies x budgets x seeds on the testbed.

Every run is the main job in a process of its own, two side by side with one thread each. A finished
run is a line of `benchmarks/results/policies.csv` at once and is never repeated, so the study can
be stopped and started again. From the lines it writes `policies.md` (tables) and `policies.png`.
Labels are not reused, except in the reuse curve, whose x axis is the share of distinct prompts
bought. `--study variants` runs worlds that no policy's settings were chosen on. `--quick` is three
seeds of the lines that carry the story: 48 runs, within twenty minutes.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from threading import Lock

from tqdm import tqdm

from benchmarks.machine import machine
from benchmarks.policy_plan import (
    ARMS,
    BUDGET,
    QUICK_SEEDS,
    REUSE,
    STEPS,
    VARIANTS,
    Job,
    planned,
)
from benchmarks.policy_report import write_report
from rlavr_hpc.runs.folder import read_config
from rlavr_hpc.telemetry.collapse.early_warning import first_alarm
from rlavr_hpc.telemetry.sinks import read_metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One finished run."""

    study: str
    arm: str
    budget: float
    seed: int
    labels: int
    accuracy_start: float
    accuracy_end: float
    collapsed: bool
    collapse_step: int | None
    alarm_step: int | None
    """Of the first early warning."""
    seconds: float

    @property
    def key(self) -> tuple[str, str, float, int]:
        """As the job's."""
        return self.study, self.arm, self.budget, self.seed


def main() -> int:
    """Run what is missing and write the report; 1 when a run failed."""
    arguments = _arguments()
    jobs = planned(arguments.study, arguments.seeds, quick=arguments.quick)
    jobs = [job for job in jobs if not arguments.only or job.arm in arguments.only]
    table = arguments.out / "policies.csv"
    done = {row.key for row in read_rows(table)}
    missing = [job for job in jobs if job.key not in done]
    failed = [] if arguments.report_only else _run_all(missing, arguments, table)
    rows = read_rows(table)
    write_report(rows, arguments.out, machine=machine())
    print(f"{len(rows)} runs in {table}; tables in policies.md, curves in policies.png")
    for folder in failed:
        print(f"FAILED: {folder}", file=sys.stderr)
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.policies", description=__doc__)
    parser.add_argument(
        "--study", nargs="*", default=[BUDGET, REUSE, VARIANTS], choices=[BUDGET, REUSE, VARIANTS]
    )
    parser.add_argument("--seeds", type=int, default=5, help="runs per policy and budget")
    parser.add_argument("--quick", action="store_true", help="three seeds, twenty minutes")
    parser.add_argument("--only", nargs="*", default=[], metavar="ARM", help="these lines only")
    parser.add_argument("--report-only", action="store_true", help="run nothing")
    parser.add_argument("--side-by-side", type=int, default=2)
    parser.add_argument("--root", type=Path, default=Path("runs/policies"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    unknown = set(arguments.only) - {arm.name for arm in ARMS}
    if unknown or arguments.seeds < 1 or arguments.side_by_side < 1:
        parser.error(f"--only takes {', '.join(arm.name for arm in ARMS)}; numbers start at 1")
    arguments.seeds = min(arguments.seeds, QUICK_SEEDS) if arguments.quick else arguments.seeds
    return arguments


def _run_all(jobs: Sequence[Job], arguments: argparse.Namespace, table: Path) -> list[Path]:
    """Run them, `side_by_side` at a time; folders of those that failed."""
    lock, failed = Lock(), []
    with (
        tqdm(total=len(jobs), unit="run", desc="policies") as bar,
        ThreadPoolExecutor(arguments.side_by_side) as pool,
    ):

        def one(job: Job) -> None:
            folder = arguments.root / job.folder
            row = run_one(job, folder, side_by_side=arguments.side_by_side)
            with lock:
                bar.update()
                if row is None:
                    failed.append(folder)
                else:
                    append_row(table, row)

        list(pool.map(one, jobs))
    return failed


def run_one(job: Job, folder: Path, *, side_by_side: int) -> Row | None:
    """One run to its end; None when it failed (its words are in the folder's `output.txt`)."""
    command = [
        sys.executable,
        "-m",
        "rlavr_hpc.run",
        f"run_dir={folder}",
        f"steps={STEPS}",
        f"seed={job.seed}",
        "rollout=hf",
        "save_every=0",
        "cluster.threads=1",
        f"cluster.runs_per_node={side_by_side}",
        *job.overrides,
    ]
    if not (folder / "DONE.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "output.txt").write_text(finished.stderr)
        return None
    summary = json.loads((folder / "summary.json").read_text())
    config = read_config(folder)
    alarm = first_alarm(
        read_metrics(folder),
        threshold=config.warning.threshold,
        selective=config.acquisition.has_trust,
    )
    return Row(
        study=job.study,
        arm=job.arm,
        budget=job.budget,
        seed=job.seed,
        labels=summary["labels_bought"],
        accuracy_start=round(summary["accuracy_start"], 4),
        accuracy_end=round(summary["accuracy_end"], 4),
        collapsed=summary["collapsed"],
        collapse_step=summary["collapse_step"],
        alarm_step=int(alarm["step"]) if alarm else None,
        seconds=summary["wall_seconds"],
    )


def append_row(table: Path, row: Row) -> None:
    """Add a finished run to the table."""
    table.parent.mkdir(parents=True, exist_ok=True)
    new = not table.exists()
    with table.open("a", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(asdict(row))


def read_rows(table: Path) -> list[Row]:
    """The finished runs."""
    if not table.exists():
        return []
    with table.open(newline="") as file:
        return [_row(values) for values in csv.DictReader(file)]


def _row(values: dict[str, str]) -> Row:
    return Row(
        study=values["study"],
        arm=values["arm"],
        budget=float(values["budget"]),
        seed=int(values["seed"]),
        labels=int(values["labels"]),
        accuracy_start=float(values["accuracy_start"]),
        accuracy_end=float(values["accuracy_end"]),
        collapsed=values["collapsed"] == "True",
        collapse_step=int(values["collapse_step"]) if values["collapse_step"] else None,
        alarm_step=int(values["alarm_step"]) if values["alarm_step"] else None,
        seconds=float(values["seconds"]),
    )


if __name__ == "__main__":
    sys.exit(main())
