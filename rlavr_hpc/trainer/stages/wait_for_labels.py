"""Wait: what a step does while labels that it ordered are not there.

Nothing of the run has changed yet, so a step that is given up here is done again from its start,
with the same orders, and finds their answers.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from rlavr_hpc.config.labels import LabelsConfig, Pending
from rlavr_hpc.errors import LabelsPendingError, LabelsStoppedError
from rlavr_hpc.runs.label_fetchers import fetch_verb
from rlavr_hpc.runs.state_types import format_duration
from rlavr_hpc.trainer import distributed
from rlavr_hpc.trainer.stages.context import StepContext

if TYPE_CHECKING:
    from rlavr_hpc.trainer.stages.buy import StepPurchase

log = logging.getLogger("rlavr_hpc")

FIRST_PAUSE = 0.05
"""Seconds before the second look; each pause is twice the last, up to `labels.poll`."""
TOLD_AFTER = 3.0
"""Seconds of waiting after which the console says so."""
TOLD_AGAIN = 1800.0
"""Seconds between two such lines."""
THEN = {Pending.park: "parks", Pending.go_on: "goes on without them"}


def wait_for_labels(
    step: StepContext, purchase: StepPurchase, buy: Callable[[], StepPurchase]
) -> StepPurchase:
    """The step's purchase once its labels are there, or once it goes on without the rest.

    Args:
        step: the step.
        purchase: what is known at first.
        buy: looks again, on rank 0.

    Raises:
        LabelsPendingError: on all ranks, by `labels.pending`.
        LabelsStoppedError: on all ranks: no label will come, since this process asks for them and
            the source is of no use any more.
        OutOfTimeError: on all ranks, when a stop signal has come.
    """
    labels, begun, pause = step.components.config.labels, time.monotonic(), FIRST_PAUSE
    tell_at = TOLD_AFTER
    while purchase.pending:
        waited = time.monotonic() - begun
        stopped = distributed.on_main(partial(_stopped, step))
        if stopped:  # what it said before that may not be seen yet
            purchase, waited = distributed.on_main(buy), math.inf
            if not purchase.pending:
                break
            if Pending.go_on not in (labels.pending, labels.then):
                raise LabelsStoppedError(_never(step, purchase, stopped))
        rule = distributed.on_main(partial(_rule, labels, waited=waited))
        if rule is Pending.go_on:
            distributed.on_main(partial(_close, step))
            break
        if rule is Pending.park:
            raise LabelsPendingError(_parked(step, purchase))
        distributed.on_main(partial(_tell, step, purchase))
        if waited >= tell_at:
            tell_at = waited + TOLD_AGAIN
            distributed.on_main(partial(log.info, "%s", waiting(step, purchase)))
        distributed.abort_together(lambda: step.components.deadline.stop.received is not None)
        with step.clock.phase("wait"):
            time.sleep(pause)
        pause = min(2 * pause, labels.poll)
        purchase = distributed.on_main(buy)
    return purchase


def _stopped(step: StepContext) -> str:
    market = step.components.market
    return market.stopped() if market is not None else ""


def _never(step: StepContext, purchase: StepPurchase, why: str) -> str:
    return (
        f"{len(purchase.pending)} labels of step {step.key.step} will not come: {why}. What was "
        "done is on disk; put that right and start the same command again"
    )


def _rule(labels: LabelsConfig, *, waited: float) -> Pending:
    """What to do now, by rank 0's clock."""
    if labels.pending is Pending.park:
        return Pending.park if waited >= labels.poll else Pending.wait
    if labels.pending is Pending.wait and waited >= labels.patience:
        return labels.then
    return labels.pending


def _close(step: StepContext) -> None:
    market, ledger = step.components.market, step.components.ledger
    assert market is not None
    assert ledger is not None
    market.close(step.key, ledger)


def _tell(step: StepContext, purchase: StepPurchase) -> None:
    """The heartbeat says for what the run waits."""
    heartbeat, name = step.components.heartbeat, step.components.config.labels.name
    if heartbeat is not None:
        heartbeat.wait(step=step.key.step - 1, pending=len(purchase.pending), source=name)


def waiting(step: StepContext, purchase: StepPurchase) -> str:
    """For the console: for what the run waits, and which command brings it.

    Args:
        step: the step.
        purchase: with what is pending.
    """
    labels = step.components.config.labels
    count = len(purchase.pending)
    begin = f"waiting for {count} label{'s' * (count != 1)} of step {step.key.step} from "
    if labels.inline:
        return f"{begin}{labels.name}, which this run asks by itself"
    parks = labels.pending is Pending.park
    limit, then = (labels.poll, Pending.park) if parks else (labels.patience, labels.then)
    return (
        f"{begin}{labels.name}: {_fetch(step)} brings them; after {format_duration(limit)} "
        f"the run {THEN[then]}"
    )


def _parked(step: StepContext, purchase: StepPurchase) -> str:
    labels = step.components.config.labels
    return (
        f"{len(purchase.pending)} labels of step {step.key.step} are pending from {labels.name}; "
        f"what was done is on disk and the node is free. {_fetch(step)} brings them; start the "
        "same command again when they are there (on Slurm the job is released then)"
    )


def _fetch(step: StepContext) -> str:
    labels = step.components.config.labels
    return f"`rlavr {fetch_verb(labels.name)} {step.components.run_dir}`"
