"""What launchers share: a sweep's plan, on disk before anything starts; and the local launcher."""

from __future__ import annotations

import logging
import math
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from hydra.types import HydraContext
from omegaconf import DictConfig
from tqdm import tqdm

from rlavr_hpc.cluster.compose import Composer
from rlavr_hpc.cluster.effects import Asked, refuse_idle
from rlavr_hpc.cluster.outcomes import OUTCOMES
from rlavr_hpc.config.run import resolve
from rlavr_hpc.errors import ExitCode, UserError
from rlavr_hpc.runs.evidence import process_lives, read_facts
from rlavr_hpc.runs.folder import (
    CONFIG,
    StartKind,
    check_start,
    open_run_folder,
    sweep_run_dir,
)
from rlavr_hpc.runs.heartbeat import read_heartbeat
from rlavr_hpc.runs.label_fetchers import fetch_verb
from rlavr_hpc.runs.states import RunState, run_state
from rlavr_hpc.runs.sweep_plan import PlannedRun, write_plan

MANY = 20
"""Jobs, from which on composing shows its progress."""
SPARE_SECONDS = 10
"""That torchrun waits beyond a run's own grace."""
STOPPED = (ExitCode.STOPPED, ExitCode.SECOND_SIGNAL)

log = logging.getLogger("rlavr_hpc")


def compose_jobs(
    context: HydraContext, config: DictConfig, job_overrides: Sequence[Sequence[str]]
) -> list[PlannedRun]:
    """Compose and check every job of a sweep; equal configs are one job.

    Raises:
        UserError: a job's config is impossible, or `run_dir` is set.
    """
    jobs: dict[Path, PlannedRun] = {}
    few = len(job_overrides) < MANY
    composer = Composer(context=context, config=config)
    for overrides in tqdm(job_overrides, desc="composing", unit="run", disable=few, leave=False):
        checked = resolve(composer.compose(overrides))
        if checked.run_dir is not None:
            raise UserError("run_dir names one folder; a sweep (-m) has many: use root and name")
        folder = sweep_run_dir(checked)
        jobs.setdefault(
            folder, PlannedRun(overrides=tuple(overrides), config=checked, folder=folder)
        )
    found = list(jobs.values())
    refuse_idle(
        [
            Asked(config=job.config, overrides=job.overrides, exists=(job.folder / CONFIG).exists())
            for job in found
        ],
        config.hydra,
    )
    return found


def launch_local(
    context: HydraContext,
    config: DictConfig,
    job_overrides: Sequence[Sequence[str]],
    *,
    ranks: int,
) -> list[object]:
    """Run a sweep's jobs one after the other, `ranks` processes each; failures do not stop others.

    Raises:
        UserError: the sweep cannot start.
    """
    if "RANK" in os.environ:
        raise UserError(
            "a sweep starts its own processes: leave torchrun out and say hydra.launcher.ranks=2"
        )
    jobs = compose_jobs(context, config, job_overrides)
    if any(job.config.retry_failed for job in jobs):
        raise UserError(
            "retry_failed=true has no effect: without Slurm a sweep starts failed runs anyway; "
            "leave it out, or say hydra/launcher=slurm"
        )
    plan = write_plan(jobs)
    print(f"{len(jobs)} run{'s' * (len(jobs) != 1)}, planned in {plan}", file=sys.stderr)
    for number, job in enumerate(jobs, start=1):
        print(f"[{number}/{len(jobs)}] {' '.join(job.overrides)}: {job.folder}", file=sys.stderr)
        code = _run_one(job, ranks)
        if code is not None:
            OUTCOMES.append(code)
        if code is ExitCode.WAITING_FOR_LABELS:
            print("  parked: it waits for labels", file=sys.stderr)
        elif code not in (None, ExitCode.DONE, *STOPPED):
            print(f"  failed with exit code {code:d}: rlavr why {job.folder}", file=sys.stderr)
        if code in STOPPED:
            print("the sweep stops here; the same command goes on with it", file=sys.stderr)
            break
    _tell_parked([job.folder for job in jobs])
    return []


def _tell_parked(folders: Sequence[Path]) -> None:
    """How runs go on whose labels are not there."""
    sources = {f: b.source for f in folders if (b := read_heartbeat(f).heartbeat) and b.parked}
    if sources:
        top = next(iter(sources)).parent
        verbs = sorted({fetch_verb(source) for source in sources.values()})
        print(
            f"{len(sources)} of {len(folders)} runs wait for labels (exit code "
            f"{ExitCode.WAITING_FOR_LABELS:d}): "
            f"{' and '.join(f'rlavr {verb} {top}' for verb in verbs)} brings them; then the same "
            "command goes on with these runs",
            file=sys.stderr,
        )


def _run_one(job: PlannedRun, ranks: int) -> ExitCode | None:
    """Run a job; returns how it ended, None where another process on this host has the run."""
    try:
        if check_start(job.folder, job.config) is StartKind.finished:
            print("  finished already", file=sys.stderr)
            return ExitCode.DONE
        if (other := _running_here(job.folder)) is not None:
            print(f"  {other.state} in another process on this host: left alone", file=sys.stderr)
            return None
        open_run_folder(job.folder, job.config)
    except UserError as error:
        print(f"rlavr: {error}", file=sys.stderr)
        return error.exit_code
    patience = math.ceil(job.config.cluster.grace) + SPARE_SECONDS
    code = _wait_for(_command(job.folder, ranks), one_process=ranks == 1, patience=patience)
    if ranks == 1:
        return ExitCode(code) if code in set(ExitCode) else ExitCode.FAILED
    return ExitCode.DONE if code == 0 else _recorded_outcome(job.folder)  # torchrun knows only 1


def _running_here(folder: Path) -> RunState | None:
    """The run's state where its process is seen to live on this host.

    A run that only says it lives, on another host, is taken over: that host may be gone, and if it
    is not, the newer attempt shuts its process out.
    """
    state = run_state(folder, queue=None)
    if not state.is_active or not process_lives(read_facts(folder)):
        return None
    return state


def _recorded_outcome(folder: Path) -> ExitCode:
    """How a run under torchrun ended, from its last heartbeat."""
    last = read_heartbeat(folder).heartbeat
    code = last.exit_code if last is not None else None
    return ExitCode(code) if code and code in set(ExitCode) else ExitCode.FAILED


def _command(folder: Path, ranks: int) -> list[str]:
    worker = ["-m", "rlavr_hpc.trainer", str(folder)]
    if ranks == 1:
        return [sys.executable, *worker]
    run = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    return [sys.executable, *run, *worker]


def _wait_for(command: Sequence[str], *, one_process: bool, patience: int) -> int:
    """Run a child; TERM and USR2 are passed on, Ctrl-C reaches it from the terminal.

    torchrun passes TERM on to its ranks, and would die of USR2 and leave them behind; it gives them
    `patience` seconds to end.
    """
    environment = {**os.environ, "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(patience)}
    with subprocess.Popen(command, env=environment) as child:

        def forward(number: int, frame: FrameType | None) -> None:
            child.send_signal(number if one_process else signal.SIGTERM)

        before = {s: signal.signal(s, forward) for s in (signal.SIGTERM, signal.SIGUSR2)}
        before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return child.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
