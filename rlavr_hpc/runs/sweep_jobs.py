"""Which jobs a sweep's runs were submitted as, and which of them Slurm's queue lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rlavr_hpc.errors import RlavrError
from rlavr_hpc.runs.queued_job import QueuedJob
from rlavr_hpc.runs.submissions import Submission, read_submission, submission_folders


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLocation:
    """A run's place in a submission."""

    submission: Submission
    index: int

    @property
    def job(self) -> str | None:
        """A_T; None where no job is on record."""
        array = self.submission.job
        return None if array is None else f"{array}_{self.index}"


@dataclass(slots=True, kw_only=True)
class SweepJobs:
    """The jobs of a sweep's runs: what was submitted, and what of it is in the queue."""

    places: Mapping[str, Sequence[RunLocation]]
    """By the name of the run's folder, newest submission first."""
    queue: Mapping[str, QueuedJob] | None
    """By A_T; None = there is no Slurm here."""
    problems: list[str] = field(default_factory=list)

    def queued(self, run: Path, *, also: str | None = None) -> list[QueuedJob]:
        """The run's jobs that wait or run, of the newest submission first.

        Args:
            run: the run's folder.
            also: a job that is the run's too if it is in the queue (A_T).
        """
        if self.queue is None:
            return []
        names = dict.fromkeys([*(p.job for p in self.places.get(run.name, ())), also])
        return [self.queue[name] for name in names if name is not None and name in self.queue]


def read_jobs(sweep: Path, queue: Iterable[QueuedJob] | None) -> SweepJobs:
    """The jobs of a sweep's runs; a submission whose job was not put on record is found by its tag.

    Args:
        sweep: the folder that holds the runs.
        queue: what Slurm lists; None = there is no Slurm here.
    """
    waiting = None if queue is None else {job.name: job for job in queue}
    places: dict[str, list[RunLocation]] = {}
    problems: list[str] = []
    try:
        folders = submission_folders(sweep)
    except OSError as error:
        folders, problems = [], [f"{sweep}: its submissions cannot be read: {error.strerror}"]
    for folder in reversed(folders):
        try:
            submission = read_submission(folder)
        except (RlavrError, OSError, ValueError) as error:
            problems.append(str(error))
            continue
        if submission.kind != "train":
            continue
        if submission.job is None and waiting is not None:
            submission = _find_by_tag(submission, waiting.values())
        for index, run in enumerate(submission.runs):
            places.setdefault(run.name, []).append(RunLocation(submission=submission, index=index))
    return SweepJobs(places=places, queue=waiting, problems=problems)


def _find_by_tag(submission: Submission, queue: Iterable[QueuedJob]) -> Submission:
    """Whoever submitted died before the job's id was on disk; the comment tells whose job it is."""
    found = next((job for job in queue if job.comment.strip() == submission.tag), None)
    if found is None:
        return submission
    try:
        return submission.submitted(found.array_job)
    except OSError:  # not ours to write: it is found again the next time
        return replace(submission, job=found.array_job)
