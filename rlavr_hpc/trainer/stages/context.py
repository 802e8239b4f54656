"""What every stage of one training step is given."""

from __future__ import annotations

from dataclasses import dataclass

from rlavr_hpc.telemetry.clock import StepClock
from rlavr_hpc.trainer import distributed
from rlavr_hpc.trainer.components import Components
from rlavr_hpc.trainer.reporting.memory import FreeMemory
from rlavr_hpc.trainer.reporting.profile import phase_mark
from rlavr_hpc.types import StepKey

TRAIN = "train"
"""The training step's stage in the record of timed-out answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """One training step: the run's components, the step's key, and its measurements."""

    components: Components
    key: StepKey
    quota: int
    """New labels that the step may buy."""
    clock: StepClock
    """Times each stage under the name of its phase."""
    free_memory: FreeMemory
    """Measured at the end of each phase."""

    def abort_if_out_of_time(self) -> None:
        """Raise OutOfTimeError on every rank when a stop signal leaves one of them no time."""
        distributed.abort_together(self.components.deadline.out_of_time)


def begin_step(components: Components, key: StepKey, *, quota: int) -> StepContext:
    """Start the step's clock."""
    free_memory = FreeMemory()
    return StepContext(
        components=components,
        key=key,
        quota=quota,
        clock=StepClock(mark=phase_mark, after=free_memory.note),
        free_memory=free_memory,
    )
