"""What is known of one run, as read from its folder: facts, rows, purchases, starts, problems."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rlavr_hpc.runs.attempts import Attempt
from rlavr_hpc.telemetry import names

PURCHASES = ["branch", "step", "wanted", "bought", "void", "cost", "on_line"]
"""Columns of `RunData.purchases`."""
HELD_OUT = "eval/held_out/mean@"
"""Beginning of the held-out accuracy's name; the number of samples follows."""
HELD_OUT_ERROR = "eval/held_out/stderr@"
"""The same of its standard error."""


def readable(name: object) -> str:
    """A path or text on one line that can be printed: no escape sequence reaches a terminal.

    White space becomes a space; what is no printable character becomes a question mark.
    """
    text = str(name).encode("utf-8", "replace").decode()
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something in a folder that could not be used, and what was done about it."""

    path: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStop:
    """One start of a run's Slurm job, ended."""

    cause: str
    """As in `stops/`: preempted, time_limit, requeued, crashed ...."""
    time: float
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatorSpend:
    """What one annotator, or one model, answered to the run's orders."""

    annotator: str
    answers: int
    voids: int
    """Orders to which it gave none, with a reason."""
    median_seconds: float | None
    cost: float


@dataclass(frozen=True, kw_only=True)
class RunData:
    """One run. Everything that was not on disk, or could not be read, is empty or None."""

    name: str
    """Unique in a study: the folder relative to the folder searched."""
    folder: Path
    sweep: str | None = None
    overrides: tuple[str, ...] = ()
    """What tells it from the other runs of its sweep, as planned."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """Flat: `acquisition.name` -> value."""
    policy: str = "unknown"
    budget: float | None = None
    """Share of a step's prompts whose label may be bought, as asked for."""
    budget_effective: float | None = None
    """The same with the quota rounded up."""
    quota: int | None = None
    """Labels a step may buy."""
    seed: int | None = None
    steps_planned: int | None = None
    batch: int | None = None
    """Prompts a step."""
    selective: bool = False
    """The policy learns where votes are wrong and buys there."""
    uses_oracle: bool = False
    """The policy reads labels nobody bought: research only."""
    ranks: int = 1
    accelerators: int = 0
    """GPUs among the ranks; 0 on CPUs."""
    state: str = "unknown"
    """As every command tells it: one of `rlavr_hpc.runs.state_types.State`."""
    summary: Mapping[str, Any] = field(default_factory=dict)
    attempts: tuple[Attempt, ...] = ()
    stops: tuple[JobStop, ...] = ()
    rows: pd.DataFrame = field(default_factory=pd.DataFrame)
    """The run's line: one row per step that it has behind it, index `step` (0 = before training),
    without what was rolled back; columns `attempt`, `branch`, `time`, and every metric (float64,
    NaN where a row lacks it)."""
    written: pd.DataFrame = field(default_factory=pd.DataFrame)
    """(attempt, branch, step, time, time/step) of every row in the record, also of steps done again
    or left behind by a roll-back: what was paid for in time."""
    purchases: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Per decision: branch, step, wanted, bought, void, cost, on_line (not rolled back)."""
    annotators: tuple[AnnotatorSpend, ...] = ()
    """Who answered its orders to a live label source; most answers first."""
    problems: tuple[Problem, ...] = ()

    def series(self, metric: str) -> pd.Series:
        """A metric over steps 1, 2, ... without the rows that lack it; empty when none has it."""
        if metric not in self.rows.columns:
            return pd.Series(dtype="float64", name=metric)
        values: pd.Series = self._trained[metric].dropna()
        return values

    @cached_property
    def _trained(self) -> pd.DataFrame:
        """The rows of steps, without the one before training."""
        return self.rows[self.rows.index > 0]

    @cached_property
    def accuracy(self) -> pd.Series:
        """Held-out mean@n by step, step 0 included; empty without a held-out set."""
        found = [column for column in self.rows.columns if column.startswith(HELD_OUT)]
        values: pd.Series = self.rows[found[0]].dropna() if found else pd.Series(dtype="float64")
        return values.rename("accuracy")

    @cached_property
    def accuracy_error(self) -> pd.Series:
        """Standard errors of `accuracy`, by step; empty where they were not measured."""
        found = [column for column in self.rows.columns if column.startswith(HELD_OUT_ERROR)]
        values: pd.Series = self.rows[found[0]].dropna() if found else pd.Series(dtype="float64")
        return values

    @cached_property
    def labels_by_step(self) -> pd.Series:
        """Labels bought up to and with each step of the line, left branches' labels included."""
        bought: pd.Series = self.series(names.LABELS_TOTAL)
        return bought.rename("labels")

    @property
    def steps(self) -> int:
        """The last step on the line; 0 before the first."""
        return int(self.rows.index.max()) if len(self.rows) else 0

    @property
    def audited(self) -> bool:
        """Whether the truth about every vote is on record (`audit=true`)."""
        truth = self.series(names.ORACLE_TRUE_REWARD)
        return bool(len(truth)) and len(truth) == int(np.sum(self.rows.index > 0))
