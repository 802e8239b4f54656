"""`python -m benchmarks.collapse`: is a collapse found, when, and how early could one have known?

Runs every policy of the study (20% of the labels, some also with 10%) over five seeds through the
main job, judges each run as the report does, and compares with the definition. A finished run is
not repeated. Writes `collapse.csv` (a line per run) and `collapse.md`. Exit code 1 when a promise
is broken: an onset more than ten steps off, or `full` called collapsed or warned of.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from analysis.collapse.verdict import judge
from analysis.load.run_folder import read_run
from benchmarks.collapse_report import Judged, broken, signals_of, write_report
from benchmarks.machine import machine
from benchmarks.policy_arms import ANCHORED, CARE, FULL, NONE, RANDOM, VOTES_AND_ORACLE
from benchmarks.policy_plan import BUDGET, SEEDS, Job, planned
from benchmarks.policy_runs import run_all

SHARE = 0.2
ALSO_TENTH = (RANDOM, CARE, ANCHORED)
JUDGED = (
    *(NONE, FULL, "entropy", "avg_prob", "cag_oracle", VOTES_AND_ORACLE),
    *ALSO_TENTH,
)
"""Policies."""
QUICK_SEEDS = 2
QUICK = (NONE, FULL, RANDOM, CARE)


def main() -> int:
    """Run what is missing, judge, report; 1 when a run failed or a promise is broken."""
    arguments = _arguments()
    jobs = chosen(arguments.seeds, quick=arguments.quick)
    failed = _run_missing(jobs, arguments.root, side_by_side=arguments.side_by_side)
    there = [job for job in jobs if arguments.root / job.folder not in failed]
    judged = [judged_of(job, arguments.root / job.folder) for job in tqdm(there, desc="judging")]
    arguments.out.mkdir(parents=True, exist_ok=True)
    _write_rows(arguments.out / "collapse.csv", judged)
    write_report(judged, arguments.out / "collapse.md", machine=machine())
    promises = broken(judged)
    for line in [*(f"FAILED: {folder}" for folder in failed), *promises]:
        print(line, file=sys.stderr)
    print(f"{len(judged)} runs judged; {arguments.out / 'collapse.md'}")
    return 1 if failed or promises else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.collapse", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two seeds of four policies")
    parser.add_argument(
        "--seeds", type=int, default=len(SEEDS[BUDGET]), help="runs per policy and budget"
    )
    parser.add_argument("--side-by-side", type=int, default=2)
    parser.add_argument("--root", type=Path, default=Path("runs/collapse"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    if arguments.seeds < 1 or arguments.side_by_side < 1:
        parser.error("--seeds and --side-by-side start at 1")
    return arguments


def chosen(seeds: int, *, quick: bool) -> list[Job]:
    """The runs, seed by seed."""
    jobs = planned([BUDGET], seeds=min(seeds, QUICK_SEEDS) if quick else seeds)
    some = [
        job
        for job in jobs
        if job.arm in JUDGED
        and (job.budget in (0.0, 1.0, SHARE) or (job.budget == 0.1 and job.arm in ALSO_TENTH))
        and not (quick and (job.arm not in QUICK or job.budget == 0.1))
    ]
    return sorted(some, key=lambda job: job.seed)


def _run_missing(jobs: Sequence[Job], root: Path, *, side_by_side: int) -> set[Path]:
    """Run what is not finished; folders of those that failed."""
    failed: set[Path] = set()
    with tqdm(total=len(jobs), desc="runs", unit="run") as bar:

        def ended(job: Job, folder: Path | None) -> None:
            bar.update()
            if folder is None:
                failed.add(root / job.folder)

        run_all(jobs, root, side_by_side=side_by_side, ended=ended)
    return failed


def judged_of(job: Job, folder: Path) -> Judged:
    """A finished run and its verdict."""
    verdict = judge(read_run(folder, name=job.folder))
    return Judged(arm=job.arm, budget=job.budget, seed=job.seed, verdict=verdict)


def _write_rows(table: Path, judged: Sequence[Judged]) -> None:
    signals = signals_of(judged)
    with table.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            [
                "arm",
                "budget",
                "seed",
                "defined_onset",
                "change_point",
                "collapsed",
                "kind",
                "loss",
                "warned",
                "detected",
                *(f"told by {signal}" for signal in signals),
            ]
        )
        for one in judged:
            v = one.verdict
            loss = "" if v.loss is None else f"{v.loss:.3f}"
            told = [one.detected_by(signal) for signal in signals]
            writer.writerow(
                [
                    one.arm,
                    f"{one.budget:g}",
                    one.seed,
                    v.defined_onset,
                    v.change_point,
                    v.collapsed,
                    v.kind or "",
                    loss,
                    v.warned,
                    v.detected,
                    *told,
                ]
            )


if __name__ == "__main__":
    sys.exit(main())
