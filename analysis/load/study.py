"""Runs found in folders, read side by side, and what they say as data frames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from analysis.load.run import Problem, RunData, readable
from analysis.load.run_folder import planned_run, read_run
from analysis.load.workers import each
from rlavr_hpc.cluster.slurm.commands import ask_queue
from rlavr_hpc.errors import UserError
from rlavr_hpc.runs.find import FoundFolder, find_runs
from rlavr_hpc.runs.states import StateReader


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRun:
    """Where a run lies, before it is read."""

    name: str
    folder: Path
    sweep: str | None = None
    overrides: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    started: bool = True
    problem: str | None = None
    state: str | None = None
    """As every command tells it; None = told when the run is read, without Slurm."""

    def read(self) -> RunData:
        """The run."""
        if not self.started:
            return planned_run(
                self.folder,
                name=self.name,
                sweep=self.sweep,
                overrides=self.overrides,
                asked=self.asked,
                problem=self.problem,
                state=self.state or "planned",
            )
        return read_run(
            self.folder,
            name=self.name,
            sweep=self.sweep,
            overrides=self.overrides,
            state=self.state,
        )


@dataclass(frozen=True, kw_only=True)
class Study:
    """Runs, and what stood in the way of reading others."""

    sources: tuple[Path, ...]
    runs: tuple[RunData, ...]
    problems: tuple[Problem, ...] = ()

    def __getitem__(self, name: str) -> RunData:
        """A run by its name.

        Raises:
            KeyError: there is none of this name.
        """
        for run in self.runs:
            if run.name == name:
                return run
        raise KeyError(f"no run {name!r}; there are {', '.join(r.name for r in self.runs)}")

    def table(self) -> pd.DataFrame:
        """One row per run: what was asked of it and where it stands."""
        facts = [
            {
                "run": run.name,
                "sweep": run.sweep,
                "policy": run.policy,
                "budget": run.budget,
                "seed": run.seed,
                "state": run.state,
                "step": run.steps,
                "steps": run.steps_planned,
                "labels": _last(run.labels_by_step),
                "accuracy_start": _first(run.accuracy),
                "accuracy_end": _last(run.accuracy),
                "starts": sum(attempt.reason == "start" for attempt in run.attempts),
                "problems": len(run.problems),
                "folder": str(run.folder),
            }
            for run in self.runs
        ]
        return pd.DataFrame(facts).set_index("run") if facts else pd.DataFrame()

    def steps(self) -> pd.DataFrame:
        """All rows of all runs, index (run, step), one column per metric."""
        parts = {run.name: run.rows for run in self.runs if len(run.rows)}
        return pd.concat(parts, names=["run", "step"]) if parts else pd.DataFrame()

    def purchases(self) -> pd.DataFrame:
        """All decisions of all runs, index run: branch, step, wanted, bought, void, cost."""
        parts = {run.name: run.purchases for run in self.runs if len(run.purchases)}
        return pd.concat(parts, names=["run"]).droplevel(1) if parts else pd.DataFrame()

    def starts(self) -> pd.DataFrame:
        """Every start of every run: number, where it went on from, branch, reason, host, time."""
        told = [
            {
                "run": run.name,
                "attempt": a.number,
                "resumed_from": a.resumed_from,
                "branch": a.branch,
                "reason": a.reason,
                "host": a.host,
                "started": pd.Timestamp(a.started),
            }
            for run in self.runs
            for a in run.attempts
        ]
        return pd.DataFrame(told).set_index("run") if told else pd.DataFrame()


def load(*folders: Path | str, workers: int = 1, progress: bool = False) -> Study:
    """Read every run at or below the folders.

    Args:
        folders: run folders, sweeps, or folders with such below them.
        workers: processes; more than one need the caller to be importable, as notebooks are and
            scripts with an `if __name__ == "__main__"` are.
        progress: show a bar.

    Raises:
        UserError: a folder does not exist, or there is no run.
    """
    places, problems = find([Path(folder) for folder in folders])
    bar = "reading" if progress else None
    runs = list(each(FoundRun.read, places, workers=workers, progress=bar))
    kept, copies = without_copies(runs)
    return Study(
        sources=tuple(Path(folder) for folder in folders),
        runs=tuple(kept),
        problems=(*problems, *copies),
    )


def find(folders: Sequence[Path]) -> tuple[list[FoundRun], list[Problem]]:
    """Where the runs are, each once, and what is in the way.

    Raises:
        UserError: a folder does not exist, or there is no run.
    """
    if missing := [str(folder) for folder in folders if not folder.is_dir()]:
        raise UserError(f"{', '.join(missing)}: no such folder")
    places: dict[Path, FoundRun] = {}
    problems: list[Problem] = []
    states = StateReader(ask_queue()[0])
    for top in folders:
        for one in find_runs(top):
            if _is_ours(one):
                state = states.read(one).state
                places.setdefault(one.folder.resolve(), _place(one, state))
            elif not _is_report(one.folder):
                text = one.problem or "holds no run; left out"
                problems.append(Problem(path=readable(one.folder), text=text))
    if not places:
        raise UserError(
            f"no run in {', '.join(map(str, folders))}; name a run's folder, a sweep's, or one "
            "with such below it"
        )
    return _with_unique_names(list(places.values())), problems


def _is_ours(found: FoundFolder) -> bool:
    """A run with or without a config, one that cannot be read, or a planned one."""
    return not (found.foreign or found.is_plan)


def _is_report(folder: Path) -> bool:
    return (folder / "index.html").is_file() and (folder / "summary.json").is_file()


def _place(found: FoundFolder, state: str) -> FoundRun:
    planned = found.run_id is not None
    sweep = found.folder.parent.resolve().name if planned else None
    return FoundRun(
        name=readable(found.name),
        folder=found.folder,
        sweep=sweep,
        overrides=found.overrides,
        asked=found.all_overrides,
        started=found.started,
        problem=found.problem,
        state=state,
    )


def _with_unique_names(places: list[FoundRun]) -> list[FoundRun]:
    """Names of the folders as they are, with as many parents as tell them apart."""
    counts: dict[str, int] = {}
    for place in places:
        counts[place.name] = counts.get(place.name, 0) + 1
    return [
        place if counts[place.name] == 1 else replace(place, name=readable(place.folder))
        for place in places
    ]


def without_copies(runs: Iterable[RunData]) -> tuple[list[RunData], list[Problem]]:
    """A run whose folder was copied counts once: the folder that has come farthest.

    A copy's first start has the same nonce.
    """
    best: dict[str, RunData] = {}
    listed = list(runs)
    for run in listed:
        nonce = _nonce(run)
        best[nonce] = max(best.get(nonce, run), run, key=lambda r: (len(r.attempts), r.steps))
    kept = [run for run in listed if best[_nonce(run)] is run]
    problems = [
        Problem(
            path=readable(run.folder),
            text=f"is a copy of {best[_nonce(run)].name}: both began as the same start; left out",
        )
        for run in listed
        if best[_nonce(run)] is not run
    ]
    return kept, problems


def _nonce(run: RunData) -> str:
    return run.attempts[0].nonce if run.attempts else str(run.folder.resolve())


def _first(series: pd.Series) -> float | None:
    return float(series.iloc[0]) if len(series) else None


def _last(series: pd.Series) -> float | None:
    return float(series.iloc[-1]) if len(series) else None
