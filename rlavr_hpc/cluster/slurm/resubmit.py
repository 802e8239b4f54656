"""Submitting single runs again, as they were submitted last."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rlavr_hpc.cluster.slurm.choose_runs import states_by_name
from rlavr_hpc.cluster.slurm.code_snapshot import snapshot
from rlavr_hpc.cluster.slurm.launch import launch_lock, refuse_missing
from rlavr_hpc.cluster.slurm.settings import read_settings
from rlavr_hpc.cluster.slurm.site import read_site
from rlavr_hpc.cluster.slurm.submit import SubmitOptions, submit
from rlavr_hpc.errors import UserError
from rlavr_hpc.plugins import plugin_targets
from rlavr_hpc.runs.folder import read_config
from rlavr_hpc.runs.provenance import git_revision
from rlavr_hpc.runs.states import State
from rlavr_hpc.runs.submissions import Submission, submissions

RESUBMITTED = (State.failed, State.cancelled, State.stopped, State.planned, State.unknown)


def submit_again(run_dirs: Sequence[Path]) -> list[Submission]:
    """Submit runs that are over or were never queued, with the program as it is now.

    Args:
        run_dirs: run folders, of one or several sweeps.

    Raises:
        UserError: a run is queued, running or done, or never was in a Slurm sweep.
        SlurmError: Slurm does not answer or refuses.
    """
    runs = list(dict.fromkeys(Path(os.path.normpath(run.absolute())) for run in run_dirs))
    done = []
    for sweep in dict.fromkeys(run.parent for run in runs):
        done += _submit_again(sweep, [run for run in runs if run.parent == sweep])
    return done


def _submit_again(sweep: Path, runs: Sequence[Path]) -> list[Submission]:
    with launch_lock(sweep):
        found = states_by_name(sweep)
        for run in runs:
            state = found[run.name].state if run.name in found else None
            if state not in RESUBMITTED:
                if state is State.waiting_for_labels:
                    raise UserError(
                        f"{run} waits for labels and is not submitted again; "
                        f"`rlavr start-now {run}` releases its job"
                    )
                raise UserError(
                    f"{run} is {state or 'no run of a sweep'}; only a run that failed, was "
                    "cancelled or stopped, or was never queued can be submitted again"
                )
        done: list[Submission] = []
        groups: dict[Path, tuple[Submission, list[Path]]] = {}
        for run in runs:
            last = _last_of(sweep, run)
            groups.setdefault(last.folder, (last, []))[1].append(run)
        for last, members in groups.values():
            done += submit(sweep, members, _same_options(sweep, last, members))
    return done


def _same_options(sweep: Path, last: Submission, runs: Sequence[Path]) -> SubmitOptions:
    """As `last` was submitted, but with the program as it is now."""
    settings, configs = read_settings(last.settings), [read_config(run) for run in runs]
    if settings.offline:
        refuse_missing(configs)
    targets = {target for config in configs for target in plugin_targets(config)}
    code = snapshot(sweep, targets, revision=git_revision()) if settings.snapshot else None
    return SubmitOptions(
        settings=settings, site=read_site(settings), code=code, work_dir=last.work_dir
    )


def _last_of(sweep: Path, run: Path) -> Submission:
    """The newest submission that holds the run."""
    names = [(s, {run.name for run in s.runs}) for s in submissions(sweep) if s.kind == "train"]
    holding = [submission for submission, held in names if run.name in held]
    if not holding:
        raise UserError(
            f"{run} was never submitted to Slurm; start its sweep with hydra/launcher=slurm"
        )
    return holding[-1]
