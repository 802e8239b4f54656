"""The start of an attempt: agree on the checkpoint to resume from, and publish the token."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from rlavr_hpc.acquisition.ledger import LedgerPosition, read_ledger
from rlavr_hpc.acquisition.ledger_state import budget_rules
from rlavr_hpc.cluster.topology import Topology, slurm_start
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.errors import CheckpointError, LedgerError, RlavrError, UserError
from rlavr_hpc.planning.derive import PassSettings
from rlavr_hpc.plugins import plugin_facts
from rlavr_hpc.runs.attempts import Attempt, publish_attempt, read_attempts
from rlavr_hpc.runs.checkpoints import Checkpoint, TrainingState, candidates, restore_replaced
from rlavr_hpc.runs.done import remove_done
from rlavr_hpc.runs.evidence import other_live_process, read_facts
from rlavr_hpc.runs.folder import open_run_folder
from rlavr_hpc.runs.identity import hash_of_folder
from rlavr_hpc.runs.process_setup import ProcessSetup, check_fits
from rlavr_hpc.runs.provenance import write_provenance
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.sinks import read_line
from rlavr_hpc.telemetry.wandb.identity import dashboard_id
from rlavr_hpc.trainer import distributed
from rlavr_hpc.trainer.checkpoint.changed_inputs import check_labels, warn_of_changed_plugins
from rlavr_hpc.trainer.memory_check import as_record

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRequest:
    """The run to start or resume, and what this process brings."""

    run_dir: Path
    config: RunConfig
    topology: Topology
    prompts_fingerprint: str
    facts: Mapping[str, Any]
    """Of the data, for the record."""
    device: str
    """The accelerator's name, or `cpu`; for the record."""
    prompts: Mapping[str, str] = field(default_factory=dict)
    """Fingerprints of what the model reads, and the date that its template writes."""
    passes: PassSettings | None = None
    """How much a forward pass holds; for the record, and for later starts."""

    @property
    def setup(self) -> ProcessSetup:
        """What must not change between attempts."""
        return ProcessSetup(
            world_size=self.topology.world_size,
            threads=self.topology.threads,
            prompts_fingerprint=self.prompts_fingerprint,
            prompts=self.prompts,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedAttempt:
    """An attempt that owns the run folder."""

    attempt: Attempt
    state: TrainingState
    """Where it resumes."""
    checkpoint: Checkpoint | None
    """None = from the start."""


def begin_attempt(request: AttemptRequest) -> StartedAttempt:
    """Choose the checkpoint to continue from and publish a token. All ranks call this together.

    Raises:
        UserError: the run does not fit this process (ranks, threads, prompts).
        RlavrError: the ledger or the metrics before the checkpoint are incomplete.
    """
    while True:
        last, found = _find(request)
        started = distributed.on_main(partial(_publish, request, found, last))
        if started is not None:
            return started
        log.info("another process started at the same moment; looking for its attempt")


def _find(request: AttemptRequest) -> tuple[int, Checkpoint | None]:
    """The last attempt's number, and the newest checkpoint that every rank finds intact."""
    rank, world = request.topology.rank, request.topology.world_size

    def look() -> tuple[int, list[Checkpoint]]:
        restore_replaced(request.run_dir)
        return len(read_attempts(request.run_dir)), list(candidates(request.run_dir))

    last, there = distributed.on_main(look)
    for found in there:
        try:
            distributed.everyone(partial(found.verify, rank=rank, ranks=world))
        except CheckpointError as error:
            log.warning("%s is skipped: %s", found.folder, error)
            continue
        return last, found
    return last, None


def _publish(request: AttemptRequest, found: Checkpoint | None, last: int) -> StartedAttempt | None:
    """Check that the run can resume there, then own it; None if another process was faster."""
    run_dir, config = request.run_dir, request.config
    attempts = read_attempts(run_dir)
    _check_setup(request, found, attempts)
    state = TrainingState(
        step=0,
        branch=0,
        attempt=0,
        config_hash=hash_of_folder(config, run_dir),
        world_size=request.setup.world_size,
        threads=request.setup.threads,
        prompts_fingerprint=request.prompts_fingerprint,
    )
    if found is not None:
        old = found.state
        state = replace(
            state,
            step=old.step,
            risk=old.risk,
            score=old.score,
            score_error=old.score_error,
            unrecorded_metrics=old.unrecorded_metrics,
            dashboard=old.dashboard,
        )
    check_labels(run_dir, last, request.facts, allowed=frozenset(config.allow_change))
    _check_past(request, found)
    if (pid := other_live_process(read_facts(run_dir))) is not None:
        log.warning(
            "%s: process %d on this host has this run and lives; this start takes the run over, "
            "and that process ends with exit code 77",
            run_dir,
            pid,
        )
    open_run_folder(run_dir, config)
    remove_done(run_dir)  # more steps were asked for
    attempt = publish_attempt(
        run_dir,
        resumed_from=state.step,
        after=last,
        setup=asdict(request.setup),
        branch=attempts[-1].branch if attempts else 0,
    )
    if attempt is None:
        return None
    job = slurm_start(os.environ)
    plugins = plugin_facts(config)
    facts = {
        "topology": asdict(request.topology),
        "device": request.device,
        "data": dict(request.facts),
        "slurm": asdict(job) if job else None,
        "plugins": plugins,
        **({} if request.passes is None else as_record(request.passes)),
    }
    warn_of_changed_plugins(run_dir, last, plugins)
    write_provenance(run_dir, attempt.number, facts)
    if attempt.number > 1:
        log.info("%s: attempt %d continues after step %d", run_dir, attempt.number, state.step)
    state = replace(
        state,
        attempt=attempt.number,
        branch=attempt.branch,
        dashboard=state.dashboard or dashboard_id(config.name, [*attempts, attempt][0]),
    )
    return StartedAttempt(attempt=attempt, state=state, checkpoint=found)


def _check_setup(
    request: AttemptRequest, found: Checkpoint | None, attempts: list[Attempt]
) -> None:
    allowed = frozenset(request.config.allow_change)
    setups = [attempt.setup for attempt in attempts if attempt.setup is not None]
    if setups:
        before = ProcessSetup(**setups[-1])
        check_fits(before, request.setup, allowed=allowed)
    if found is not None:
        old = found.state
        before = ProcessSetup(
            world_size=old.world_size,
            threads=old.threads,
            prompts_fingerprint=old.prompts_fingerprint,
        )
        check_fits(before, request.setup, allowed=allowed)


def _check_past(request: AttemptRequest, found: Checkpoint | None) -> None:
    """The run's past must be complete and within the present budget; nothing is written before."""
    run_dir, config = request.run_dir, request.config
    past = None
    if found is not None and found.state.ledger_head is not None:
        past = LedgerPosition(lines=found.state.ledger_lines, head=found.state.ledger_head)
    ledger_state = read_ledger(run_dir, past=past)
    try:
        ledger_state.check(budget_rules(config))
    except LedgerError as error:
        if not config.allow_change:
            raise
        raise UserError(
            f"allow_change={config.allow_change}: the labels bought so far break the changed "
            f"budget: {error}"
        ) from error
    if found is not None:
        _check_history(run_dir, found.state)


def _check_history(run_dir: Path, state: TrainingState) -> None:
    """The early warning continues from the rows on record, so none may be missing."""
    steps = {row["step"] for row in read_line(run_dir, until=state.step)}
    behind = range(state.step + (state.unrecorded_metrics is None))
    missing = [step for step in behind if step not in steps]
    if missing:
        raise RlavrError(
            f"{run_dir}/metrics has no row of step {missing[0]}, which comes before the checkpoint "
            f"of step {state.step}; restore the files in that folder"
        )


def usual_save_seconds(run_dir: Path) -> float:
    """Seconds that the last checkpoint took, by the metrics of earlier attempts; 0 without one."""
    rows = [row for row in read_line(run_dir) if names.TIME_SAVE_FILES in row]
    parts = (names.TIME_SAVE, names.TIME_SAVE_FILES, names.TIME_PUBLISH)
    return sum(rows[-1].get(part, 0.0) for part in parts) if rows else 0.0
