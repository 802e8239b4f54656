"""`python -m benchmarks.sweep`: how long the login node is busy with a sweep of 200 runs.

Submits to the Slurm at hand, held back by an hour and cancelled at the end; `make slurm-up` starts
one. Prints the seconds from the start of the command to its end, how many of them went by after
all jobs were composed, and the same for two runs. Exit code 1 above 60 seconds in all or 10 after
composing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.machine import machine

ALL_SECONDS = 60.0
AFTER_SECONDS = 10.0
PROBE = """
import sys, time
import rlavr_hpc.cluster.slurm.launch as launch
real = launch.compose_jobs
def compose_jobs(*arguments):
    jobs = real(*arguments)
    print("composed", time.time(), flush=True)
    return jobs
launch.compose_jobs = compose_jobs
from rlavr_hpc.run import main
sys.exit(main())
"""


def main() -> int:
    """Measure and print; 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep", description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    print(f"{machine()}, medians of {given.rounds}")
    missed = False
    for runs in (2, given.runs):
        rounds = [_submit(runs) for _ in range(given.rounds)]
        whole, after = (median(pair[i] for pair in rounds) for i in (0, 1))
        print(f"{runs:4} runs: {whole:5.1f} s in all, {after:4.1f} s of them after composing")
        missed = missed or whole > ALL_SECONDS or after > AFTER_SECONDS
    return int(missed)


def _submit(runs: int) -> tuple[float, float]:
    """Seconds of the whole command, and from the end of composing to its end."""
    with tempfile.TemporaryDirectory() as root:
        seeds = "seed=" + ",".join(map(str, range(runs)))
        arguments = ["-m", "hydra/launcher=slurm", f"root={root}", "budget=0.1", seeds]
        later = "+hydra.launcher.sbatch.begin=now+1hour"
        begun = time.time()
        said = _run([sys.executable, "-c", PROBE, *arguments, later])
        ended = time.time()
        composed = next(line for line in said.splitlines() if line.startswith("composed"))
        _run([sys.executable, "-m", "rlavr_hpc", "cancel", str(Path(root) / "run")])
    return ended - begun, ended - float(composed.split()[1])


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout}\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
