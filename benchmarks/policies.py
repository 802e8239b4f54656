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
from benchmarks.policy_report import write_report
from rlavr_hpc.runs.folder import read_config
from rlavr_hpc.telemetry.collapse.early_warning import first_alarm
from rlavr_hpc.telemetry.sinks import read_metrics

BUDGETS = (0.02, 0.05, 0.1, 0.2)
TRAINING_PROMPTS = 979
"""Of the testbed: shares of distinct prompts are of these."""
STEPS = 150
BUDGET, REUSE, VARIANTS = "budget", "reuse", "variants"
QUICK_SEEDS = 3
VARIANT_SEEDS = 3
"""At most, of each variant: each builds a base model of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One line of the study."""

    name: str
    overrides: tuple[str, ...]
    budgets: tuple[float, ...] = BUDGETS
    quick: tuple[float, ...] = ()
    """Budgets that `--quick` keeps."""


VOTES_AND_ORACLE = "cag_oracle, rest on votes"
ARMS = (
    Arm(name="none", overrides=("acquisition=none",), budgets=(0.0,), quick=(0.0,)),
    Arm(name="full", overrides=("acquisition=full",), budgets=(1.0,), quick=(1.0,)),
    Arm(name="random", overrides=("acquisition=random",), quick=(0.05, 0.1, 0.2)),
    Arm(name="entropy", overrides=("acquisition=entropy",), quick=(0.2,)),
    Arm(name="avg_prob", overrides=("acquisition=avg_prob",)),
    Arm(name="cag_oracle", overrides=("acquisition=cag_oracle",)),
    Arm(
        name=VOTES_AND_ORACLE,
        overrides=("acquisition=cag_oracle", "unlabelled=pseudo"),
        quick=(0.05, 0.1, 0.2),
    ),
    Arm(name="care", overrides=("acquisition=care",), quick=(0.05, 0.1, 0.2)),
    Arm(name="anchored", overrides=("acquisition=anchored",), quick=(0.02, 0.05, 0.1, 0.2)),
    Arm(
        name="anchored, all trusted",
        overrides=("acquisition=anchored", "acquisition.settings.threshold=-9"),
        budgets=(0.05,),
    ),
)
REUSED = ("random", "care", "anchored", VOTES_AND_ORACLE)
"""Lines of the reuse curve."""
WORLDS = {
    "misbelieved 10%": ("data.kinds=HMHHHHHHXX",),
    "misbelieved 50%": ("data.kinds=HMMHMMXX",),
    "another wrong rule": ("data.wrong_rule=1",),
    "G 4": ("algorithm.group_size=4",),
    "G 16": ("algorithm.group_size=16",),
}
IN_WORLDS = {
    "full": (1.0,),
    "random": (0.2,),
    "care": (0.1, 0.2),
    "anchored": (0.02, 0.05, 0.1),
}
"""Line -> budgets, in every world."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run of the study."""

    study: str
    """`budget`, `reuse` (where the budget is a share of all prompts), or a world's name."""
    arm: str
    budget: float
    seed: int
    overrides: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str, float, int]:
        """What a line of the table is known by."""
        return self.study, self.arm, self.budget, self.seed

    @property
    def folder(self) -> str:
        """Name of its run folder."""
        name = f"{self.study}-{self.arm}-{self.budget:g}-{self.seed}"
        return "".join(c if c.isalnum() or c in "-." else "-" for c in name)


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


def planned(studies: Sequence[str], seeds: int, *, quick: bool) -> list[Job]:
    """All runs of the studies, seed by seed, so that a partial table is a fair one."""
    jobs: list[Job] = []
    for seed in range(1, seeds + 1):
        if BUDGET in studies:
            jobs += [
                _job(BUDGET, arm, budget, seed)
                for arm in ARMS
                for budget in (arm.quick if quick else arm.budgets)
            ]
        if REUSE in studies and not quick:
            jobs += [
                _job(REUSE, arm, budget, seed)
                for arm in ARMS
                if arm.name in REUSED
                for budget in BUDGETS
            ]
        if VARIANTS in studies and not quick and seed <= VARIANT_SEEDS:
            jobs += [
                _job(world, arm, budget, seed)
                for world in WORLDS
                for arm in ARMS
                for budget in IN_WORLDS.get(arm.name, ())
            ]
    return jobs


def _job(study: str, arm: Arm, budget: float, seed: int) -> Job:
    bought: tuple[str, ...] = () if budget in (0.0, 1.0) else (f"budget={budget}",)
    if study == REUSE:
        bought = "reuse_labels=true", f"budget_total={round(budget * TRAINING_PROMPTS)}"
    return Job(
        study=study,
        arm=arm.name,
        budget=budget,
        seed=seed,
        overrides=(*arm.overrides, *bought, *WORLDS.get(study, ())),
    )


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
