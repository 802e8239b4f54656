"""Submitting single runs again, as they were submitted last."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rlavr_hpc.cluster.slurm import commands
from rlavr_hpc.cluster.slurm.code import plugin_targets, snapshot
from rlavr_hpc.cluster.slurm.launch import alone, submit
from rlavr_hpc.cluster.slurm.settings import SlurmSettings, read_settings
from rlavr_hpc.cluster.slurm.site import read_site
from rlavr_hpc.cluster.slurm.states import State, states
from rlavr_hpc.cluster.slurm.submissions import Submission, submissions
from rlavr_hpc.errors import UserError
from rlavr_hpc.run_folder import git_revision, read_config

CAN = (State.failed, State.cancelled, State.stopped, State.planned)


def submit_again(run_dirs: Sequence[Path]) -> list[Submission]:
    """Submit runs that are over or were never queued, with the program as it is now.

    Args:
        run_dirs: run folders, of one or several sweeps.

    Raises:
        UserError: a run is queued, running or done, or never was in a Slurm sweep.
        SlurmError: Slurm does not answer or refuses.
    """
    runs = list(dict.fromkeys(run.absolute() for run in run_dirs))
    done = []
    for sweep in dict.fromkeys(run.parent for run in runs):
        done += _submit_again(sweep, [run for run in runs if run.parent == sweep])
    return done


def _submit_again(sweep: Path, runs: Sequence[Path]) -> list[Submission]:
    with alone(sweep):
        found = {state.run.absolute(): state for state in states(sweep, queue=commands.queue())}
        for run in runs:
            state = found[run].state if run in found else None
            if state not in CAN:
                raise UserError(
                    f"{run} is {state or 'no run of a sweep'}; only a run that failed, was "
                    "cancelled or stopped, or was never queued is submitted again"
                )
        done: list[Submission] = []
        groups: dict[str, tuple[SlurmSettings, list[Path]]] = {}
        for run in runs:
            settings = _settings_of(sweep, run)
            groups.setdefault(repr(settings), (settings, []))[1].append(run)
        for settings, members in groups.values():
            targets = {t for run in members for t in plugin_targets(read_config(run))}
            code = snapshot(sweep, targets, revision=git_revision()) if settings.snapshot else None
            done += submit(sweep, members, settings, read_site(settings), code=code)
    return done


def _settings_of(sweep: Path, run: Path) -> SlurmSettings:
    """Those of the newest submission that holds the run."""
    holding = [s for s in submissions(sweep) if run in s.runs and s.kind == "train"]
    if not holding:
        raise UserError(
            f"{run} was never submitted to Slurm; start its sweep with hydra/launcher=slurm"
        )
    return read_settings(holding[-1].settings)
