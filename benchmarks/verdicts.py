"""`python -m benchmarks.verdicts`: are verdicts, hint and alarm true on runs they never saw?

Sixty sound runs (healthy, frozen, a small learning rate) and forty that are broken in ten ways,
with 4 to 64 prompts a step, each through the main job in processes of its own, two side by side
with one thread each. The same runs judge the verdicts (`summary.json`), the hint, and the collapse
alarm. A finished run is a line of `benchmarks/results/verdicts.csv` at once and is never repeated,
so the study can be stopped and started again. From the lines it writes `verdicts.md`. `--quick` is
eight sound runs and one of each way to break one.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from tqdm import tqdm

from benchmarks.broken_parts import write_files
from benchmarks.machine import machine
from benchmarks.verdict_plan import VerdictJob, planned
from benchmarks.verdict_report import write_report
from benchmarks.verdict_rows import append_row, read_rows, row_of
from benchmarks.verdict_ways import WORLDS

STOPPED = 75
"""Exit code of a run that was stopped with a checkpoint."""


def main() -> int:
    """Run what is missing and write the report; 1 when a run failed."""
    arguments = _arguments()
    table = arguments.out / "verdicts.csv"
    done = {row.seed for row in read_rows(table)}
    missing = [job for job in planned(quick=arguments.quick) if job.seed not in done]
    failed = [] if arguments.report_only else _run_all(missing, arguments, table)
    rows = read_rows(table)
    write_report(rows, arguments.out / "verdicts.md", machine=machine())
    print(f"{len(rows)} runs in {table}; tables in verdicts.md")
    for folder in failed:
        print(f"FAILED: {folder}", file=sys.stderr)
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdicts", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="18 runs")
    parser.add_argument("--report-only", action="store_true", help="run nothing")
    parser.add_argument("--side-by-side", type=int, default=2)
    parser.add_argument("--root", type=Path, default=Path("runs/verdicts"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    if arguments.side_by_side < 1:
        parser.error("--side-by-side starts at 1")
    return arguments


def _run_all(jobs: Sequence[VerdictJob], arguments: argparse.Namespace, table: Path) -> list[Path]:
    """Run them, `side_by_side` at a time; folders of those that failed."""
    lock, failed = Lock(), []
    files = {name: arguments.root / "data" / name for name in WORLDS}
    for name, (kinds, wrong_rule) in WORLDS.items():
        write_files(files[name], kinds=kinds, wrong_rule=wrong_rule)
    with (
        tqdm(total=len(jobs), unit="run", desc="verdicts") as bar,
        ThreadPoolExecutor(arguments.side_by_side) as pool,
    ):

        def one(job: VerdictJob) -> None:
            folder = arguments.root / job.name
            ended = run_one(
                job, folder, files=files[job.way.world], side_by_side=arguments.side_by_side
            )
            with lock:
                bar.update()
                if ended:
                    append_row(table, row_of(job, folder))
                else:
                    failed.append(folder)

        list(pool.map(one, jobs))
    return failed


def run_one(job: VerdictJob, folder: Path, *, files: Path, side_by_side: int) -> bool:
    """All parts of a run; False when one failed (its words are in the folder's `output.txt`).

    Args:
        job: the run.
        folder: its run folder; a run that is not finished begins anew.
        files: folder of the files with bad labels.
        side_by_side: runs that share the machine.
    """
    if (folder / "DONE.json").exists():
        return True
    shutil.rmtree(folder, ignore_errors=True)
    where = [f"run_dir={folder}", f"cluster.runs_per_node={side_by_side}"]
    for stop, overrides in job.parts(files):
        program = ["rlavr_hpc.run"] if stop is None else ["benchmarks.stop_after", str(stop)]
        command = [sys.executable, "-m", *program, *overrides, *where]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode != (0 if stop is None else STOPPED):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "output.txt").write_text(ended.stderr)
            return False
    return True


if __name__ == "__main__":
    sys.exit(main())
