"""`rlavr labels serve|desk|quality DIR`: get labels for runs, and tell how good they are."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from rlavr_hpc.acquisition.answered_orders import answered_orders
from rlavr_hpc.acquisition.gold_check import GoldCheck, KnownAnswers
from rlavr_hpc.answers.label_rules import read_reply
from rlavr_hpc.commands import labels_desk, labels_quality
from rlavr_hpc.data.load_split import load_split
from rlavr_hpc.errors import ExitCode, RlavrError, UserError
from rlavr_hpc.labels.bridge import Bridge, LiveRun
from rlavr_hpc.labels.load import load_source
from rlavr_hpc.labels.source import LabelSource
from rlavr_hpc.overview.parked_runs import ParkedRuns
from rlavr_hpc.overview.release_parked import wants_labels
from rlavr_hpc.runs.find import find_runs, is_run
from rlavr_hpc.runs.folder import read_config
from rlavr_hpc.runs.sweep_plan import PLAN
from rlavr_hpc.trainer.known_answers import known_answers

PEOPLE = "people"
DESCRIPTION = """\
Give the runs in DIR the labels that they have ordered.
"""
SERVE = """\
Ask the label sources of the runs in DIR, and write their answers into the runs' folders. It may be
killed and started again at any time.

Without --once it goes on until Ctrl-C, since more runs may begin in DIR; it takes them up within
some minutes, and says when a run is done. It ends by itself when DIR is one run, or one sweep, and
all of that is done or cancelled; and when no source may be asked any more.
"""
SERVE_EPILOG = """\
Examples:
  rlavr labels serve runs/study
  rlavr labels serve runs --once

Exit codes: 0 all is done, or with --once all sources could be asked; 1 a source failed (with
--once), or none may be asked any more; 2 no run with a live source; 130 interrupted.
"""
EPILOG = """\
Examples:
  rlavr labels serve runs/study
  rlavr labels desk runs/study
  rlavr labels quality runs/study

Exit codes: 0 done, 1 a source could not be asked, 2 no run with a live source, 130 interrupted.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `rlavr labels`."""
    verbs = parser.add_subparsers(dest="action", metavar="serve|desk|quality", required=True)

    def verb(name: str, summary: str, text: str, epilog: str) -> argparse.ArgumentParser:
        return verbs.add_parser(
            name,
            help=summary,
            description=text,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    serve = verb("serve", "ask the label sources of runs", SERVE, SERVE_EPILOG)
    desk = verb("desk", "serve the annotators' page", labels_desk.DESCRIPTION, labels_desk.EPILOG)
    labels_desk.add_arguments(desk)
    quality = verb(
        "quality",
        "tell how good annotators are, and what they cost",
        labels_quality.QUALITY,
        labels_quality.QUALITY_EPILOG,
    )
    labels_quality.add_arguments(quality)
    serve.add_argument(
        "folder", type=Path, metavar="DIR", help="a run, a sweep, or a folder with runs below"
    )
    serve.add_argument("--once", action="store_true", help="look once and end, for cron")
    serve.add_argument(
        "--poll", type=float, metavar="SECONDS", help="between two looks; default: labels.poll"
    )


def run(given: argparse.Namespace) -> int:
    """Serve, or show; returns the exit code."""
    if given.action == "desk":
        return labels_desk.run(given)
    if given.action == "quality":
        return labels_quality.run(given)
    return serve(given.folder, once=given.once, poll=given.poll)


def serve(folder: Path, *, once: bool, poll: float | None) -> int:
    """Serve the runs at or below a folder until interrupted, or once.

    Raises:
        UserError: there is no such folder, or no run there has a live source.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; name a run, a sweep, or a folder of runs")
    live = LiveRuns(folder)
    bridge = Bridge(
        find=live,
        make_source=partial(_source, linger=None if once else poll),
        say=say,
        after=ParkedRuns().release,
        watch=GoldCheck(open_known=open_known),
        wanted=wants_labels,
        settled=answered_orders,
    )
    bridge.look()
    if not bridge.runs and not bridge.refused:
        raise UserError(
            f"{folder}: no run here takes labels from outside; start one with labels=command, "
            "labels=judge or labels=people"
        )
    if once:
        say(_open(bridge))
        return ExitCode.FAILED if bridge.failed else ExitCode.DONE
    runs = "1 run" if len(bridge.runs) == 1 else f"{len(bridge.runs)} runs"
    say(f"serving {runs}, {_open(bridge)}; Ctrl-C ends it")
    while (code := _end(bridge, live)) is None:
        time.sleep(bridge.poll if poll is None else poll)
        bridge.look()
    return code


def _open(bridge: Bridge) -> str:
    return "1 order is open" if bridge.open == 1 else f"{bridge.open} orders are open"


def _end(bridge: Bridge, live: LiveRuns) -> ExitCode | None:
    """The exit code of a bridge that has nothing more to do; None of one that goes on."""
    if bridge.useless:
        say("no source may be asked any more: mend what is told above and start the bridge again")
        return ExitCode.FAILED
    if live.complete and bridge.over:
        say(f"all of {live.folder} is done or cancelled")
        return ExitCode.DONE
    return None


@dataclass(slots=True)
class LiveRuns:
    """Runs of one's own with a live source, at or below a folder.

    What a run asks is in its config, and a command is executed: a stranger's run is left alone.
    """

    folder: Path
    _seen: set[Path] = field(default_factory=set)
    """Runs whose configs were read: that takes far longer than to find them."""
    _told: set[Path] = field(default_factory=set)
    """Runs whose configs could not be read, which was said."""
    complete: bool = False
    """Whether the folder is one run, or one sweep, without a run that is still to be done."""

    def __call__(self) -> Iterator[LiveRun]:
        """Search now, for runs that began since the last search."""
        runs = find_runs(self.folder) if self.folder.is_dir() else []
        whole = is_run(self.folder) or (self.folder / PLAN).exists()
        self.complete = whole and not any(
            found.is_plan or found.problem or wants_labels(found.folder)
            for found in runs
            if not found.foreign
        )
        for found in runs:
            if found.foreign or found.problem or not found.started or found.folder in self._seen:
                continue
            try:
                config = read_config(found.folder)
            except RlavrError as error:
                if found.folder not in self._told:
                    self._told.add(found.folder)
                    say(str(error))
                continue
            self._seen.add(found.folder)
            if not config.labels.live:
                continue
            if found.folder.stat().st_uid != os.getuid():
                say(f"{found.folder} belongs to somebody else and is not served")
                continue
            yield LiveRun(run_dir=found.folder, config=config.labels)


@contextmanager
def open_known(run_dir: Path) -> Iterator[KnownAnswers]:
    """What a run's data knows of its questions, with the run's grader.

    Raises:
        UserError: the data cannot be read here.
    """
    config = read_config(run_dir)
    train = load_split(config.data, task=config.task_name).train
    with known_answers(config, train) as known:
        yield known


def _source(run: LiveRun, *, linger: float | None) -> LabelSource:
    if run.config.name == PEOPLE:
        say(f"{run.run_dir}: people answer at their page: rlavr labels desk {run.run_dir}")
    return load_source(run.config, reader=read_reply, linger=linger)


def say(text: str) -> None:
    """A line of the log."""
    print(f"{datetime.now().astimezone():%H:%M:%S} {text}", file=sys.stderr, flush=True)
