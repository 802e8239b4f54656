"""`python -m benchmarks.stop_after STEPS OVERRIDES`: `rlavr_hpc.run`, stopped after some steps.

As a scheduler does, the process is sent SIGTERM, in the last of STEPS steps of this attempt: it
finishes the step, writes a checkpoint and ends with exit code 75. The run can then go on with other
settings (`allow_change`), as one does whose settings are changed half-way. The step is exact, which
a signal from outside is not.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from typing import Any

from rlavr_hpc.telemetry.clock import StepClock


def main() -> None:
    """Become the program, with a `StepClock` that counts."""
    left, begin = int(sys.argv[1]), StepClock.__init__

    def counted(clock: StepClock, **given: Any) -> None:  # noqa: ANN401
        nonlocal left
        begin(clock, **given)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGTERM)

    StepClock.__init__ = counted  # type: ignore[method-assign, assignment]
    sys.argv[1:] = sys.argv[2:]
    runpy.run_module("rlavr_hpc.run", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
