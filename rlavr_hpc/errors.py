"""The errors a run can end with, each with the exit code it maps to.

An error message names the value, the place and the way out, because it is all a user sees: the
entry points print it without a traceback.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Process exit codes, the same for every command."""

    DONE = 0
    FAILED = 1
    MISTAKE = 2
    EARLY_WARNING = 3
    STOPPED = 75
    WAITING_FOR_LABELS = 76
    FENCED = 77
    SECOND_SIGNAL = 130


class RlavrError(Exception):
    """Base of all expected errors."""

    exit_code = ExitCode.FAILED


class UserError(RlavrError):
    """The user's mistake: a config, file or folder that cannot work."""

    exit_code = ExitCode.MISTAKE


class OtherRunError(UserError):
    """The folder holds a run with other settings, which this start has nothing to do with."""


class LedgerError(RlavrError):
    """The record of purchases cannot be written or cannot be trusted."""


class CheckpointError(RlavrError):
    """A checkpoint cannot be written or no valid one can be read."""


class StaleWeightsError(RlavrError):
    """Generation was asked of an engine that does not hold the policy's current weights."""


class DivergedError(RlavrError):
    """An optimizer update gave a loss or gradient that is no number."""


class OutOfTimeError(RlavrError):
    """Work in flight was given up on every rank, because a stop signal leaves no time for it."""

    exit_code = ExitCode.STOPPED


class RunStoppedError(RlavrError):
    """A signal asked the run to stop; a checkpoint was written."""

    exit_code = ExitCode.STOPPED


class LabelsPendingError(RlavrError):
    """The run gives its node back until labels that it ordered are there; nothing is lost."""

    exit_code = ExitCode.WAITING_FOR_LABELS


class LabelsStoppedError(LabelsPendingError):
    """The run's own first process asks the label source, and asking it again is useless."""

    exit_code = ExitCode.MISTAKE


class NewProcessError(RlavrError):
    """The run goes on from the start, which this process's models have left behind."""

    exit_code = ExitCode.STOPPED


class EarlyWarningError(RlavrError):
    """The early warning stopped the run; a checkpoint was written."""

    exit_code = ExitCode.EARLY_WARNING


class FencedError(RlavrError):
    """A newer attempt owns this run folder; this one must not write any more."""

    exit_code = ExitCode.FENCED
