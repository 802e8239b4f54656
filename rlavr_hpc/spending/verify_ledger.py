"""The proof of one run's spend: the ledger against itself, the config, the metrics, the summary."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlavr_hpc.acquisition.ledger import FOLDER, read_ledger
from rlavr_hpc.acquisition.ledger_state import LedgerState, budget_rules
from rlavr_hpc.acquisition.purchase_history import Step
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.errors import LedgerError, RlavrError
from rlavr_hpc.io import blocks
from rlavr_hpc.runs.attempts import read_attempts, segment
from rlavr_hpc.runs.done import is_done
from rlavr_hpc.spending.uncounted_lines import UncountedLines, uncounted_lines
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.sinks import FOLDER as METRICS
from rlavr_hpc.telemetry.sinks import read_metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerProof:
    """What holds, and what does not count."""

    ledger_state: LedgerState
    uncounted_lines: tuple[UncountedLines, ...]
    remarks: tuple[str, ...]
    """What is in order but worth knowing."""


def prove(run_dir: Path, config: RunConfig) -> LedgerProof:
    """Check the chain, the seals, the rules of the config, and every total reported elsewhere.

    Raises:
        RlavrError: something does not hold; the message names the file, and the line if one.
    """
    with readable(run_dir):
        reported, remarks = _reported_labels(
            run_dir
        )  # before the ledger, which is ahead of it in a live run
        _check_no_segment_missing(run_dir)
        ledger_state = read_ledger(run_dir)
        ledger_state.check(budget_rules(config))
        _check_steps(run_dir, ledger_state, reported)
        _check_summary(run_dir, ledger_state)
        found = uncounted_lines(run_dir)
    return LedgerProof(
        ledger_state=ledger_state,
        uncounted_lines=tuple(found),
        remarks=(*remarks, *_other_quotas(config, ledger_state)),
    )


@contextmanager
def readable(run_dir: Path) -> Iterator[None]:
    """Turn an OSError inside into a RlavrError that names the run."""
    try:
        yield
    except OSError as error:
        raise RlavrError(
            f"{error.filename or run_dir}: cannot be read: {error.strerror}"
        ) from error


def _reported_labels(run_dir: Path) -> tuple[dict[Step, float], list[str]]:
    """Labels bought per step by the metrics; none, and a remark, where these are damaged."""
    try:
        rows = read_metrics(run_dir, only=names.LABELS_BOUGHT)
    except RlavrError as error:
        return {}, [f"not compared with the metrics: {error}"]
    return {
        (row["branch"], row["step"]): row[names.LABELS_BOUGHT]
        for row in rows
        if names.LABELS_BOUGHT in row
    }, []


def _check_no_segment_missing(run_dir: Path) -> None:
    """An attempt opens its ledger before its metrics."""
    for attempt in read_attempts(run_dir):
        path, metrics = (segment(run_dir, name, attempt.number) for name in (FOLDER, METRICS))
        if metrics.exists() and not path.exists():
            raise LedgerError(f"{path}:1: is missing, although {metrics} exists; it was deleted")


def _check_steps(run_dir: Path, ledger_state: LedgerState, reported: Mapping[Step, float]) -> None:
    for key, labels in reported.items():
        held = sum(p.answer is not None for p in ledger_state.purchases.get(key, {}).values())
        if held != labels:
            path = segment(run_dir, FOLDER, len(read_attempts(run_dir)))
            end = sum(block.count(b"\n") for block in blocks(path))
            raise LedgerError(
                f"{path}:{end + 1}: the metrics report {labels!r} labels in step {key[1]} of "
                f"branch {key[0]}, the ledger holds {held}: its end was cut off"
            )


def _check_summary(run_dir: Path, ledger_state: LedgerState) -> None:
    """A finished run's summary says what the ledger holds."""
    path = run_dir / "summary.json"
    if not path.exists() or not is_done(run_dir):
        return
    try:
        reported: Any = json.loads(path.read_bytes())["labels_bought"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise LedgerError(f"{path}: damaged, it does not hold labels_bought ({error})") from error
    if reported != ledger_state.bought:
        raise LedgerError(
            f"{path} says {reported!r} labels, the ledger holds {ledger_state.bought}"
        )


def _other_quotas(config: RunConfig, ledger_state: LedgerState) -> list[str]:
    """Steps decided under another quota than the config has now (`allow_change`)."""
    other = [step for (_, step), quota in ledger_state.allowed.items() if quota > config.quota]
    if not other:
        return []
    return [f"{len(other)} steps, {other[0]} to {other[-1]}, were bought under a larger quota"]
