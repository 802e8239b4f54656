"""`rlavr doctor`: check the settings of the Slurm cluster."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rlavr_hpc.cluster.slurm import commands
from rlavr_hpc.errors import ExitCode, UserError
from rlavr_hpc.overview.cluster_checks import check_cluster
from rlavr_hpc.overview.doctor_finding import DoctorFinding, Severity
from rlavr_hpc.overview.partition_checks import check_partition
from rlavr_hpc.overview.site_facts import check_folder, check_gpus, check_python

DESCRIPTION = """\
Check the settings of the Slurm cluster, one line each: requeueing, preemption and its grace time,
signals, time limits, lost nodes, the folder for runs, Python and GPUs. Every line that is not ok
names the setting that fixes it, and who can change it. Nothing is changed.
"""
EPILOG = """\
--json prints one object per line: partition (null = all), level (ok, warn, bad), topic, text,
fix (the setting, and who can change it; "" = nothing to fix).

Examples:
  rlavr doctor
  rlavr doctor --partition gpu --root /scratch/me/runs

Exit codes: 0 nothing is bad, 1 something is, 2 there is no Slurm here.
"""
COLOURS = {Severity.ok: "32", Severity.warn: "33", Severity.bad: "31;1"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `rlavr doctor`."""
    parser.add_argument("--partition", metavar="P", help="check only this one (default: all)")
    parser.add_argument(
        "--root",
        type=Path,
        default=Path("runs"),
        metavar="DIR",
        help="folder that runs will be written to (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON lines")


def run(given: argparse.Namespace) -> int:
    """Check; returns the exit code."""
    partition: str | None = given.partition
    if shutil.which("scontrol") is None:
        raise UserError(
            "there is no Slurm here (scontrol is not installed); on a cluster's login node its "
            "module may have to be loaded. `rlavr run` works without Slurm"
        )
    settings = commands.settings()
    findings: dict[str | None, list[DoctorFinding]] = {
        None: [*check_here(settings, partition, given.root), *check_cluster(settings)]
    }
    findings.update(_by_partition(settings, partition))
    print("\n".join(_lines(findings, as_json=given.json)))
    bad = any(finding.level is Severity.bad for group in findings.values() for finding in group)
    return ExitCode.FAILED if bad else ExitCode.DONE


def check_here(
    settings: Mapping[str, str], partition: str | None, root: Path
) -> list[DoctorFinding]:
    """Slurm's version, the folder, Python and GPUs."""
    version = settings.get("SLURM_VERSION", "of an unknown version")
    return [
        DoctorFinding(level=Severity.ok, topic="Slurm", text=version),
        check_folder(root),
        check_python(),
        check_gpus(commands.gres(partition)),
    ]


def _by_partition(settings: Mapping[str, str], name: str | None) -> dict[str, list[DoctorFinding]]:
    partitions = commands.partitions()
    if name is not None and name not in partitions:
        there = ", ".join(sorted(partitions)) or "none"
        missing = DoctorFinding(
            level=Severity.bad,
            topic="partition",
            text=f"there is no partition {name!r}",
            fix=f"user: one of {there}",
        )
        return {name: [missing]}
    chosen = {name: partitions[name]} if name is not None else partitions
    return {name: check_partition(settings, values) for name, values in chosen.items()}


def _lines(findings: Mapping[str | None, Sequence[DoctorFinding]], *, as_json: bool) -> list[str]:
    if as_json:
        return [
            json.dumps({"partition": name} | asdict(finding))
            for name, group in findings.items()
            for finding in group
        ]
    colour = sys.stdout.isatty()
    lines = []
    for name, group in findings.items():
        lines += ["", f"partition {name}:"] if name is not None else []
        for finding in group:
            level = f"{finding.level:4s}"
            mark = f"\033[{COLOURS[finding.level]}m{level}\033[0m" if colour else level
            lines.append(f"{mark}  {finding.topic}: {finding.text}")
            if finding.fix:
                lines.append(f"        -> {finding.fix}")
    return lines
