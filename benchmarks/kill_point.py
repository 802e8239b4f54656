"""`python -m benchmarks.kill_point POINT OVERRIDES`: `rlavr_hpc.run`, stopped at a point.

POINT is a `Point` as JSON. A few light functions are wrapped, or a thread watches the run folder;
at the point the process writes down where it is and stops itself (SIGSTOP), upon which
`benchmarks.killing` kills it and everything it started: a true SIGKILL at an exact place, without
a hook in the product. Nothing heavy is imported here, as the program sets its thread counts first.
"""

from __future__ import annotations

import json
import os
import runpy
import sys

from benchmarks.kill_holds import (
    Holder,
    Point,
    hold_in_deletion,
    hold_in_phases,
    hold_in_publishing,
    hold_in_writes,
)
from benchmarks.kill_watch import hold_by_watching

CLOCK_PHASES = ("sync", "generate", "grade", "score", "buy", "select", "train", "learn")


def main() -> None:
    """Prepare this rank and become the program."""
    point = Point(**json.loads(sys.argv[1]))
    if int(os.environ.get("RANK", "0")) == point.rank:
        holder = Holder(point)
        hold_in_phases(holder)
        hold_in_writes(holder)
        hold_in_publishing(holder)
        hold_in_deletion(holder)
        hold_by_watching(holder)
    sys.argv[1:] = sys.argv[2:]
    runpy.run_module("rlavr_hpc.run", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
