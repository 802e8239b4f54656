"""`python -m rlavr_hpc.retry RUN...`: submit runs again that failed or were cancelled."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rlavr_hpc.cluster.slurm.again import submit_again
from rlavr_hpc.errors import ExitCode, RlavrError

DESCRIPTION = """\
Submit runs of a Slurm sweep again that failed, were cancelled or stopped, or never came into the
queue: with the settings they were submitted with, and the program as it is now. They go on from
their newest checkpoint; labels that were bought stay bought.
"""


def main() -> int:
    """Submit; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m rlavr_hpc.retry", description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("run_dirs", type=Path, nargs="+", metavar="RUN")
    try:
        submit_again(parser.parse_args().run_dirs)
    except RlavrError as error:
        print(f"rlavr_hpc: {error}", file=sys.stderr)
        return error.exit_code
    return ExitCode.DONE


if __name__ == "__main__":
    sys.exit(main())
