"""The beginning of an attempt: agree on the checkpoint, publish the token, open rank 0's files."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rlavr_hpc.acquisition.ledger import Ledger, LedgerPosition, budget_rules, read_ledger
from rlavr_hpc.cluster.topology import Topology, slurm_start
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.config.tracking import Tracking
from rlavr_hpc.errors import CheckpointError, LedgerError, RlavrError, UserError
from rlavr_hpc.plugins import changed_sources, plugin_facts
from rlavr_hpc.runs.attempts import Attempt, check_fence, publish_attempt, read_attempts
from rlavr_hpc.runs.checkpoints import (
    Checkpoint,
    TrainingState,
    candidates,
    restore_replaced,
)
from rlavr_hpc.runs.done import remove_done
from rlavr_hpc.runs.folder import open_run_folder
from rlavr_hpc.runs.heartbeat import Heartbeat
from rlavr_hpc.runs.identity import hash_of_folder
from rlavr_hpc.runs.process_setup import ProcessSetup, check_fits
from rlavr_hpc.runs.provenance import read_provenance, write_provenance
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.collapse.early_warning import EarlyWarning
from rlavr_hpc.telemetry.examples.record import ExamplesFile
from rlavr_hpc.telemetry.sinks import MetricsFile, read_line
from rlavr_hpc.telemetry.wandb.identity import dashboard_id, dashboard_of
from rlavr_hpc.telemetry.wandb.sink import WandbSink
from rlavr_hpc.trainer import distributed
from rlavr_hpc.trainer.loop import Recorder

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStart:
    """Which run this process is to continue, and with what."""

    run_dir: Path
    config: RunConfig
    topology: Topology
    prompts_fingerprint: str
    facts: Mapping[str, Any]
    """Of the data, for the record."""
    device: str
    """The accelerator's name, or `cpu`; for the record."""

    @property
    def setup(self) -> ProcessSetup:
        """What must not change between attempts."""
        return ProcessSetup(
            world_size=self.topology.world_size,
            threads=self.topology.threads,
            prompts_fingerprint=self.prompts_fingerprint,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """An attempt that owns the run folder."""

    attempt: Attempt
    state: TrainingState
    """To continue from."""
    checkpoint: Checkpoint | None
    """None = from the start."""


def begin(start: AttemptStart) -> Begun:
    """Choose the checkpoint to continue from and publish a token. All ranks call this together.

    Raises:
        UserError: the run does not fit this process (ranks, threads, prompts).
        RlavrError: what the checkpoint has behind it is not all there.
    """
    while True:
        last, found = _find(start)
        begun = distributed.on_main(partial(_publish, start, found, last))
        if begun is not None:
            return begun
        log.info("another process began at this moment; looking again")


def _find(start: AttemptStart) -> tuple[int, Checkpoint | None]:
    """The last attempt's number, and the newest checkpoint that every rank finds whole."""
    rank, world = start.topology.rank, start.topology.world_size

    def look() -> tuple[int, list[Checkpoint]]:
        restore_replaced(start.run_dir)
        return len(read_attempts(start.run_dir)), list(candidates(start.run_dir))

    last, there = distributed.on_main(look)
    for found in there:
        try:
            distributed.everyone(partial(found.verify, rank=rank, ranks=world))
        except CheckpointError as error:
            log.warning("%s is skipped: %s", found.folder, error)
            continue
        return last, found
    return last, None


def _publish(start: AttemptStart, found: Checkpoint | None, last: int) -> Begun | None:
    """Check that the run can go on from there, then own it; None when another was faster."""
    run_dir, config = start.run_dir, start.config
    attempts = read_attempts(run_dir)
    _check_setup(start, found, attempts)
    state = TrainingState(
        step=0,
        branch=0,
        attempt=0,
        config_hash=hash_of_folder(config, run_dir),
        **asdict(start.setup),
    )
    if found is not None:
        old = found.state
        state = replace(
            state,
            step=old.step,
            risk=old.risk,
            score=old.score,
            owed=old.owed,
            dashboard=old.dashboard,
        )
    _check_past(start, found)
    open_run_folder(run_dir, config)
    remove_done(run_dir)  # more steps were asked for
    attempt = publish_attempt(
        run_dir,
        resumed_from=state.step,
        after=last,
        setup=asdict(start.setup),
        branch=attempts[-1].branch if attempts else 0,
    )
    if attempt is None:
        return None
    job = slurm_start(os.environ)
    plugins = plugin_facts(config)
    facts = {
        "topology": asdict(start.topology),
        "device": start.device,
        "data": dict(start.facts),
        "slurm": asdict(job) if job else None,
        "plugins": plugins,
    }
    _tell_changed_plugins(run_dir, last, plugins)
    write_provenance(run_dir, attempt.number, facts)
    if attempt.number > 1:
        log.info("%s: attempt %d continues after step %d", run_dir, attempt.number, state.step)
    state = replace(
        state,
        attempt=attempt.number,
        branch=attempt.branch,
        dashboard=state.dashboard or dashboard_id(config.name, [*attempts, attempt][0]),
    )
    return Begun(attempt=attempt, state=state, checkpoint=found)


def _tell_changed_plugins(run_dir: Path, last: int, now: Mapping[str, Any]) -> None:
    """Say so where a plug-in of the user's own is not what it was; the run goes on with it."""
    records = (read_provenance(run_dir, number) for number in range(last, 0, -1))
    before: Mapping[str, Any] = next(
        (record["plugins"] for record in records if "plugins" in record), {}
    )
    for group in changed_sources(before, now):
        log.warning(
            "%s=%s (%s): its source code has changed since the last start; the run goes on with "
            "what is there now and is no longer bit-identical to an uninterrupted one",
            group,
            now[group]["name"],
            now[group]["target"],
        )


def _check_setup(start: AttemptStart, found: Checkpoint | None, attempts: list[Attempt]) -> None:
    allowed = frozenset(start.config.allow_change)
    told = [attempt.setup for attempt in attempts if attempt.setup is not None]
    if told:
        check_fits(ProcessSetup(**told[-1]), start.setup, allowed=allowed)  # type: ignore[arg-type]
    if found is not None:
        old = found.state
        before = ProcessSetup(
            world_size=old.world_size,
            threads=old.threads,
            prompts_fingerprint=old.prompts_fingerprint,
        )
        check_fits(before, start.setup, allowed=allowed)


def _check_past(start: AttemptStart, found: Checkpoint | None) -> None:
    """What a run has behind it must be there and keep today's rules; nothing is written before."""
    run_dir, config = start.run_dir, start.config
    past = None
    if found is not None and found.state.ledger_head is not None:
        past = LedgerPosition(lines=found.state.ledger_lines, head=found.state.ledger_head)
    book = read_ledger(run_dir, past=past)
    try:
        book.check(budget_rules(config))
    except LedgerError as error:
        if not config.allow_change:
            raise
        raise UserError(
            f"allow_change={config.allow_change} does not fit what was bought already: {error}"
        ) from error
    if found is not None:
        _check_history(run_dir, found.state)


def _check_history(run_dir: Path, state: TrainingState) -> None:
    """The early warning goes on from the votes on record, so none may be missing."""
    steps = {row["step"] for row in read_line(run_dir, until=state.step)}
    behind = range(state.step + (state.owed is None))
    missing = [step for step in behind if step not in steps]
    if missing:
        raise RlavrError(
            f"{run_dir}/metrics has no row of step {missing[0]}, which the checkpoint of step "
            f"{state.step} has behind it; restore the files"
        )


def usual_save_seconds(run_dir: Path) -> float:
    """That the last checkpoint took, by the metrics of earlier attempts; 0 without one."""
    rows = [row for row in read_line(run_dir) if names.TIME_SAVE_FILES in row]
    parts = (names.TIME_SAVE, names.TIME_SAVE_FILES, names.TIME_PUBLISH)
    return sum(rows[-1].get(part, 0.0) for part in parts) if rows else 0.0


def _mirror(start: AttemptStart, begun: Begun) -> WandbSink | None:
    if start.config.tracking.kind is Tracking.none:
        return None
    assert begun.state.dashboard is not None
    dashboard = dashboard_of(start.config, begun.state.dashboard)
    return WandbSink(start.run_dir, dashboard, begun.attempt)


def _warning(run_dir: Path, state: TrainingState, *, selective: bool) -> EarlyWarning:
    """The early warning as it was after the last step that counts."""
    until = state.step if state.owed is None else state.step - 1
    warning = EarlyWarning(selective=selective)
    warning.replay(read_line(run_dir, until=until))
    return warning


@dataclass(frozen=True, slots=True, kw_only=True)
class Writers:
    """Rank 0's files of this attempt."""

    ledger: Ledger
    recorder: Recorder


def heartbeat(start: AttemptStart, begun: Begun) -> Heartbeat:
    """The attempt's writer of status.json."""
    steps, job = start.config.steps, slurm_start(os.environ)
    return Heartbeat(
        start.run_dir,
        begun.attempt.number,
        steps,
        labels_allowed=start.config.labels_allowed(steps),
        job=asdict(job) if job else {},
    )


def open_writers(start: AttemptStart, begun: Begun) -> Writers:
    """Open the attempt's ledger, metrics, heartbeat and mirror."""
    run_dir, number = start.run_dir, begun.attempt.number
    fence = partial(check_fence, run_dir, begun.attempt)
    ledger = Ledger(run_dir, number, fence=fence)
    recorder = Recorder(
        metrics=MetricsFile(run_dir, number, fence=fence),
        examples=ExamplesFile(run_dir, number, fence=fence),
        heartbeat=heartbeat(start, begun),
        mirror=_mirror(start, begun),
        warning=_warning(run_dir, begun.state, selective=start.config.acquisition.has_trust),
    )
    recorder.heartbeat.beat("starting", step=begun.state.step)
    return Writers(ledger=ledger, recorder=recorder)
