"""What Slurm's settings say, as values. Pure functions: other clusters' settings can be tried."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

SlurmValues: TypeAlias = Mapping[str, str]
"""As `scontrol show config` or `show partition` print them."""
CRED_EXPIRE = 120
"""Slurm's default; a requeued job waits a second longer."""
USER_SIGNAL_OPTION = "send_user_signal"
PREEMPT_PARAMETERS_VERSION = (23, 2)
"""The first version that reads the option from PreemptParameters."""


def number_in(settings: SlurmValues, key: str, pattern: str) -> int | None:
    """The number that `pattern` finds in a setting; None without one."""
    found = re.search(pattern, settings.get(key, ""))
    return int(found[1]) if found else None


def version_of(settings: SlurmValues) -> tuple[int, int]:
    """Slurm's version; (0, 0) where it does not say."""
    found = re.match(r"(\d+)\.(\d+)", settings.get("SLURM_VERSION", ""))
    return (int(found[1]), int(found[2])) if found else (0, 0)


def requeue_delay(settings: SlurmValues) -> int:
    """Seconds that Slurm holds a requeued job back."""
    delay = number_in(settings, "SchedulerParameters", r"requeue_delay=(\d+)")
    if delay is not None:
        return delay
    expire = number_in(settings, "AuthInfo", r"cred_expire=(\d+)")
    return (CRED_EXPIRE if expire is None else expire) + 1


def sends_user_signal(settings: SlurmValues) -> bool:
    """Whether a job that is to be preempted gets the signal that it requested, not TERM."""
    where = (
        "PreemptParameters"
        if version_of(settings) >= PREEMPT_PARAMETERS_VERSION
        else "SlurmctldParameters"
    )
    return USER_SIGNAL_OPTION in settings.get(where, "")


def preempts(settings: SlurmValues) -> bool:
    """Whether jobs are ever preempted."""
    kind = settings.get("PreemptType", "preempt/none").removeprefix("preempt/")
    mode = settings.get("PreemptMode", "OFF").upper()
    return kind not in ("none", "(null)", "") and mode != "OFF"


def grace_window(settings: SlurmValues, partition: SlurmValues) -> int:
    """Seconds from the first signal of a preemption to the next, which ends a run at once."""
    return grace_seconds(partition) or kill_wait(settings)


def grace_seconds(partition: SlurmValues) -> int:
    """The partition's GraceTime; 0 without one."""
    return number_in(partition, "GraceTime", r"(\d+)") or 0


def kill_wait(settings: SlurmValues) -> int:
    """Seconds from TERM to KILL at a cancel, a time limit or a requeue."""
    found = number_in(settings, "KillWait", r"(\d+)")
    return 30 if found is None else found


def partition_mode(settings: SlurmValues, partition: SlurmValues) -> str:
    """What happens to this partition's jobs when others need the room; OFF = nothing."""
    if not preempts(settings):
        return "OFF"
    mode = settings.get("PreemptMode", "OFF")
    if "partition_prio" in settings.get("PreemptType", ""):
        mode = partition.get("PreemptMode", mode)
    words = {word.strip().upper() for word in mode.split(",")} - {"GANG", "WITHIN"}
    return next(iter(words), "OFF")
