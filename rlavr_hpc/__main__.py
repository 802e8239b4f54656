"""`python -m rlavr_hpc VERB ...`: the command line, as `rlavr VERB ...`."""

from __future__ import annotations

import sys

from rlavr_hpc.cli import main

if __name__ == "__main__":
    sys.exit(main())
