"""What the settings of one partition mean for the runs on it."""

from __future__ import annotations

from collections.abc import Iterator

from rlavr_hpc.overview.cluster_settings import (
    SlurmValues,
    grace_seconds,
    kill_wait,
    partition_mode,
)
from rlavr_hpc.overview.doctor_finding import DoctorFinding, bad, ok, warn

SHORT_SECONDS = 60
"""A checkpoint of a few billion parameters takes about that long."""


def check_partition(settings: SlurmValues, partition: SlurmValues) -> list[DoctorFinding]:
    """What holds for the jobs of one partition."""
    return [
        *_open(partition),
        *_preemption(settings, partition),
        *_time_limit(partition),
    ]


def _open(partition: SlurmValues) -> Iterator[DoctorFinding]:
    state = partition.get("State", "UP")
    if state != "UP":
        yield bad("partition", f"it is {state}: nothing starts", "user: another partition")
    if partition.get("RootOnly") == "YES":
        yield bad("partition", "only root may use it", "user: another partition")


def _preemption(settings: SlurmValues, partition: SlurmValues) -> Iterator[DoctorFinding]:
    mode = partition_mode(settings, partition)
    grace, kill = grace_seconds(partition), kill_wait(settings)
    if mode == "OFF":
        yield ok("preemption", "its jobs are never preempted")
        yield from _window("KillWait", kill, "a cancel, a time limit or a requeue")
    elif "qos" in settings.get("PreemptType", ""):
        yield ok(
            "preemption",
            f"by QOS ({mode} unless the QOS says otherwise); its grace is GraceTime "
            "of the QOS: `sacctmgr show qos format=name,preemptmode,gracetime`; say it to runs: "
            "cluster.grace_seconds=N",
        )
    elif mode == "SUSPEND":
        yield warn(
            "preemption",
            "its jobs are paused (SUSPEND): they keep their memory, fall silent, and "
            "`status` may show them as stalled",
            "admin: PreemptMode=REQUEUE",
        )
    elif mode == "CANCEL" and grace == 0:
        yield bad(
            "preemption",
            f"its jobs are ended (CANCEL) within {kill} s and not requeued: runs "
            "stay where their last checkpoint is",
            "admin: PreemptMode=REQUEUE, or a GraceTime; user: another partition, or a small "
            "save_every and `rlavr retry` afterwards",
        )
    elif mode == "CANCEL":
        yield warn(
            "preemption",
            "its jobs are ended (CANCEL); ours put themselves back into the queue "
            "when their checkpoint is written in time",
            "admin: PreemptMode=REQUEUE",
        )
        yield from _window("GraceTime", grace, "a preemption")
    else:
        yield ok("preemption", f"its jobs are put back into the queue ({mode})")
        if grace == 0:
            yield warn(
                "GraceTime",
                f"0: preempted jobs are killed {kill} s (KillWait) after the signal",
                "admin: GraceTime=120 on the partition; user: a small save_every",
            )
        else:
            yield from _window("GraceTime", grace, "a preemption")


def _window(topic: str, seconds: int, when: str) -> Iterator[DoctorFinding]:
    text = f"{seconds} s to write a checkpoint after the signal of {when}"
    if seconds >= SHORT_SECONDS:
        yield ok(topic, text)
        return
    yield warn(
        topic,
        f"{text}: little for models of billions of parameters, enough for small ones",
        "user: a small save_every",
    )


def _time_limit(partition: SlurmValues) -> Iterator[DoctorFinding]:
    limit = partition.get("MaxTime", "UNLIMITED")
    if limit != "UNLIMITED":
        yield ok("MaxTime", f"{limit} at a time; longer runs go on in the next start")
