"""Handing runs to sbatch: one array of jobs, and one of evaluations behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rlavr_hpc.cluster.job_caches import setup_lines
from rlavr_hpc.cluster.slurm import commands
from rlavr_hpc.cluster.slurm.sbatch_script import make_script
from rlavr_hpc.cluster.slurm.settings import SlurmSettings
from rlavr_hpc.cluster.slurm.site import Site
from rlavr_hpc.io import write_atomic
from rlavr_hpc.runs.submissions import Submission, create_submission


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitOptions:
    """How runs are to be submitted."""

    settings: SlurmSettings
    site: Site
    code: Path | None
    """Snapshot of the program."""
    work_dir: Path
    """Where relative paths of the configs start."""


def submit(sweep: Path, runs: Sequence[Path], options: SubmitOptions) -> list[Submission]:
    """Hand one array to sbatch, and one of evaluations behind it where the settings say so."""
    settings = for_site(options.settings, options.site)
    create = partial(
        create_submission,
        sweep,
        runs,
        settings=settings.as_dict(),
        code=options.code,
        work_dir=options.work_dir,
    )
    training = create()
    training = _submit_script(training, script_for(training, settings))
    if settings.evaluate is None:
        return [training]
    evaluation = create(kind="evaluate")
    text = script_for(evaluation, settings, after=training.job)
    return [training, _submit_script(evaluation, text)]


def for_site(settings: SlurmSettings, site: Site) -> SlurmSettings:
    """The settings with the number of GPUs that null stands for."""
    if settings.gpus_per_node is not None or not site.gpus:
        return settings
    return replace(settings, gpus_per_node=settings.tasks_per_node)


def script_for(submission: Submission, settings: SlurmSettings, *, after: int | None = None) -> str:
    """The batch script of a submission, behind the array `after` where one is given."""
    name = submission.folder.parent.parent.name
    if submission.kind == "evaluate":
        settings = replace(settings, nodes=1, tasks_per_node=1)
        name = f"{name}-evaluate"
    return make_script(
        submission, settings, name=name, after=after, lines=setup_lines(settings.offline)
    )


def _submit_script(submission: Submission, text: str) -> Submission:
    script = submission.folder / "script.sh"
    write_atomic(script, text)
    done = submission.submitted(commands.submit(script))
    what = "evaluations" if submission.kind == "evaluate" else "runs"
    print(f"submitted {len(done.runs)} {what} as array {done.job}: {done.folder}")
    return done
