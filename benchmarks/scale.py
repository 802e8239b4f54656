"""`python -m benchmarks.scale`: ledger, `status` and analysis at the sizes of large studies.

Every part is a process of its own; seconds are its whole life, Python's start included, and MiB its
peak of resident memory. Made-up folders hold what those of runs hold. Writes a JSON file with all
figures and prints them as a table; about half an hour and 15 GB of disk. `--quick` takes a
hundredth of every size, in a minute, and writes only where `--out` says.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.machine import machine
from rlavr_hpc.runs.provenance import git_revision

QUICK = 100
"""What `--quick` divides sizes by."""
MIB_OF_KIB = 1 / 1024
OUT = Path("benchmarks/results/scale.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One process."""

    what: str
    size: int
    unit: str
    seconds: float
    peak_mib: float
    size_bytes: int | None = None
    """Of what was read or written on disk."""
    more: dict[str, Any] = field(default_factory=dict)
    """What the process told."""


def main() -> int:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a hundredth of every size")
    parser.add_argument("--parts", default=",".join(PARTS), help="some of them, with commas")
    parser.add_argument("--out", type=Path, help=f"instead of {OUT}")
    given = parser.parse_args()
    unknown = set(given.parts.split(",")) - set(PARTS)
    if unknown:
        parser.error(f"no part {sorted(unknown)[0]!r}, there are {', '.join(PARTS)}")
    scale = QUICK if given.quick else 1
    figures = []
    print(_line("what", "size", "seconds", "peak MiB", "bytes"))
    for figure in _measure(given.parts.split(","), scale):
        figures.append(figure)
        written = "" if figure.size_bytes is None else f"{figure.size_bytes:,}"
        size = f"{figure.size:,} {figure.unit}"
        print(_line(figure.what, size, f"{figure.seconds:.1f}", f"{figure.peak_mib:.0f}", written))
    out = given.out or (None if given.quick else OUT)
    if out is not None:
        _write(out, figures)
    return 0


def _measure(parts: Iterable[str], scale: int) -> Iterator[Figure]:
    for part in tqdm(list(parts), unit="part", disable=None):
        with tempfile.TemporaryDirectory() as folder:
            yield from PARTS[part](Path(folder), scale)


def _write(out: Path, figures: Iterable[Figure]) -> None:
    """Replace the figures of the same name, keep the others: parts may be measured one by one."""
    known = json.loads(out.read_text())["figures"] if out.exists() else {}
    facts = {"machine": machine(), "commit": git_revision()}
    new = {f"{figure.what} {figure.size}": {**asdict(figure), **facts} for figure in figures}
    out.write_text(json.dumps({"version": 1, "figures": {**known, **new}}, indent=1) + "\n")


def measure_ledger(root: Path, scale: int) -> Iterator[Figure]:
    """Buy, open, take one more step, verify: by the commands and classes that runs use."""
    million, bought = 10**6 // scale, root / "bought"
    for verb, what in (
        ("append", "ledger: append"),
        ("open", "ledger: open again"),
        ("step", "ledger: next step"),
    ):
        command = ["-m", "benchmarks.scale_ledger", verb, str(bought), str(million)]
        yield _figure(what, million, "records", command, folder=bought / "ledger")
    yield _verified(bought, million)


def measure_verify(root: Path, scale: int) -> Iterator[Figure]:
    """Prove a ledger ten times as long, written by `benchmarks.scale_ledger make`."""
    ten_million, made = 10**7 // scale, root / "made"
    _run(["-m", "benchmarks.scale_ledger", "make", str(made), str(ten_million)])
    yield _verified(made, ten_million)


def _verified(run_dir: Path, records: int) -> Figure:
    command = ["-m", "rlavr_hpc", "ledger", "verify", "--json", str(run_dir)]
    return _figure("ledger: verify", records, "records", command, folder=run_dir / "ledger")


def measure_status(root: Path, scale: int) -> Iterator[Figure]:
    """One look at a sweep in which runs are in every state."""
    sweep, runs = root / "runs/sweep", 10**4 // scale
    _made("status", sweep, runs)
    yield _figure(
        "status",
        runs,
        "runs",
        ["-m", "rlavr_hpc", "status", str(sweep)],
        folder=sweep,
        tell=False,
    )


def measure_analysis(root: Path, scale: int) -> Iterator[Figure]:
    """The whole report on many runs."""
    for runs in (100 // scale, 1000 // scale):
        yield _analysed(root / f"of-{runs}", runs, 1000)


def measure_long(root: Path, scale: int) -> Iterator[Figure]:
    """The same on one very long run, and what a resume reads of it."""
    steps = 10**5 // scale
    yield _analysed(root / "long", 1, steps)
    run = next(path for path in (root / "long").iterdir() if path.is_dir())
    yield _figure(
        "read the metrics", steps, "steps", ["-c", READ, str(run)], folder=run / "metrics"
    )


def _analysed(sweep: Path, runs: int, steps: int) -> Figure:
    _made("report", sweep, runs, steps)
    command = ["-m", "analysis", str(sweep), "--out", f"{sweep}-report"]
    what = f"analysis of runs of {steps} steps"
    return _figure(what, runs, "runs", command, folder=sweep, tell=False)


def _made(maker: str, sweep: Path, *sizes: int) -> None:
    """Made by a process of its own: its memory would count into the peaks of those after it."""
    given = ", ".join(map(str, sizes))
    text = f"import pathlib, sys; from benchmarks.{maker} import make_sweep; "
    _run(["-c", f"{text}make_sweep(pathlib.Path(sys.argv[1]), {given})", str(sweep)])


READ = """
import json, pathlib, sys
from rlavr_hpc.telemetry.sinks import read_line
rows = read_line(pathlib.Path(sys.argv[1]))
print(json.dumps({"rows": len(rows), "metrics": len(rows[-1])}))
"""
"""What a resumed run knows of its past by."""

PARTS: dict[str, Callable[[Path, int], Iterator[Figure]]] = {
    "ledger": measure_ledger,
    "verify": measure_verify,
    "status": measure_status,
    "analysis": measure_analysis,
    "long": measure_long,
}


def _figure(
    what: str, size: int, unit: str, command: list[str], *, folder: Path, tell: bool = True
) -> Figure:
    seconds, peak, printed = _run(command)
    return Figure(
        what=what,
        size=size,
        unit=unit,
        seconds=round(seconds, 2),
        peak_mib=round(peak, 1),
        size_bytes=sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()),
        more=json.loads(printed.splitlines()[-1]) if tell else {},
    )


def _run(command: list[str]) -> tuple[float, float, str]:
    """Seconds, peak MiB and output of a Python process.

    Linux counts into a child's peak what this process held when it started it; that is little.
    """
    begun = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen([sys.executable, *command], stdout=said)
        _, code, usage = os.wait4(process.pid, 0)
        took = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(code)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)}: exit code {process.returncode}")
        said.seek(0)
        return took, usage.ru_maxrss * MIB_OF_KIB, said.read()


def _line(what: str, size: str, *cells: str) -> str:
    return f"{what:32s} {size:>20s}" + "".join(f" {cell:>15s}" for cell in cells)


if __name__ == "__main__":
    sys.exit(main())
