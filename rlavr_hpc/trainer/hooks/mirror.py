"""The mirror of the record on a dashboard, on rank 0, where the config asks for one.

The record in the run's folder is always written first; the mirror only repeats it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rlavr_hpc.errors import ExitCode
from rlavr_hpc.telemetry.examples.record import Example
from rlavr_hpc.telemetry.outcome import RunOutcome
from rlavr_hpc.telemetry.sinks import MetricsMirror
from rlavr_hpc.types import StepKey


def mirror_row(
    mirror: MetricsMirror | None, step_key: StepKey, values: Mapping[str, float]
) -> None:
    """Show a row of metrics."""
    if mirror is not None:
        mirror.write(step_key, values)


def mirror_examples(mirror: MetricsMirror | None, examples: Sequence[Example]) -> None:
    """Show examples of responses."""
    if mirror is not None:
        mirror.show(examples)


def close_mirror(
    mirror: MetricsMirror | None, code: ExitCode, outcome: Callable[[], RunOutcome] = RunOutcome
) -> None:
    """End the mirror of an attempt.

    Args:
        mirror: to end.
        code: the attempt's exit code.
        outcome: makes what is stored with the run.
    """
    if mirror is not None:
        mirror.close(code, outcome)
