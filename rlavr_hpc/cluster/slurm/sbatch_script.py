"""The batch script of an array: the only importer of submitit, which knows sbatch's options.

submitit writes the script and nothing else: its workers load a pickle that is renamed only after
sbatch has returned, and its handlers requeue a job before other ranks have saved. The script's own
lines start every rank on the folder that `runs.txt` names for this index, and afterwards ask
`cluster.slurm.job_end` whether the job goes back into the queue.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence

from submitit.slurm.slurm import SlurmExecutor

from rlavr_hpc.cluster.job_caches import teardown_lines
from rlavr_hpc.cluster.slurm.settings import SlurmSettings
from rlavr_hpc.errors import UserError
from rlavr_hpc.runs.stops import WAIT_TO_BE_KILLED
from rlavr_hpc.runs.submissions import Submission

PASSED_ON = (
    "partition",
    "account",
    "qos",
    "constraint",
    "gres",
    "exclude",
    "nodelist",
    "nodes",
    "gpus_per_node",
    "cpus_per_task",
)
NO_THROTTLE = 1_000_000
LIMIT_SECONDS = 30
"""Before the time limit `cluster.slurm.time_limit` is started."""
ENDS_TOGETHER = ("--kill-on-bad-exit=1", "--wait=60")
"""One rank that is gone leaves the others in a collective for ever."""


class _Executor(SlurmExecutor):  # type: ignore[misc]
    """Of an array of one too."""

    @classmethod
    def affinity(cls) -> int:
        """A script can be written where there is no Slurm."""
        return 1

    def text(self, command: str, *, size: int) -> str:
        self.parameters["map_count"] = size
        return str(self._make_submission_file_text(command, ""))


def make_script(
    submission: Submission,
    settings: SlurmSettings,
    *,
    name: str,
    lines: Sequence[str] = (),
    after: int | None = None,
) -> str:
    """The text that sbatch gets.

    Args:
        submission: whose tasks the array is.
        settings: of its jobs.
        name: of the job in the queue.
        lines: shell lines before the user's own set-up.
        after: for evaluations, the array whose task of the same index must have ended well.

    Raises:
        UserError: submitit refuses a setting.
    """
    evaluating = submission.kind == "evaluate"
    values = {key: getattr(settings, key) for key in PASSED_ON}
    executor = _Executor(submission.folder / "log")
    options: dict[str, object] = {
        "requeue": True,
        "output": str(submission.folder / "log" / "%A_%a.log"),
        **({"mem": f"{int(settings.mem_gb * 1024)}M"} if settings.mem_gb else {}),
        **({"kill-on-invalid-dep": "yes"} if after is not None else {}),
        **settings.sbatch,
    }
    try:
        executor.update_parameters(
            **{key: value for key, value in values.items() if value is not None},
            job_name=name,
            time=settings.time,
            ntasks_per_node=settings.tasks_per_node,
            signal_delay_s=settings.signal_seconds,
            comment=submission.tag,
            wckey=None,
            array_parallelism=settings.throttle or NO_THROTTLE,
            stderr_to_stdout=True,
            setup=_setup(submission, settings, lines),
            additional_parameters=options,
            teardown=_teardown(submission, settings),
            srun_args=[*ENDS_TOGETHER, *settings.srun_args],
            dependency=f"aftercorr:{after}" if after is not None else None,
            use_srun=not evaluating,
        )
    except (ValueError, TypeError) as error:
        raise UserError(f"hydra.launcher: {str(error).splitlines()[0]}") from error
    return (
        executor.text(_command(settings, evaluating=evaluating), size=len(submission.runs)) + "\n"
    )


def _python(settings: SlurmSettings) -> str:
    python = settings.python or shlex.quote(sys.executable)
    return f"{settings.container} {python}" if settings.container else python


def _command(settings: SlurmSettings, *, evaluating: bool) -> str:
    if evaluating:
        return f'{_python(settings)} -u -m rlavr_hpc evaluate "$RUN" {settings.evaluate}'
    return f'{_python(settings)} -u -m rlavr_hpc.trainer "$RUN"'


def _setup(submission: Submission, settings: SlurmSettings, lines: Sequence[str]) -> list[str]:
    work_dir = submission.work_dir
    path = [str(submission.code)] if submission.code else []
    lines_before = [
        "trap signalled=yes TERM  # this shell outlives the signal, to record how the run ended",
        f"cd {shlex.quote(str(work_dir))} || exit 1",
        f'RUN=$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" '
        f"{shlex.quote(str(submission.folder / 'runs.txt'))})",
        'echo "$(date +%FT%T) start ${SLURM_RESTART_COUNT:-0} on $SLURM_JOB_NODELIST: $RUN"',
        "export PYTHONSAFEPATH=1  # what lies in the working directory hides no module",
        f"export PYTHONPATH={shlex.quote(os.pathsep.join([*path, str(work_dir)]))}"
        "${PYTHONPATH:+:$PYTHONPATH}",
        "# srun 22.05 to 23.02 forgets it",
        '[ -z "${SLURM_CPUS_PER_TASK:-}" ] || export SRUN_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"',
        *lines,
        *(f"export {key}={shlex.quote(value)}" for key, value in settings.env.items()),
    ]
    return [*lines_before, *settings.setup, *_limit(submission, settings)]


def _limit(submission: Submission, settings: SlurmSettings) -> list[str]:
    """A process beside srun; the shell itself waits, so that killing it leaves no sleep behind."""
    if submission.kind == "evaluate":
        return []
    begin = max(0, settings.time_seconds - LIMIT_SECONDS)
    return [
        "# what still runs when the limit comes is requeued, before Slurm ends it and this script",
        f"{{ read -rt {begin} <> <(:) || :",
        f'exec {_python_outside(settings)} -m rlavr_hpc.cluster.slurm.time_limit "$RUN" '
        f"--max-failures {settings.max_failures}; }} &",
        "limit=$!",
    ]


def _python_outside(settings: SlurmSettings) -> str:
    """The Python of what runs beside the ranks, outside of a container."""
    return (None if settings.container else settings.python) or shlex.quote(sys.executable)


def _teardown(submission: Submission, settings: SlurmSettings) -> list[str]:
    if submission.kind == "evaluate":
        return ["code=$?", *settings.teardown, *teardown_lines(), 'exit "$code"']
    return [
        "code=$?",
        'kill "$limit" 2>/dev/null || :',
        f'{_python_outside(settings)} -m rlavr_hpc.cluster.slurm.job_end "$RUN" "$code" '
        f"--max-failures {settings.max_failures} --signal-seconds {settings.signal_seconds}",
        "verdict=$?",
        *settings.teardown,
        f'if [ "$verdict" = {WAIT_TO_BE_KILLED} ]; then',
        "  trap - TERM",
        '  [ -n "${signalled:-}" ] || sleep 600  # a requeue\'s TERM comes before scontrol is back',
        '  exit "$code"',
        "fi",
        *teardown_lines(),
        'exit "$code"',
    ]
