"""Finished runs of `benchmarks.policies`: a line each in its table."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from benchmarks.policy_plan import RunKey

THRESHOLDS = tuple(round(0.05 * number, 2) for number in range(2, 21))
"""Of `collapse/risk`, 0.1 to 1."""
COLLAPSED = "collapsed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One finished run."""

    study: str
    world: str
    arm: str
    budget: float
    seed: int
    labels: int
    """Bought."""
    accuracy_start: float
    """Held out, as all accuracies."""
    accuracy_end: float
    accuracy_best: float
    """Of all evaluations."""
    faults: str
    """Names of what went wrong, joined by `+`; empty = nothing."""
    collapse_step: int | None
    hint_step: int | None
    """Of the first hint of collapse, at the run's own threshold."""
    risk_steps: str
    """First step at which `collapse/risk` reached each of `THRESHOLDS`, `-` = never."""
    truncated_end: float
    """Share of the last ten steps' responses that ran into their limit."""
    votes_right_start: float
    """Share of right votes in the first five steps."""
    seconds: float
    machine: str

    @property
    def key(self) -> RunKey:
        """As the job's."""
        return self.study, self.world, self.arm, self.budget, self.seed

    @property
    def fault_names(self) -> tuple[str, ...]:
        """What went wrong, the gravest first."""
        return tuple(self.faults.split("+")) if self.faults else ()

    @property
    def collapsed(self) -> bool:
        """By the definition."""
        return COLLAPSED in self.fault_names

    def hinted_at(self, threshold: float) -> int | None:
        """First step at which the risk reached one of `THRESHOLDS`; None = never."""
        step = self.risk_steps.split()[THRESHOLDS.index(threshold)]
        return None if step == "-" else int(step)


NAMES = [field.name for field in fields(Row)]


def append_row(table: Path, row: Row) -> None:
    """Add a finished run to the table."""
    table.parent.mkdir(parents=True, exist_ok=True)
    new = not table.exists()
    with table.open("a", newline="") as file:
        writer = csv.DictWriter(file, NAMES, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(asdict(row))


def read_rows(table: Path) -> list[Row]:
    """The finished runs; none where there is no table.

    Raises:
        ValueError: the table has other columns.
    """
    if not table.exists():
        return []
    with table.open(newline="") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != NAMES:
            raise ValueError(f"{table} has other columns than {', '.join(NAMES)}; move it away")
        return [_row(values) for values in reader]


def _row(values: dict[str, str]) -> Row:
    def step(name: str) -> int | None:
        return int(values[name]) if values[name] else None

    return Row(
        study=values["study"],
        world=values["world"],
        arm=values["arm"],
        budget=float(values["budget"]),
        seed=int(values["seed"]),
        labels=int(values["labels"]),
        accuracy_start=float(values["accuracy_start"]),
        accuracy_end=float(values["accuracy_end"]),
        accuracy_best=float(values["accuracy_best"]),
        faults=values["faults"],
        collapse_step=step("collapse_step"),
        hint_step=step("hint_step"),
        risk_steps=values["risk_steps"],
        truncated_end=float(values["truncated_end"]),
        votes_right_start=float(values["votes_right_start"]),
        seconds=float(values["seconds"]),
        machine=values["machine"],
    )
