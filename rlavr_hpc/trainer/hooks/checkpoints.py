"""When checkpoints are written: every `save_every` steps, at the end, and before a stop.

All ranks call these methods together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from rlavr_hpc.runs.checkpoints import TrainingState
from rlavr_hpc.trainer import distributed
from rlavr_hpc.trainer.checkpoint.write import CheckpointWriter
from rlavr_hpc.trainer.components import Components
from rlavr_hpc.trainer.hooks.record import RunRecord


def is_due(step: int, *, every: int, steps: int) -> bool:
    """Whether something is due after a step: every `every` steps (0 = never), and at the end."""
    return step == steps or (every > 0 and step % every == 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSchedule:
    """The checkpoints of an attempt; what they cost goes into the next row of the record."""

    components: Components
    writer: CheckpointWriter
    record: RunRecord

    def save_if_due(self, state: TrainingState) -> None:
        """Start a checkpoint if one is due after this step."""
        config = self.components.config
        if is_due(state.step, every=config.save_every, steps=config.steps):
            self.save(state)

    def save(self, state: TrainingState) -> None:
        """Start a checkpoint of the present state; it may be written during the next steps."""
        stored = distributed.on_main(lambda: self._with_ledger(state))
        self.record.defer(self.writer.begin(stored))

    def secure(self, state: TrainingState) -> None:
        """Have a checkpoint of the present state on disk on return."""
        if self.writer.newest != state.step:
            self.save(state)
        self.finish()

    def finish(self) -> None:
        """Wait until the checkpoint that is being written is complete."""
        self.record.defer(self.writer.finish())

    def finish_if_written(self, *, busy: bool) -> None:
        """Complete a checkpoint whose files are written.

        Args:
            busy: whether any rank is still writing.
        """
        if not busy:
            self.finish()
            self.components.deadline.save_seconds = self.writer.seconds

    def _with_ledger(self, state: TrainingState) -> TrainingState:
        """The state with the ledger's position; on rank 0, which has the ledger."""
        assert self.components.ledger is not None
        ledger_state, every = self.components.ledger.state, self.components.config.save_every
        scheduled = state.step == 0 or (every > 0 and state.step % every == 0)
        return replace(
            state,
            scheduled=scheduled,
            ledger_lines=ledger_state.lines,
            ledger_head=ledger_state.head,
        )
