"""The table of runs, and what it comes down to."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from rlavr_hpc.runs.label_fetchers import fetch_verb
from rlavr_hpc.runs.state_types import State, WaitsIn, format_duration
from rlavr_hpc.runs.states import RunState

ORDER = (
    State.running,
    State.waiting_for_labels,
    State.stalled,
    State.zombie,
    State.preempted,
    State.requeued,
    State.queued,
    State.planned,
    State.failed,
    State.cancelled,
    State.stopped,
    State.unknown,
    State.done,
)
COLOURS = {
    State.running: "32",
    State.done: "32;1",
    State.queued: "36",
    State.waiting_for_labels: "34",
    State.preempted: "33",
    State.requeued: "33",
    State.stalled: "31",
    State.zombie: "31",
    State.failed: "31;1",
    State.stopped: "33",
    State.cancelled: "35",
    State.planned: "2",
    State.unknown: "31",
}
"""ANSI codes."""
SILENT = (State.running, State.done)
"""Their reasons are not shown below the table, unless they say more than "starting"."""
NAMED = 4
"""Runs that a reason names; the others are counted."""
LEAST = 12
"""Columns that overrides keep on a narrow terminal."""
HINTS = (
    (State.failed, "why {run}", "why it failed"),
    (State.failed, "retry {folder}", "submit what failed again"),
    (State.stalled, "why {run}", "the end of its log"),
    (State.stalled, "cancel {run}", "end it"),
    (State.zombie, "why {run}", "where it runs; its next start ends it"),
    (State.unknown, "why {run}", "what cannot be read"),
    (State.preempted, "start-now {folder}", "start jobs that wait for Slurm's delay"),
)
FOR_LABELS = {
    "labels serve": "fetch the labels; it releases parked jobs when enough are there",
    "labels desk": "let people answer; it releases parked jobs when enough are there",
}
"""Of a run that waits for labels: what brings them."""
PARKED_AGAIN = "  give a parked run's command again when its labels are there; it continues"
LOCAL_AGAIN = "  start the command of a failed run again; it continues from what is on disk"
AGAIN = "  give the sweep's command again to submit what is planned or stopped, and nothing else"


def as_table(
    runs: Sequence[RunState], folder: str, *, width: int | None = None, colour: bool = False
) -> str:
    """The table, the count by state, the reasons, and what to do next.

    Args:
        runs: what to show.
        folder: as the user named it.
        width: of the terminal; None = as wide as need be.
        colour: whether states are coloured.
    """
    lines = [*_rows(runs, width, colour=colour), "", summary(runs)]
    lines += _reasons(runs, width)
    lines += _hints(runs, folder)
    return "\n".join(lines)


def summary(runs: Sequence[RunState]) -> str:
    """How many are in which state."""
    count = Counter(run.state for run in runs)
    counts = ", ".join(f"{count[state]} {state}" for state in ORDER if count[state])
    return f"{len(runs)} run{'s' * (len(runs) != 1)}: {counts}"


def as_fields(run: RunState) -> dict[str, Any]:
    """One run for programs."""
    return {**asdict(run), "run": str(run.run)}


def _rows(runs: Sequence[RunState], width: int | None, *, colour: bool) -> list[str]:
    columns: dict[str, tuple[Callable[[RunState], str], bool]] = {
        "run": (lambda run: run.name, False),
        "overrides": (lambda run: " ".join(run.overrides), False),
        "state": (lambda run: run.state, False),
        "step": (_step, True),
        "left": (
            lambda run: "" if run.eta_seconds is None else format_duration(run.eta_seconds),
            True,
        ),
        "labels": (_labels, True),
        "acc": (lambda run: _number(run.accuracy, 3), True),
        "risk": (lambda run: _number(run.risk, 2), True),
        "tries": (lambda run: str(run.attempts or ""), True),
        "job": (lambda run: run.job or "", False),
        "node": (lambda run: run.node or "" if run.is_active else "", False),
    }
    cells = {name: [show(run) for run in runs] for name, (show, _) in columns.items()}
    shown = [name for name, texts in cells.items() if any(texts)]
    widths = {name: max(len(name), *map(len, cells[name])) for name in shown}
    _narrow(widths, width)
    lines = []
    for index, run in [(-1, None), *enumerate(runs)]:
        texts = [
            _pad(name if index < 0 else cells[name][index], widths[name], right=columns[name][1])
            for name in shown
        ]
        if colour and run is not None:
            at = shown.index("state")
            texts[at] = f"\033[{COLOURS[run.state]}m{texts[at]}\033[0m"
        lines.append("  ".join(texts).rstrip())
    return lines


def _narrow(widths: dict[str, int], width: int | None) -> None:
    """Overrides give way where the table is wider than the terminal."""
    if width is None or "overrides" not in widths:
        return
    over = sum(widths.values()) + 2 * (len(widths) - 1) - width
    if over > 0:
        widths["overrides"] = max(LEAST, widths["overrides"] - over)


def _pad(text: str, width: int, *, right: bool) -> str:
    text = text if len(text) <= width else f"{text[: width - 1]}…"
    return text.rjust(width) if right else text.ljust(width)


def _step(run: RunState) -> str:
    if run.state is State.planned and not run.step:
        return "" if run.steps is None else f"0/{run.steps}"
    return f"{run.step}/{'?' if run.steps is None else run.steps}"


def _labels(run: RunState) -> str:
    if run.labels_bought is None:
        return ""
    cap = "" if run.labels_allowed is None else f"/{run.labels_allowed}"
    return f"{run.labels_bought}{cap}"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _reasons(runs: Sequence[RunState], width: int | None) -> list[str]:
    names_by_reason: dict[tuple[State, str], list[str]] = {}
    for run in runs:
        speaks = run.state not in SILENT or len(run.reason) > len("starting")
        for reason in filter(None, (run.reason if speaks else "", run.note)):
            names_by_reason.setdefault((run.state, reason), []).append(run.name)
    lines = []
    for (state, reason), names in sorted(
        names_by_reason.items(), key=lambda item: ORDER.index(item[0][0])
    ):
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        line = f"  {state} {', '.join(names[:NAMED])}{more}: {reason.splitlines()[0]}"
        lines.append(line if width is None or len(line) <= 2 * width else f"{line[: 2 * width]}…")
    return lines


def _hints(runs: Sequence[RunState], folder: str) -> list[str]:
    first = {run.state: run for run in reversed(runs)}
    hints = [
        (
            f"  rlavr {verb.format(run=where(first[state], folder), folder=folder)}",
            words,
        )
        for state, verb, words in HINTS
        if state in first and (not verb.startswith("retry") or first[state].job)
    ]
    waiting = {fetch_verb(run.source) for run in runs if run.state is State.waiting_for_labels}
    hints += [(f"  rlavr {verb} {folder}", FOR_LABELS[verb]) for verb in sorted(waiting)]
    width = max((len(command) for command, _ in hints), default=0)
    lines = [f"{command.ljust(width)}  # {words}" for command, words in hints]
    if State.failed in first and not first[State.failed].job:  # `retry` submits Slurm jobs
        lines.append(LOCAL_AGAIN)
    if any(run.waits_in is WaitsIn.folder for run in runs):
        lines.append(PARKED_AGAIN)
    if State.planned in first or State.stopped in first:
        alone = not any(run.overrides or run.job for run in runs)
        lines.append(AGAIN.replace("the sweep's", "the run's") if alone else AGAIN)
    return ["", *lines] if lines else []


def where(run: RunState, folder: str) -> str:
    """The run's folder, as the user would type it who has named `folder`."""
    if os.path.abspath(folder) == str(run.run):  # noqa: PTH100 - links stay as they were named
        return folder
    return os.path.normpath(os.path.join(folder, run.name))  # noqa: PTH118
