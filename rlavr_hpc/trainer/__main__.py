"""`python -m rlavr_hpc.trainer RUN_DIR`: run what the folder's config.yaml says, as it was frozen.

Launchers start jobs this way, so that a job never composes its config again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rlavr_hpc.errors import UserError
from rlavr_hpc.runs.folder import read_config
from rlavr_hpc.trainer.job import end_process, run_job


def main() -> int:
    """Run one folder; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m rlavr_hpc.trainer", description=__doc__)
    parser.add_argument("run_dir", type=Path, help="a run folder with a config.yaml")
    run_dir: Path = parser.parse_args().run_dir
    try:
        config = read_config(run_dir)
    except UserError as error:
        print(f"rlavr: {error}", file=sys.stderr)
        return error.exit_code
    return run_job(config, run_dir)


if __name__ == "__main__":
    end_process(main())
