"""`rlavr why RUN`: explain why a run failed, stopped or waits, and what to do next."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rlavr_hpc.cluster.slurm import commands
from rlavr_hpc.errors import ExitCode, UserError
from rlavr_hpc.overview.failure_causes import FailureCause, explain
from rlavr_hpc.overview.status_query import ALL_THERE, StatusReport, query_status
from rlavr_hpc.overview.status_table import as_fields
from rlavr_hpc.runs.find import name_one
from rlavr_hpc.runs.label_fetchers import fetch_verb, fetch_words
from rlavr_hpc.runs.state_types import State, WaitsIn
from rlavr_hpc.runs.stops import Cause

DESCRIPTION = """\
Explain why a run failed, stopped or waits: how its last job ended, which rank failed first and with
which error, the likely cause (memory, network, disk ...), what it waits for, and what to do next.
"""
EPILOG = """\
--json prints one object: run (as `status --json` has it), cause (of the last stop: done, preempted,
time_limit, requeued, signalled, cancelled, crashed, mistake, early_warning, waiting_for_labels or
null), exit_code, signal (in words, "" = none), crashes (in a row without progress), failure (start,
rank, exit_code, error, traceback, host, pid, time, of the rank that failed first; null = no rank
left a message), killed ([rank, how], as srun reports it), clues (name, words), log, last_lines,
next (commands).

Examples:
  rlavr why runs/study/0a1b2c3d

Exit codes: 0 explained, 2 no run found.
"""
NEXT = {
    State.planned: ("", "give the sweep's command again to submit it"),
    State.stopped: ("", "give the sweep's command again to continue it"),
    State.stalled: ("cancel {run}", "end it; then give the sweep's command again to continue it"),
    State.zombie: ("", "nothing: the run's next start ends it (exit code 77)"),
    State.unknown: ("", "make readable what the reason names; then look again"),
    State.failed: ("retry {run}", "continue it from its last checkpoint"),
    State.cancelled: ("retry {run}", "continue it from its last checkpoint"),
}
THEN_FOR_LABELS = {
    WaitsIn.memory: "it goes on by itself",
    WaitsIn.queue: "it is released when enough are there",
    WaitsIn.folder: "",
}
AFTER_LABELS = {
    WaitsIn.memory: [],
    WaitsIn.queue: [
        ("start-now {run}", "release it at once, with the labels that are there"),
    ],
    WaitsIn.folder: [
        ("", "then start the same command again; it continues from what is on disk"),
    ],
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `rlavr why`."""
    parser.add_argument("folder", metavar="RUN", help="the run's folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(given: argparse.Namespace) -> int:
    """Explain; returns the exit code."""
    folder: str = given.folder
    seen = query_status(Path(folder))
    if len(seen.runs) > 1:
        raise UserError(name_one(folder, [one.name for one in seen.runs]))
    if seen.note:
        print(f"rlavr: {seen.note}", file=sys.stderr)
    why = explain(seen.runs[0], job_state=_job_state(seen))
    if given.json:
        print(json.dumps(as_json_fields(why, folder)))
    else:
        print("\n".join(in_words(why, folder)))
    return ExitCode.DONE


def _job_state(seen: StatusReport) -> str:
    job = seen.runs[0].job
    if seen.queue is None or job is None:
        return ""
    try:
        return commands.show_job(job).get("JobState", "")
    except commands.SlurmError:
        return ""


def as_json_fields(why: FailureCause, folder: str) -> dict[str, Any]:
    """For programs."""
    fields = asdict(why) | {"run": as_fields(why.run), "signal": why.signal}
    fields["log"] = why.log and str(why.log.path)
    return fields | {"next": [command for command, _ in _next(why, folder) if command]}


def in_words(why: FailureCause, folder: str) -> Iterator[str]:
    """For people, line by line."""
    run = why.run
    where = ", ".join(
        filter(
            None,
            [
                f"job {run.job}" if run.job else "",
                run.node or "",
                f"attempt {run.attempts}" if run.attempts else "",
            ],
        )
    )
    yield f"{folder}: {run.state}" + (f" ({where})" if where else "")
    yield f"  {_outcome(why)}"
    if run.note:
        yield f"  {run.note}"
    if why.crashes > 1:
        yield f"  {why.crashes} crashes in a row without a newer checkpoint"
    if why.signal and why.run.state is State.failed:
        yield f"  exit code {why.exit_code}: {why.signal}"
    yield from _evidence(why)
    for signature in why.clues:
        yield f"\nlooks like: {signature.words}"
    for command, words in _next(why, folder):
        yield f"\nnext: {command}  # {words}" if command else f"\nnext: {words}"


def _outcome(why: FailureCause) -> str:
    run = why.run
    if run.state is State.done:
        return f"finished, {run.step} steps"
    if run.state is State.running:
        pace = "" if run.heartbeat_age is None else f"; it last spoke {run.heartbeat_age:.0f} s ago"
        state = run.reason or f"it is well, at step {run.step} of {run.steps or '?'}"
        return state + pace
    early = why.cause is Cause.early_warning and "warning" not in run.reason
    return ("early warning: " if early else "") + (run.reason or "nothing more is known")


def _evidence(why: FailureCause) -> Iterator[str]:
    failure = why.failure
    if failure is not None:
        yield f"\nrank {failure.rank} on {failure.host} failed first: {failure.error}"
        yield from (f"  {line}" for line in failure.traceback.rstrip().splitlines())
    elif why.killed is not None:
        yield f"\nno rank left a word; rank {why.killed[0]} ended first: {why.killed[1]}"
    if why.log is not None:
        yield f"\nlog: {why.log.path}"
        yield from (f"  {line}" for line in why.last_lines)


def _next(why: FailureCause, folder: str) -> list[tuple[str, str]]:
    if why.run.waits_in is not None:
        steps = next_for_labels(why.run.waits_in, why.run.source, folder)
        return steps[1:] if ALL_THERE in why.run.reason and steps[1:] else steps
    verb, words = NEXT.get(why.run.state, ("", ""))
    if why.run.job is None and not why.run.overrides:  # a run of no sweep, or of one without Slurm
        words = words.replace("the sweep's command", "the run's command")
    if verb == "retry {run}" and why.run.job is None:  # `retry` submits Slurm jobs
        verb, words = "", "start the same command again; it continues from what is on disk"
    if "BeginTime" in why.run.reason:
        verb, words = "start-now {run}", "start it without Slurm's delay"
    if not words:
        return []
    if why.run.state is State.failed and why.exit_code == ExitCode.MISTAKE:
        words = "after you have fixed the mistake" + ("" if verb else ", start it again")
    command = f"rlavr {verb.format(run=folder)}" if verb else ""
    return [(command, words)]


def next_for_labels(waits_in: WaitsIn, source: str | None, folder: str) -> list[tuple[str, str]]:
    """The commands that bring a run its labels and let it go on, with what each does; "" = none.

    Args:
        waits_in: where the run is.
        source: whom it asked.
        folder: as the user named it.
    """
    then = THEN_FOR_LABELS[waits_in]
    first = f"{fetch_verb(source)} {{run}}", "; ".join(filter(None, (fetch_words(source), then)))
    return [
        (f"rlavr {verb.format(run=folder)}" if verb else "", words)
        for verb, words in (first, *AFTER_LABELS[waits_in])
    ]
