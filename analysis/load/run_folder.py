"""A run's folder -> what is known of the run. Nothing in it stops the reader; it notes problems."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from analysis.load.annotators import read_annotators
from analysis.load.purchases import compare_totals, read_purchases
from analysis.load.rows import WRITTEN, no_rows, read_rows
from analysis.load.run import PURCHASES, JobStop, Problem, RunData, readable
from analysis.load.segments import Notes, attempts_of, files_of
from rlavr_hpc.runs.attempts import Attempt
from rlavr_hpc.runs.states import run_state

CONFIG_VERSIONS = (1, 2)
LARGEST = 2.0**53
"""Larger numbers are no settings, and no integers in a float."""

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_run(
    folder: Path,
    *,
    name: str,
    sweep: str | None = None,
    overrides: tuple[str, ...] = (),
    state: str | None = None,
) -> RunData:
    """Everything a run's folder says.

    Args:
        folder: the run's folder; may hold anything.
        name: what the run is called in the study.
        sweep: name of the sweep that planned it.
        overrides: what tells it from the sweep's other runs.
        state: as every command tells it; None = told here, without Slurm.
    """
    notes = Notes()
    config = _config(folder / "config.yaml", notes)
    attempts = attempts_of(folder, notes)
    summary = _record(folder / "summary.json", notes)
    line, written = read_rows(folder, attempts, notes)
    purchases = read_purchases(folder, attempts, notes)
    compare_totals(folder, line, purchases, notes)
    trained = [attempt.number for attempt in attempts if attempt.setup is not None]
    provenance = _record(folder / "provenance" / f"{max(trained, default=1)}.json", notes)
    return RunData(
        name=name,
        folder=folder,
        sweep=sweep,
        overrides=overrides,
        config=config,
        uses_oracle=bool(config.get("acquisition.research_only", False)),
        selective=bool(config.get("acquisition.has_trust", False)),
        policy=str(config.get("acquisition.name", "unknown")),
        ranks=_ranks(attempts),
        accelerators=_accelerators(provenance, _ranks(attempts)),
        state=state or run_state(folder, queue=None).state,
        summary=summary,
        attempts=attempts,
        stops=tuple(_stops(folder / "stops", notes)),
        rows=line,
        written=written,
        purchases=purchases,
        annotators=read_annotators(folder, attempts, notes),
        problems=tuple(notes.problems),
        **_sizes(config),
    )


def _config(path: Path, notes: Notes) -> dict[str, Any]:
    """The flat config; empty where it cannot be used."""
    try:
        values = yaml.load(path.read_bytes(), Loader=Loader)
        values = json.loads(json.dumps(values, default=str, skipkeys=True))  # every key a text
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        notes.add(path, f"cannot be used: {_first_line(error)}")
        return {}
    if not isinstance(values, dict):
        notes.add(path, "is not a run's config")
        return {}
    if values.get("version") not in CONFIG_VERSIONS:
        found = values.get("version")
        notes.add(path, f"version {found!r} is none of {CONFIG_VERSIONS}, those known; left out")
        return {}
    return dict(_flat(values))


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _sizes(config: Mapping[str, Any]) -> dict[str, Any]:
    """Seed, steps, budget and quota, as far as the config says them."""
    batch, budget = _number(config, "algorithm.batch"), _number(config, "budget")
    seed, steps = _number(config, "seed"), _number(config, "steps")
    quota = None
    if batch and budget is not None:
        quota = max(0, math.ceil(budget * batch - 1e-9))
    return {
        "seed": None if seed is None else int(seed),
        "steps_planned": None if steps is None else int(steps),
        "batch": None if batch is None else int(batch),
        "budget": budget,
        "quota": quota,
        "budget_effective": quota / batch if quota is not None and batch else None,
    }


def _number(config: Mapping[str, Any], key: str) -> float | None:
    value = config.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < LARGEST else None  # also not where it is NaN


def _record(path: Path, notes: Notes) -> dict[str, Any]:
    """A small JSON file; empty when missing."""
    try:
        values = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        notes.add(path, f"cannot be used: {_first_line(error)}")
        return {}
    if not isinstance(values, dict):
        notes.add(path, "is not one of a run's records")
        return {}
    return values


def _stops(folder: Path, notes: Notes) -> Iterator[JobStop]:
    for path in files_of(folder, notes):
        values = _record(path, notes)
        moment = _number(values, "time")
        if isinstance(values.get("cause"), str) and moment is not None:
            yield JobStop(cause=values["cause"], time=moment)
        elif values:
            notes.add(path, "does not say how a start ended; left out")


def _ranks(attempts: Sequence[Attempt]) -> int:
    """Of the last attempt that trained."""
    sizes = [(a.setup or {}).get("world_size") for a in attempts]
    known = [size for size in sizes if isinstance(size, int) and size > 0]
    return known[-1] if known else 1


def _accelerators(provenance: Mapping[str, Any], ranks: int) -> int:
    device = provenance.get("device")
    return ranks if isinstance(device, str) and device != "cpu" else 0


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def planned_run(
    folder: Path,
    *,
    name: str,
    sweep: str | None,
    overrides: tuple[str, ...],
    asked: tuple[str, ...],
    problem: str | None,
    state: str = "planned",
) -> RunData:
    """A run of a sweep's plan that has nothing on disk yet, or no longer.

    `asked` are its overrides with those that the whole sweep shares.
    """
    problems = (Problem(path=readable(folder), text=problem),) if problem else ()
    facts = dict(part.partition("=")[::2] for part in asked)
    seed = facts.get("seed", "")
    return RunData(
        name=name,
        folder=folder,
        sweep=sweep,
        overrides=overrides,
        state=state,
        policy=facts.get("acquisition", "unknown"),
        seed=int(seed) if seed.isdigit() else None,
        rows=no_rows(),
        written=pd.DataFrame(columns=WRITTEN),
        purchases=pd.DataFrame(columns=PURCHASES),
        problems=problems,
    )
