"""`python -m benchmarks.label_idle`: CPU time of the bridge and the desk while nobody answers.

Login nodes end processes by their CPU time. Folders with parked runs are made up, each with orders
that nobody answers, and `rlavr labels serve` and `rlavr labels desk` serve them at their default
pace, all at once. Printed and written is what each uses when it has settled, per day; what a
source's program uses is told apart. Exit code 1 above `--most` CPU minutes a day. About an hour,
nearly all of it idle.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.label_idle_runs import SOURCES, make_runs, quiet_services
from benchmarks.machine import machine

OUT = Path("benchmarks/results/label_idle.json")
DESK = "people"
"""The source whose runs the desk serves; the bridge serves all others."""
SERVES = ("serving", "links begin")
"""Begin of what each says when it has started."""
TICKS = os.sysconf("SC_CLK_TCK")
DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleFigure:
    """One process that served runs while nobody answered."""

    what: str
    """`bridge` or `desk`."""
    source: str
    runs: int
    orders: int
    """Pending in all runs together."""
    minutes: float
    """That were measured, behind the start."""
    start_seconds: float
    """CPU time of the start."""
    own_minutes_a_day: float
    """CPU time of the process itself."""
    programs_minutes_a_day: float
    """Of the programs that it ran."""


def main() -> int:
    """Measure, print and write; 1 where a process uses too much."""
    given = _arguments()
    with tempfile.TemporaryDirectory() as folder, quiet_services() as url:
        cases = [(source, runs) for source in given.sources for runs in given.runs]
        with _started(Path(folder), cases, given.orders, url) as processes:
            figures = _measured(processes, cases, given)
    print(_as_text(figures))
    facts = {"version": 1, "machine": machine(), "figures": [asdict(one) for one in figures]}
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(facts, indent=1) + "\n")
    return int(any(one.own_minutes_a_day > given.most for one in figures))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.label_idle", description=__doc__)
    parser.add_argument(
        "--settle",
        type=float,
        default=30.0,
        metavar="MINUTES",
        help="behind the start; default 30: what was asked in vain is asked more and more seldom",
    )
    parser.add_argument("--minutes", type=float, default=20.0, help="to measure; default 20")
    parser.add_argument("--runs", type=int, nargs="+", default=[4, 40], help="in a folder")
    parser.add_argument("--orders", type=int, default=24, help="pending in each run")
    parser.add_argument("--sources", nargs="+", choices=SOURCES, default=list(SOURCES))
    parser.add_argument("--most", type=float, default=5.0, help="CPU minutes a day; default 5")
    parser.add_argument("--out", type=Path, default=OUT)
    return parser.parse_args()


@contextmanager
def _started(
    root: Path, cases: Sequence[tuple[str, int]], orders: int, url: str
) -> Iterator[list[subprocess.Popen[str]]]:
    """One process per case, each with its runs; all serve on entry."""
    processes: list[subprocess.Popen[str]] = []
    try:
        for source, runs in cases:
            folder = root / f"{source}-{runs}"
            make_runs(folder, source, runs, orders=orders, url=url)
            processes.append(_serve(folder, source))
        yield processes
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(60)


def _serve(folder: Path, source: str) -> subprocess.Popen[str]:
    verb = ["desk", str(folder), "--port", "0"] if source == DESK else ["serve", str(folder)]
    log = folder.parent / f"{folder.name}.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "rlavr_hpc", "labels", *verb],
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
        )
    while not any(word in log.read_text() for word in SERVES):
        if process.poll() is not None:
            raise SystemExit(f"{source}: it ended:\n{log.read_text()}")
        time.sleep(0.5)
    return process


def _measured(
    processes: Sequence[subprocess.Popen[str]],
    cases: Sequence[tuple[str, int]],
    given: argparse.Namespace,
) -> list[IdleFigure]:
    start = [sum(cpu_seconds(process.pid)) for process in processes]
    time.sleep(60 * given.settle)
    begun, first = time.monotonic(), [cpu_seconds(process.pid) for process in processes]
    time.sleep(60 * given.minutes)
    last = [cpu_seconds(process.pid) for process in processes]
    minutes = (time.monotonic() - begun) / 60
    share = DAY_MINUTES / minutes / 60
    return [
        IdleFigure(
            what="desk" if source == DESK else "bridge",
            source=source,
            runs=runs,
            orders=runs * given.orders,
            minutes=round(minutes, 2),
            start_seconds=round(started, 1),
            own_minutes_a_day=round(share * (after[0] - before[0]), 2),
            programs_minutes_a_day=round(share * (after[1] - before[1]), 2),
        )
        for (source, runs), started, before, after in zip(cases, start, first, last, strict=True)
    ]


def cpu_seconds(pid: int) -> tuple[float, float]:
    """CPU time, in user and system mode, of a process and of its children that have ended.

    Source: proc_pid_stat(5), fields 14 to 17.
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own, of_children = (sum(map(int, fields[at : at + 2])) / TICKS for at in (11, 13))
    return own, of_children


def _as_text(figures: Sequence[IdleFigure]) -> str:
    def line(*cells: Any) -> str:  # noqa: ANN401
        widths = (8, 12, 6, 8, 9, 14, 14)
        return " ".join(f"{cell!s:>{width}}" for cell, width in zip(cells, widths, strict=True))

    rows = [line("what", "source", "runs", "orders", "start s", "own min/day", "programs")]
    for one in figures:
        used = (one.own_minutes_a_day, one.programs_minutes_a_day)
        start = f"{one.start_seconds:.1f}"
        rows.append(line(one.what, one.source, one.runs, one.orders, start, *used))
    return "\n".join(rows)


if __name__ == "__main__":
    raise SystemExit(main())
