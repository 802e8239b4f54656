"""`python -m benchmarks.policies`: which labels to buy? Policies x budgets x seeds x worlds.

Every run is the main job in a process of its own, two side by side with one thread each. A finished
run is a line of `benchmarks/results/policies.csv` at once and is never repeated, so the study can
be stopped and started again. From the lines it writes `policies.md` (tables) and `policies.png`.
Exit code 1 when a run failed; the others are made all the same.

Studies: `budget` (all policies in the default world), `worlds` (the main ones in five worlds that
nobody tuned on), `reasoning` (in the testbed with worked steps), `rates` (how the learning rate was
chosen), `vote` (training on the vote alone in 16 worlds), `reuse` (labels are remembered).

`--quick` repeats the lines that carry the story with seeds of its own, in a folder of its own, and
says whether they agree with the committed table; exit code 1 when one does not. 30 runs, within
twenty minutes on two cores.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from tqdm import tqdm

from benchmarks.machine import machine
from benchmarks.policy_arms import ARMS
from benchmarks.policy_plan import QUICK_FIRST, QUICK_SEEDS, SEEDS, Job, planned, planned_quick
from benchmarks.policy_report import write_report
from benchmarks.policy_reproduction import describe, machines_of, reproduced
from benchmarks.policy_rows import append_row, read_rows
from benchmarks.policy_runs import row_of, run_all, words_of

COMMITTED = Path("benchmarks/results")
MOST_SEEDS = max(len(seeds) for seeds in SEEDS.values())


def main() -> int:
    """Run what is missing and write the report; 1 when a run failed or a line does not agree."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the runs as Ctrl-C does
    if arguments.quick:
        jobs = planned_quick(seeds=arguments.seeds, first_seed=arguments.first_seed)
    else:
        jobs = planned(arguments.study, seeds=arguments.seeds)
    jobs = [job for job in jobs if not arguments.only or job.arm in arguments.only]
    failed = [] if arguments.report_only else run_missing(jobs, arguments)
    table = arguments.out / "policies.csv"
    rows = read_rows(table)
    write_report(rows, arguments.out)
    print(f"{len(rows)} runs in {table}; tables in policies.md, curves in policies.png")
    for job in failed:
        print(f"FAILED: {words_of(job, arguments.root)}", file=sys.stderr)
    apart = arguments.quick and not _agrees(jobs, arguments)
    return 1 if failed or apart else 0


def run_missing(jobs: list[Job], arguments: argparse.Namespace) -> list[Job]:
    """Make those runs that the table lacks; jobs that failed."""
    table, failed, here = arguments.out / "policies.csv", [], machine()
    done = {row.key for row in read_rows(table)}
    missing = [job for job in jobs if job.key not in done]
    with tqdm(total=len(missing), unit="run", desc="policies") as bar:

        def ended(job: Job, folder: Path | None) -> None:
            bar.update()
            if folder is None:
                failed.append(job)
            else:
                append_row(table, row_of(job, folder, machine=here))

        run_all(missing, arguments.root, side_by_side=arguments.side_by_side, ended=ended)
    return failed


def _agrees(jobs: list[Job], arguments: argparse.Namespace) -> bool:
    """Print the runs of `--quick` beside the committed table; whether all lines agree."""
    mine = {job.key for job in jobs}
    new = [row for row in read_rows(arguments.out / "policies.csv") if row.key in mine]
    old = read_rows(COMMITTED / "policies.csv")
    found = reproduced(new, old)
    print("\n".join(describe(found, machines=(machines_of(new), machines_of(old)))))
    return bool(found) and all(one.agrees for one in found)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.policies",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--study", nargs="*", default=list(SEEDS), choices=list(SEEDS))
    parser.add_argument("--seeds", type=int, help="at most, of each study; 3 with --quick")
    parser.add_argument("--quick", action="store_true", help="three seeds of the main lines")
    parser.add_argument(
        "--first-seed", type=int, default=QUICK_FIRST, help=f"of --quick; {QUICK_FIRST}"
    )
    parser.add_argument("--only", nargs="*", default=[], metavar="ARM", help="these policies only")
    parser.add_argument("--report-only", action="store_true", help="run nothing")
    parser.add_argument("--side-by-side", type=int, default=2)
    parser.add_argument("--root", type=Path, help="of the runs' folders; below runs/")
    parser.add_argument(
        "--out", type=Path, help="of tables; benchmarks/results, or with --quick ROOT"
    )
    arguments = parser.parse_args()
    unknown = set(arguments.only) - {arm.name for arm in ARMS}
    if arguments.seeds is None:
        arguments.seeds = QUICK_SEEDS if arguments.quick else MOST_SEEDS
    if unknown or min(arguments.seeds, arguments.side_by_side, arguments.first_seed) < 1:
        parser.error(f"--only takes {', '.join(arm.name for arm in ARMS)}; numbers start at 1")
    name = "policies-quick" if arguments.quick else "policies"
    arguments.root = arguments.root or Path("runs") / name
    arguments.out = arguments.out or (arguments.root if arguments.quick else COMMITTED)
    if arguments.quick and arguments.out.resolve() == COMMITTED.resolve():
        parser.error(f"--quick compares with {COMMITTED} and cannot write there")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
