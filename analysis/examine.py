"""From folders to findings: every run is read and judged in a worker, then all are compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.collapse.signals import SIGNALS
from analysis.collapse.verdict import judge
from analysis.compare.budget import default_target, label_spending, with_target
from analysis.compare.conditions import name_conditions
from analysis.compare.contrasts import compare
from analysis.compare.health import run_health
from analysis.load.run import Problem, RunData, readable
from analysis.load.study import FoundRun, find, without_copies
from analysis.load.workers import each
from analysis.run_findings import Curve, RunFindings
from analysis.study_findings import Findings
from rlavr_hpc.errors import RlavrError
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.examples.record import Example, read_examples, shareable

ACCURACY = "accuracy"
SHOWN = (
    names.ORACLE_TRUE_REWARD,
    names.COLLAPSE_PSEUDO_REWARD,
    names.COLLAPSE_RISK,
    names.COLLAPSE_ALARM_EVIDENCE,
    names.LABELS_KEPT_RIGHT,
    names.LABELS_TOTAL,
    names.TRAIN_GRAD_NORM,
    names.TIME_STEP,
)
"""Metrics that figures may show, besides the signals of collapse."""
POINTS = 150
"""Of a curve, at most: more than a figure's width can tell apart."""
FEW_POINTS = 40
MANY_RUNS = 100
"""From so many runs on curves have few points; the tables have all."""
EXAMPLE_CHARACTERS = 600


@dataclass(frozen=True, kw_only=True)
class Examined:
    """What a worker sends back of a run."""

    run: RunData
    """Without its frames, but for its last row."""
    findings: RunFindings
    steps: pd.DataFrame
    """The line, for the table of steps."""


def examine(
    folders: Sequence[Path],
    *,
    workers: int = 1,
    target: float | None = None,
    progress: bool = False,
) -> tuple[Findings, Mapping[str, pd.DataFrame]]:
    """Read, judge and compare all runs at or below the folders.

    Args:
        folders: run folders, sweeps, or folders with such below them.
        workers: processes.
        target: held-out accuracy whose price in labels is asked; None = chosen by the data.
        progress: show a bar.

    Returns:
        The findings, and every run's line of metrics by the run's name.

    Raises:
        UserError: a folder does not exist, or there is no run.
    """
    places, problems = find(folders)
    points = POINTS if len(places) < MANY_RUNS else FEW_POINTS
    examined = list(
        each(
            partial(examine_place, points=points),
            places,
            workers=workers,
            progress="analysing" if progress else None,
        )
    )
    kept, copies = without_copies(one.run for one in examined)
    names_kept = {run.name for run in kept}
    examined = [one for one in examined if one.run.name in names_kept]
    named = _with_conditions(examined)
    wanted = default_target(named) if target is None else target
    runs = with_target(named, wanted)
    findings = Findings(
        title=_title(folders),
        sources=tuple(map(readable, folders)),
        runs=tuple(runs),
        comparison=compare(runs, target=wanted),
        problems=(*problems, *copies),
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        version=_version(),
    )
    return findings, {one.run.name: one.steps for one in examined}


def examine_place(place: FoundRun, *, points: int) -> Examined:
    """Read one run and judge it by itself; what nobody has thought of costs this run alone."""
    try:
        return _examine(place.read(), points=points)
    except Exception as error:  # noqa: BLE001  one folder must not take the report of all others
        text = f"cannot be analysed, left out: {type(error).__name__}: {error}"
        return _examine(replace(place, started=False, problem=text).read(), points=points)


def _examine(run: RunData, *, points: int) -> Examined:
    examples, problems = _examples(run)
    findings = RunFindings(
        name=run.name,
        folder=readable(run.folder),
        condition="",
        sweep=run.sweep,
        policy=run.policy,
        budget=run.budget,
        budget_effective=run.budget_effective,
        seed=run.seed,
        steps=run.steps,
        steps_planned=run.steps_planned,
        state=run.state,
        uses_oracle=run.uses_oracle,
        settings={},
        verdict=judge(run),
        spending=label_spending(run, target=None),
        health=run_health(run),
        curves=dict(curves(run, points=points)),
        examples=examples,
        problems=(*run.problems, *problems),
    )
    bare = replace(
        run, rows=run.rows.iloc[-1:], written=run.written.iloc[:0], purchases=run.purchases.iloc[:0]
    )
    return Examined(run=bare, findings=findings, steps=run.rows)


def curves(run: RunData, *, points: int) -> Iterator[tuple[str, Curve]]:
    """The run's series for figures: means over equal shares of the steps when there are many."""
    if len(run.accuracy):
        yield ACCURACY, _curve(run.accuracy)
    shown = {name: run.series(name) for name in SHOWN}
    shown |= {signal.name: signal.series(run) for signal in SIGNALS}
    for name, series in shown.items():
        if len(series):
            yield name, _curve(thinned(series, points))


def thinned(series: pd.Series, points: int) -> pd.Series:
    """At most `points` values: each the mean of as many neighbours, at their last step."""
    if len(series) <= points:
        return series
    parts = np.array_split(np.arange(len(series)), points)
    values, steps = series.to_numpy(), series.index.to_numpy()
    return pd.Series([values[p].mean() for p in parts], index=[steps[p[-1]] for p in parts])


def _curve(series: pd.Series) -> Curve:
    return Curve(
        steps=tuple(int(step) for step in series.index),
        values=tuple(float(f"{value:.5g}") for value in series),
    )


def _examples(run: RunData) -> tuple[tuple[Mapping[str, str], ...], tuple[Problem, ...]]:
    """Of the first and the last step with some; prompts whose label was bought are left out."""
    try:
        found = read_examples(run.folder)
    except (RlavrError, OSError) as error:
        return (), (Problem(path=readable(run.folder / "examples"), text=str(error)),)
    steps = sorted({example.step for example in found})
    wanted = {*steps[:1], *steps[-1:]}
    shown = shareable(example for example in found if example.step in wanted)
    return tuple(_shown(example) for example in shown), ()


def _shown(example: Example) -> dict[str, str]:
    first = example.responses[0] if example.responses else None
    return {
        "step": str(example.step),
        "prompt": example.prompt[:EXAMPLE_CHARACTERS],
        "response": first.text[:EXAMPLE_CHARACTERS] if first else "",
        "vote": example.vote or "none",
        "majority_ratio": f"{example.majority_ratio:.2f}",
    }


def _with_conditions(examined: Sequence[Examined]) -> list[RunFindings]:
    """The runs' findings with the group that each belongs to."""
    keys = name_conditions([one.run for one in examined])
    return [
        replace(
            one.findings,
            condition=keys[one.run.name].name,
            settings=dict(keys[one.run.name].settings),
        )
        for one in examined
    ]


def _title(folders: Sequence[Path]) -> str:
    return ", ".join(readable(folder.resolve().name or folder) for folder in folders)


def _version() -> str:
    try:
        return version("rlavr-hpc")
    except PackageNotFoundError:
        return "unknown"
