"""From a sweep's jobs to one Slurm array: the plan is written first, then submitted with sbatch.

Starting the same sweep again skips what is finished, leaves alone what is queued or running, and
submits the rest.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from hydra.types import HydraContext
from omegaconf import DictConfig

from rlavr_hpc.cluster.launcher import compose_jobs
from rlavr_hpc.cluster.outcomes import OUTCOMES
from rlavr_hpc.cluster.slurm import commands
from rlavr_hpc.cluster.slurm.choose_runs import SubmitChoice, choose, states_by_name
from rlavr_hpc.cluster.slurm.code_snapshot import snapshot
from rlavr_hpc.cluster.slurm.settings import SlurmSettings, read_settings
from rlavr_hpc.cluster.slurm.site import Site, read_site
from rlavr_hpc.cluster.slurm.submit import SubmitOptions, for_site, script_for, submit
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.errors import ExitCode, UserError
from rlavr_hpc.io import make_folder
from rlavr_hpc.offline.missing_inputs import missing_inputs
from rlavr_hpc.plugins import plugin_targets
from rlavr_hpc.runs.folder import open_run_folder
from rlavr_hpc.runs.provenance import git_revision
from rlavr_hpc.runs.submissions import Submission
from rlavr_hpc.runs.sweep_plan import PlannedRun, write_plan


def launch_slurm(
    context: HydraContext,
    config: DictConfig,
    job_overrides: Sequence[Sequence[str]],
    *,
    given: Mapping[str, Any],
) -> list[Path]:
    """Submit what a sweep still has to do; returns the sweeps' folders.

    Args:
        context: Hydra's.
        config: Hydra's, of the sweep.
        job_overrides: per job.
        given: the launcher's settings.

    Raises:
        UserError: a config, a setting or the folder cannot work. Nothing was submitted that was
            not printed as such: where jobs differ in `name`, sweeps are submitted one by one.
        SlurmError: Slurm does not answer or refuses the job.
    """
    settings = read_settings(given)
    site = read_site(settings)
    jobs = compose_jobs(context, config, job_overrides)
    if settings.offline:
        refuse_missing([job.config for job in jobs])
    sweeps: dict[Path, list[PlannedRun]] = {}
    for job in jobs:
        sweeps.setdefault(job.folder.parent, []).append(job)
    for sweep, members in sweeps.items():
        _launch_sweep(sweep, members, settings, site)
    return list(sweeps)


def refuse_missing(configs: Sequence[RunConfig]) -> None:
    """Raise UserError when a run would lack its model or data on a node without network."""
    missing = missing_inputs(*configs)
    if missing:
        listed = "\n  ".join(missing)
        raise UserError(
            f"compute nodes have no network (hydra.launcher.offline=true) and would lack:\n"
            f"  {listed}"
        )


def _launch_sweep(
    sweep: Path, jobs: Sequence[PlannedRun], settings: SlurmSettings, site: Site
) -> None:
    if "%" in str(sweep.absolute()):
        raise UserError(
            f"{sweep.absolute()}: Slurm reads '%' in a path as a pattern; choose another root"
        )
    with nullcontext() if settings.dry_run else launch_lock(sweep):
        found = states_by_name(sweep)
        choices = [choose(job, found.get(job.folder.name)) for job in jobs]
        _print_plan(sweep, choices, dry=settings.dry_run)
        OUTCOMES.extend(ExitCode.MISTAKE for choice in choices if choice.refused)
        chosen = [choice.job for choice in choices if choice.submit]
        if settings.dry_run:
            _dry_run(sweep, chosen, settings, site)
            return
        write_plan([choice.job for choice in choices if not choice.refused])
        if not chosen:
            print("nothing to submit")
            return
        for job in chosen:
            open_run_folder(job.folder, with_site_settings(job.config, settings, site))
        code = _snapshot(sweep, chosen) if settings.snapshot else None
        for part in _parts(chosen, site.max_array):
            options = SubmitOptions(settings=settings, site=site, code=code, work_dir=Path.cwd())
            submit(sweep, [job.folder for job in part], options)
    print(f"\nnext: rlavr status {sweep}   (also logs, why, cancel; --help)")


def with_site_settings(config: RunConfig, settings: SlurmSettings, site: Site) -> RunConfig:
    """The config as it stands in the run folder, with what Slurm says of signals.

    Threads are as many as were requested: nodes of a partition may differ, and a run with another
    number of threads is not bit-identical.
    """
    cluster = config.cluster
    threads = cluster.threads or (settings.cpus_per_task or 0) // cluster.runs_per_node
    grace = site.grace_seconds if cluster.grace_seconds is None else cluster.grace_seconds
    warning = cluster.warning_seconds
    if warning is None:
        warning = site.warning_seconds
    return replace(
        config,
        retry_failed=False,
        cluster=replace(cluster, threads=threads, grace_seconds=grace, warning_seconds=warning),
    )


@contextmanager
def launch_lock(sweep: Path) -> Iterator[None]:
    """Hold the sweep's lock, so that two terminals do not submit it twice."""
    try:
        lock = FileLock(make_folder(sweep) / ".launch.lock", timeout=60)
        lock.acquire()
    except Timeout:
        raise UserError(f"{sweep} is being submitted by another process; try again") from None
    except OSError as error:
        raise UserError(f"{sweep}: {error}; choose another root") from error
    try:
        yield
    finally:
        lock.release()


def _print_plan(sweep: Path, choices: Sequence[SubmitChoice], *, dry: bool) -> None:
    """The plan, with what tells its runs from each other."""
    count = sum(choice.submit for choice in choices)
    ends = "; a dry run, so nothing is" if dry else ""
    print(f"{sweep}: {len(choices)} runs, {count} to submit{ends}")
    shared = set.intersection(*(set(choice.job.overrides) for choice in choices))
    for choice in choices:
        own = " ".join(part for part in choice.job.overrides if part not in shared)
        print("  ".join(["", choice.job.folder.name, *([own] if own else []), choice.message]))


def _snapshot(sweep: Path, jobs: Sequence[PlannedRun]) -> Path:
    targets = {target for job in jobs for target in plugin_targets(job.config)}
    return snapshot(sweep, targets, revision=git_revision())


def _parts(jobs: Sequence[PlannedRun], most: int) -> Iterator[Sequence[PlannedRun]]:
    most = max(1, most)
    for begin in range(0, len(jobs), most):
        yield jobs[begin : begin + most]


def _dry_run(sweep: Path, jobs: Sequence[PlannedRun], settings: SlurmSettings, site: Site) -> None:
    """Print the script and ask sbatch whether it would take it; nothing is left on disk."""
    for part in _parts(jobs, site.max_array):
        runs = tuple(job.folder.absolute() for job in part)
        submission = Submission(
            folder=(sweep / "slurm" / "N").absolute(),
            tag="rlavr-dry-run",
            runs=runs,
            settings={},
            code=None,
            work_dir=Path.cwd(),
        )
        text = script_for(submission, for_site(settings, site))
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder) / "script.sh"
            script.write_text(text)
            print(f"\n{text}\nsbatch --test-only: {commands.test_only(script)}")
