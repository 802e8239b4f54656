"""The beginning of an attempt on rank 0: find the checkpoint, publish the token, open files."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from rlavr_hpc.acquisition.ledger import Ledger, read_book, rules_of
from rlavr_hpc.attempts import Attempt, begin_attempt, check_fence
from rlavr_hpc.cluster.topology import Topology
from rlavr_hpc.config import RunConfig
from rlavr_hpc.config_groups import Tracking
from rlavr_hpc.errors import LedgerError, UserError
from rlavr_hpc.identity import hash8, to_dict
from rlavr_hpc.run_folder import Heartbeat, open_run_folder, write_provenance
from rlavr_hpc.telemetry.early_warning import EarlyWarning
from rlavr_hpc.telemetry.sinks import MetricsFile, read_metrics
from rlavr_hpc.telemetry.wandb_sink import WandbSink
from rlavr_hpc.trainer.assemble import Prepared
from rlavr_hpc.trainer.checkpoint import Checkpoint, State, check_fits, newest_valid
from rlavr_hpc.trainer.loop import Recorder

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """An attempt that owns the run folder."""

    attempt: Attempt
    state: State
    """To continue from."""
    checkpoint: Checkpoint | None
    """None = from the start."""


def begin(
    run_dir: Path, config: RunConfig, *, topology: Topology, prompts: Prepared, config_hash: str
) -> Begun:
    """Choose the checkpoint to continue from and publish this attempt's token.

    Raises:
        UserError: the checkpoint does not fit this process (ranks, threads, prompts).
    """
    found = newest_valid(run_dir)
    now = State(
        step=0, branch=0, attempt=0, world_size=topology.world_size, threads=topology.threads,
        prompts_fingerprint=prompts.fingerprint, config_hash=config_hash,
    )  # fmt: skip
    if found is not None:
        check_fits(found, now, allowed=frozenset(config.allow_change))
        now = replace(now, step=found.state.step, branch=found.state.branch)
    _check_past(run_dir, config)
    open_run_folder(run_dir, config)
    (run_dir / "DONE.json").unlink(missing_ok=True)  # more steps were asked for
    attempt = begin_attempt(run_dir, resumed_from=now.step)
    write_provenance(run_dir, attempt.number, {"topology": asdict(topology), "data": prompts.facts})
    if attempt.number > 1:
        log.info("%s: attempt %d continues after step %d", run_dir, attempt.number, now.step)
    return Begun(attempt=attempt, state=replace(now, attempt=attempt.number), checkpoint=found)


def _mirror(run_dir: Path, config: RunConfig) -> WandbSink | None:
    tracking = config.tracking
    if tracking.kind is Tracking.none:
        return None
    return WandbSink(
        run_dir, run_id=f"{config.name}-{hash8(config)}", project=tracking.project,
        entity=tracking.entity, config=to_dict(config),
        mode="offline" if tracking.kind is Tracking.offline else "online",
    )  # fmt: skip


def _check_past(run_dir: Path, config: RunConfig) -> None:
    """What was bought before must keep today's rules; asked before anything is written."""
    try:
        read_book(run_dir).check(rules_of(config))
    except LedgerError as error:
        if not config.allow_change:
            raise
        raise UserError(
            f"allow_change={config.allow_change} does not fit what was bought already: {error}"
        ) from error


def _warning(run_dir: Path, state: State, *, selective: bool) -> EarlyWarning:
    """The early warning as it was after the last step that counts."""
    warning = EarlyWarning(selective=selective)
    warning.replay(row for row in read_metrics(run_dir) if row["step"] <= state.step)
    return warning


@dataclass(frozen=True, slots=True, kw_only=True)
class Writers:
    """Rank 0's files of this attempt."""

    ledger: Ledger
    recorder: Recorder


def open_writers(run_dir: Path, config: RunConfig, begun: Begun) -> Writers:
    """Open the attempt's ledger, metrics, heartbeat and mirror."""
    number = begun.attempt.number
    fence = partial(check_fence, run_dir, begun.attempt)
    ledger = Ledger(run_dir, number, fence=fence)
    recorder = Recorder(
        metrics=MetricsFile(run_dir, number, fence=fence),
        heartbeat=Heartbeat(run_dir, number, config.steps),
        mirror=_mirror(run_dir, config),
        warning=_warning(run_dir, begun.state, selective=config.acquisition.has_trust),
    )
    recorder.heartbeat.beat("starting", step=begun.state.step)
    return Writers(ledger=ledger, recorder=recorder)
