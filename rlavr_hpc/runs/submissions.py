"""What was submitted with sbatch, written before it is submitted: ROOT/NAME/slurm/N/.

    tasks.json   settings, and per array index the run's folder; written first
    runs.txt     the folders, one line per index, for the batch script
    script.sh    what sbatch got
    job.json     the array's job id; missing where the submitting process died at that moment
    log/         A_T.log of the batch script and srun, A_T_RANK_log.out of every rank; starts append

A submission is found again in the queue by its tag, which is its jobs' comment.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rlavr_hpc.errors import RlavrError, UserError
from rlavr_hpc.io import make_folder, read_record, sync_folder, write_atomic, write_record

VERSION = 1
FOLDER = "slurm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One array of jobs."""

    folder: Path
    tag: str
    """The comment of its jobs."""
    runs: tuple[Path, ...]
    """Run folders by array index, absolute."""
    settings: Mapping[str, Any]
    """Of the launcher, to submit the same again."""
    code: Path | None
    """Snapshot of the program that its jobs run; None = the installed one."""
    work_dir: Path
    """Where relative paths of the configs start."""
    kind: str = "train"
    """"train" or "evaluate"."""
    job: int | None = field(default=None, compare=False)
    """The array's id; None where it is not on record."""

    def job_of(self, run: Path) -> str | None:
        """A_T of a run's job; None without a job id or when the run is not in it."""
        if self.job is None or run not in self.runs:
            return None
        return f"{self.job}_{self.runs.index(run)}"

    def log(self, index: int, rank: int | None = None) -> Path:
        """Where the batch script's output is, or a rank's."""
        end = ".log" if rank is None else f"_{rank}_log.out"  # as submitit names a rank's
        return self.folder / "log" / f"{self.job}_{index}{end}"

    def submitted(self, job: int) -> Submission:
        """Put the job's id on record."""
        write_record(self.folder / "job.json", VERSION, {"job": job})
        return read_submission(self.folder)


def create_submission(
    sweep: Path,
    runs: Sequence[Path],
    *,
    settings: Mapping[str, Any],
    code: Path | None,
    work_dir: Path,
    kind: str = "train",
) -> Submission:
    """Write the next submission's folder under `sweep`; nothing has been queued on return.

    Raises:
        UserError: the folder cannot be written.
    """
    try:
        folder = _next_folder(make_folder(sweep / FOLDER))
        submission = Submission(
            folder=folder,
            tag=f"rlavr-{secrets.token_hex(6)}",
            settings=dict(settings),
            code=code,
            runs=tuple(Path(os.path.normpath(run.absolute())) for run in runs),
            kind=kind,
            work_dir=work_dir,
        )
        make_folder(folder / "log")
        values = asdict(submission) | {
            "runs": [str(run) for run in submission.runs],
            "code": code and str(code),
            "work_dir": str(work_dir),
        }
        del values["folder"], values["job"]
        write_atomic(folder / "runs.txt", "".join(f"{run}\n" for run in submission.runs))
        write_record(folder / "tasks.json", VERSION, values)
    except OSError as error:
        raise UserError(f"{sweep}: {error}; choose another root") from error
    return submission


def _next_folder(parent: Path) -> Path:
    number = max((int(p.name) for p in parent.iterdir() if p.name.isdigit()), default=0) + 1
    while True:
        try:
            (parent / str(number)).mkdir(mode=0o750)
        except FileExistsError:  # somebody else submits at this moment
            number += 1
            continue
        sync_folder(parent)
        return parent / str(number)


def read_submission(folder: Path) -> Submission:
    """One submission's record.

    Raises:
        RlavrError: damaged, or of another version.
    """
    path = folder / "tasks.json"
    values = read_record(path, VERSION)
    try:
        values["runs"] = tuple(Path(run) for run in values["runs"])
        values["code"] = values["code"] and Path(values["code"])
        values["work_dir"] = Path(values["work_dir"])
        return Submission(folder=folder, job=_job(folder / "job.json"), **values)
    except (TypeError, KeyError) as error:
        raise RlavrError(f"{path} cannot be used: {error!r}") from error


def _job(path: Path) -> int | None:
    """None also where the record is damaged: the tag finds the job."""
    try:
        return int(read_record(path, VERSION)["job"])
    except (RlavrError, ValueError, KeyError, TypeError):
        return None


def submissions(sweep: Path) -> Iterator[Submission]:
    """A sweep's submissions, oldest first; one that was never finished writing is left out."""
    yield from map(read_submission, submission_folders(sweep))


def submission_folders(sweep: Path) -> list[Path]:
    """Where they are, oldest first; one that was never finished writing is left out."""
    folder = sweep / FOLDER
    numbers = sorted(int(p.name) for p in folder.glob("*") if p.name.isdigit())
    return [
        folder / str(number) for number in numbers if (folder / str(number) / "tasks.json").exists()
    ]
