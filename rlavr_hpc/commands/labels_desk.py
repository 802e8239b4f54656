"""`rlavr labels desk DIR`: the annotators' page, and the links to it."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rlavr_hpc.acquisition.answered_orders import answered_orders
from rlavr_hpc.config.label_desk import DeskConfig
from rlavr_hpc.config.labels import LabelsConfig
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.errors import ExitCode, UserError
from rlavr_hpc.labels.desk.access import Access, Person, Role
from rlavr_hpc.labels.desk.desk import Desk
from rlavr_hpc.labels.desk.journal import DESK, DeskJournal
from rlavr_hpc.labels.desk.place import last_desk
from rlavr_hpc.labels.line_files import start_name
from rlavr_hpc.labels.served_run import ServedRun
from rlavr_hpc.labels.sources.people import PeopleSource
from rlavr_hpc.overview.parked_runs import ParkedRuns
from rlavr_hpc.overview.release_parked import wants_labels
from rlavr_hpc.runs.find import find_runs
from rlavr_hpc.runs.folder import read_config

PEOPLE = "people"
DESCRIPTION = """\
Serve the page on which people answer the orders of runs with labels=people, for the run, the sweep
or all runs at DIR. It goes on until Ctrl-C, and may be killed and started again at any moment.

With --annotator, --owner or --revoke nothing is served: links are printed, or taken back. A link
works once, in one browser; whoever has it can sign in. Print one for each person, and send it to
nobody else.
"""
EPILOG = """\
Examples:
  rlavr labels desk runs/study                     # serve
  rlavr labels desk runs/study --owner             # the link to the owner's page
  rlavr labels desk runs/study --annotator ada     # a link for Ada
  rlavr labels desk runs/study --socket ~/desk/s   # no port: only you can reach it

Exit codes: 0 done, 1 failed, 2 your mistake.
"""
LabelsOf = Callable[[Path], LabelsConfig | None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `rlavr labels desk`."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="a run, a sweep, or runs below it")
    parser.add_argument(
        "--annotator",
        action="append",
        default=[],
        metavar="NAME",
        help="print a link for this annotator; the name goes into the record (may be repeated)",
    )
    parser.add_argument("--owner", action="store_true", help="print a link to the owner's page")
    parser.add_argument(
        "--revoke", metavar="NAME", help="end the links and the signed-in browsers of NAME"
    )
    parser.add_argument("--port", type=int, metavar="N", help="instead of labels.desk.port")
    parser.add_argument("--host", metavar="ADDRESS", help="instead of labels.desk.host")
    parser.add_argument("--socket", metavar="PATH", help="instead of labels.desk.socket")
    parser.add_argument(
        "--origin",
        action="append",
        metavar="URL",
        help="instead of labels.desk.origins (may be repeated)",
    )
    parser.add_argument("--prefix", metavar="PATH", help="instead of labels.desk.prefix")
    parser.add_argument(
        "--claim-minutes", type=float, metavar="N", help="instead of labels.desk.claim_minutes"
    )


def run(given: argparse.Namespace) -> int:
    """Print links, or serve; returns the exit code."""
    if not given.folder.is_dir():
        raise UserError(f"{given.folder} is no folder; name a run, a sweep, or a folder of runs")
    if given.annotator or given.owner or given.revoke:
        return change_links(given)
    return serve(given)


def change_links(given: argparse.Namespace) -> int:
    """Make links, or end some."""
    journal = DeskJournal(given.folder / DESK, start_name())
    access = Access(journal)
    journal.look()
    if given.revoke:
        count = access.revoke(given.revoke)
        if not count:
            raise UserError(f"{given.revoke!r} has no link and is signed in nowhere")
        print(f"{given.revoke}: {count} link{'s' * (count != 1)} or sessions ended")
    people = [Person(name=name, role=Role.annotator) for name in given.annotator]
    if given.owner:
        people.append(Person(name="owner", role=Role.owner))
    if people:
        from rlavr_hpc.labels.desk.serve import link  # noqa: PLC0415 - starlette is slow

        address = _address(given)
        for person in people:
            print(f"{person.name}: {link(address, access.make_link(person))}")
    return ExitCode.DONE


def _address(given: argparse.Namespace) -> str:
    """How the links begin: where the desk runs, or will run again."""
    last = last_desk(given.folder / DESK)
    if last is None:
        raise UserError(
            f"no desk of {given.folder} has been started, so its address is not known; start it "
            f"first, in another terminal: rlavr labels desk {given.folder}"
        )
    if not last.running:
        print(f"note: the desk is not running; it is expected at {last.address}", file=sys.stderr)
    return last.address


@dataclass(slots=True)
class PeopleRuns:
    """The runs below a folder whose labels come from people."""

    folder: Path
    start: str
    labels_of: LabelsOf
    say: Callable[[str], None]
    _served: dict[Path, ServedRun] = field(default_factory=dict)
    _told: set[Path] = field(default_factory=set)

    def __call__(self) -> Sequence[ServedRun]:
        """Search now; runs that began since the last search are new."""
        for found in find_runs(self.folder):
            if found.foreign or found.is_plan or not found.started or found.folder in self._served:
                continue
            try:
                labels = self.labels_of(found.folder)
            except UserError as error:
                if found.folder not in self._told:
                    self._told.add(found.folder)
                    self.say(f"{found.name} is left out: {error}")
                continue
            if labels is not None and labels.name == PEOPLE:
                self._served[found.folder] = ServedRun(
                    run_dir=found.folder,
                    config=labels,
                    source=PeopleSource(),
                    say=self.say,
                    start=self.start,
                    settled=answered_orders,
                )
        return list(self._served.values())


def labels_of(run_dir: Path) -> LabelsConfig | None:
    """The config group `labels` of a run."""
    labels = getattr(read_config(run_dir), "labels", None)
    return labels if isinstance(labels, LabelsConfig) else None


def serve(
    given: argparse.Namespace,
    *,
    labels: LabelsOf = labels_of,
    config_of: Callable[[Path], RunConfig] = read_config,
) -> int:
    """Serve until a signal.

    Args:
        given: the options.
        labels: a run's config group `labels`.
        config_of: a run's config; tells how its answers are graded.
    """
    from rlavr_hpc.commands.label_preview import RunGraders  # noqa: PLC0415
    from rlavr_hpc.labels.desk.serve import serve_desk  # noqa: PLC0415

    start = start_name()
    find = PeopleRuns(given.folder, start, labels, _say)
    runs = find()
    if not runs:
        raise UserError(
            f"no run at or below {given.folder} has labels=people; start one first: it places its "
            "questions in its folder"
        )
    graders, parked = RunGraders(config_of), ParkedRuns()
    desk = Desk(
        top=given.folder,
        find=find,
        preview=graders.preview,
        say=_say,
        config=desk_config(given, runs[0].config.desk),
        start=start,
        after=parked.release,
        wanted=wants_labels,
    )
    try:
        serve_desk(desk, needed=parked.answers_lacking)
    finally:
        graders.close()
    return ExitCode.DONE


def desk_config(given: argparse.Namespace, config: DeskConfig) -> DeskConfig:
    """The first run's `labels.desk`, with what the command line says instead."""
    values = {
        "port": given.port,
        "host": given.host,
        "socket": given.socket,
        "origins": given.origin,
        "prefix": given.prefix,
        "claim_minutes": given.claim_minutes,
    }
    return replace(config, **{name: value for name, value in values.items() if value is not None})


def _say(line: str) -> None:
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}", flush=True)
