"""`python -m rlavr_hpc.run`: start or resume a run, or a sweep of runs; the same as `rlavr run`."""

from __future__ import annotations

import sys

from rlavr_hpc import cli


def main() -> int:
    """Run what the process's arguments say; returns the exit code, or ends the process with it."""
    return cli.main(["run", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
