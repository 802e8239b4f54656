"""`python -m analysis DIR...`, the same as `rlavr report`: analyse runs and write the report."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rlavr_hpc.errors import ExitCode, RlavrError, UserError

DESCRIPTION = """\
Analyse runs and write a report: which runs collapsed, when and why, how the conditions of a study
compare, and which policy and budget to use next. DIR is a run, a sweep, or a folder with runs
below. OUT/index.html opens from a file without network; OUT/figures holds PNG and SVG, OUT/tables
CSV and Parquet, OUT/summary.json the findings. The run folders are not changed. What is damaged
there, or is not a run, is left out and named.

`rlavr report watch DIR...` serves the same page on this machine while runs are running.
"""
EPILOG = """\
Examples:
  rlavr report runs/study
  rlavr report runs --out report --target 0.6
  rlavr report watch runs

Exit codes: 0 report written, 1 it could not be written, 2 no run found, or your mistake.
"""
WATCH = """\
Serve the report on this machine (127.0.0.1) and update it while runs are running; end with Ctrl-C.
From your own machine: `ssh -L PORT:127.0.0.1:PORT HOST`, then open the address that is printed.
"""
WATCH_EPILOG = """\
Examples:
  rlavr report watch runs --port 8060

Exit codes: 0 ended, 1 failed, 2 no run found, or your mistake.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)
    try:
        return run(sys.argv[1:] if arguments is None else arguments, parser)
    except RlavrError as error:
        print(f"analysis: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"analysis: {error}", file=sys.stderr)
        return ExitCode.FAILED


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of a report."""
    _add_sources(parser)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="OUT",
        default=Path("report"),
        help="folder of the report (default: %(default)s)",
    )


def run(arguments: Sequence[str], parser: argparse.ArgumentParser) -> int:
    """Write a report, or serve it where the first argument is `watch`; returns the exit code.

    Raises:
        RlavrError: a mistake, or a report that cannot be written.
    """
    if list(arguments[:1]) == ["watch"]:
        return _watch(arguments[1:], prog=f"{parser.prog} watch")
    return _report(parser.parse_args(arguments))


def _report(given: argparse.Namespace) -> int:
    _check_sources(given)
    _check_out(given.out)
    # plotting libraries are slow to import, and `--help` needs none
    from analysis.examine import examine  # noqa: PLC0415
    from analysis.load.workers import collect_seldom  # noqa: PLC0415
    from analysis.report.terminal import print_brief  # noqa: PLC0415
    from analysis.report.write import write_report  # noqa: PLC0415

    collect_seldom()
    findings, steps = examine(
        given.folders, workers=given.workers, target=given.target, progress=sys.stderr.isatty()
    )
    page = write_report(findings, given.out, steps=steps)
    print_brief(findings)
    print(f"\nreport: {page}")
    return ExitCode.DONE


def _watch(arguments: Sequence[str], *, prog: str) -> int:
    parser = argparse.ArgumentParser(
        prog=prog,
        description=WATCH,
        epilog=WATCH_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_sources(parser)
    parser.add_argument(
        "--port", type=int, metavar="N", default=8060, help="default: %(default)s; 0 = any free one"
    )
    parser.add_argument(
        "--every",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="time between updates (default: %(default)g)",
    )
    given = parser.parse_args(arguments)
    _check_sources(given)
    if given.every < 1 or not 0 <= given.port < 1 << 16:
        raise UserError("--every is at least 1 second, --port at most 65535")
    from analysis.report.watch import serve  # noqa: PLC0415

    serve(
        given.folders,
        workers=given.workers,
        target=given.target,
        port=given.port,
        every=given.every,
    )
    return ExitCode.DONE


def _add_sources(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folders",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="a run, a sweep, or a folder with runs below",
    )
    parser.add_argument(
        "--target",
        type=float,
        metavar="ACCURACY",
        help="report how many labels this held-out accuracy took (default: half of the best one)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        default=len(os.sched_getaffinity(0)),
        help="processes (default: one per core, %(default)s)",
    )


def _check_sources(given: argparse.Namespace) -> None:
    target = given.target
    if given.workers < 1:
        raise UserError(f"--workers {given.workers}: at least one process is needed")
    if target is not None and not 0.0 < target <= 1.0:
        raise UserError(f"--target {target:g}: an accuracy lies above 0 and at most at 1")


def _check_out(out: Path) -> None:
    """The report's folder is new, empty, or holds a report: nothing else is written over."""
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file, a folder is needed")
    if (out / "config.yaml").exists():
        raise UserError(f"--out {out} is a run's folder; choose another one")
    if out.is_dir() and any(out.iterdir()) and not (out / "summary.json").exists():
        raise UserError(f"--out {out} holds something else than a report; choose another folder")


if __name__ == "__main__":
    sys.exit(main())
