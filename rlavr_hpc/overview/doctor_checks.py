"""What a cluster's settings mean for runs: findings, each with the setting that mends it.

Pure functions of what `scontrol show config` and `show partition` say, so that the settings of
other clusters can be tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

CRED_EXPIRE = 120
"""Slurm's default; a requeued job waits a second longer."""
SHORT_SECONDS = 60
"""A checkpoint of a few billion parameters takes about that long."""
USER_SIGNAL_OPTION = "send_user_signal"
NEWER = (23, 2)
"""The first version that reads it from PreemptParameters."""
EXPEDITED = (25, 11)
LOST_SECONDS = 600


class Severity(StrEnum):
    """How a finding is to be taken."""

    ok = "ok"
    warn = "warn"
    """Works, but less well, or not for everybody."""
    bad = "bad"
    """Runs will fail or be lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the check-up."""

    level: Severity
    topic: str
    text: str
    mend: str = ""
    """The setting that changes it, by whom; "" where nothing is to be mended."""


Settings = Mapping[str, str]


def check_cluster(settings: Settings) -> list[Finding]:
    """What holds for every partition."""
    return [
        *_requeue(settings),
        *_user_signal(settings),
        *_processes(settings),
        *_limits(settings),
        *_memory_of_jobs(settings),
        *_lost_nodes(settings),
    ]


def check_partition(settings: Settings, partition: Settings) -> list[Finding]:
    """What holds for the jobs of one partition."""
    return [
        *_open(partition),
        *_preemption(settings, partition),
        *_time_limit(partition),
    ]


def _ok(topic: str, text: str, mend: str = "") -> Finding:
    return Finding(level=Severity.ok, topic=topic, text=text, mend=mend)


def _warn(topic: str, text: str, mend: str = "") -> Finding:
    return Finding(level=Severity.warn, topic=topic, text=text, mend=mend)


def _bad(topic: str, text: str, mend: str = "") -> Finding:
    return Finding(level=Severity.bad, topic=topic, text=text, mend=mend)


# --- every partition -------------------------------------------------------------------------


def version_of(settings: Settings) -> tuple[int, int]:
    """Slurm's version; (0, 0) where it does not tell."""
    found = re.match(r"(\d+)\.(\d+)", settings.get("SLURM_VERSION", ""))
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _requeue(settings: Settings) -> Iterator[Finding]:
    if settings.get("JobRequeue", "1") == "0":
        yield _ok("JobRequeue", "jobs are not requeued by default; ours ask for it (--requeue)")
    else:
        yield _ok("JobRequeue", "jobs may be requeued")
    delay = requeue_delay(settings)
    if delay <= SHORT_SECONDS:
        yield _ok("requeue delay", f"a requeued job waits at least {delay} s")
        return
    newer = " or SchedulerParameters=requeue_delay=N" if version_of(settings) >= EXPEDITED else ""
    yield _warn(
        "requeue delay",
        f"a requeued job waits at least {delay} s before it goes on",
        f"user: `rlavr start-now` starts it now; admin: AuthInfo=cred_expire=N{newer}",
    )


def requeue_delay(settings: Settings) -> int:
    """Seconds that Slurm holds a requeued job back."""
    told = _number(settings, "SchedulerParameters", r"requeue_delay=(\d+)")
    if told is not None:
        return told
    expire = _number(settings, "AuthInfo", r"cred_expire=(\d+)")
    return (CRED_EXPIRE if expire is None else expire) + 1


def sends_user_signal(settings: Settings) -> bool:
    """Whether a job that is to be preempted gets the signal that it asked for, not TERM."""
    where = "PreemptParameters" if version_of(settings) >= NEWER else "SlurmctldParameters"
    return USER_SIGNAL_OPTION in settings.get(where, "")


def _user_signal(settings: Settings) -> Iterator[Finding]:
    if not preempts(settings):
        return
    if sends_user_signal(settings):
        yield _ok("warning signal", "jobs that are to be preempted get the signal they asked for")
        return
    yield _ok(
        "warning signal",
        "jobs that are to be preempted get TERM, which runs heed as well",
    )
    newer = version_of(settings) >= NEWER
    elsewhere = settings.get("SlurmctldParameters" if newer else "PreemptParameters", "")
    if USER_SIGNAL_OPTION in elsewhere:
        right = (
            f"PreemptParameters={USER_SIGNAL_OPTION}"
            if newer
            else f"SlurmctldParameters=preempt_{USER_SIGNAL_OPTION}"
        )
        yield _warn(
            "warning signal",
            "the option that sends the job's own signal is where this version does not read it",
            f"admin: {right}",
        )


def preempts(settings: Settings) -> bool:
    """Whether jobs are ever preempted."""
    kind = settings.get("PreemptType", "preempt/none").removeprefix("preempt/")
    mode = settings.get("PreemptMode", "OFF").upper()
    return kind not in ("none", "(null)", "") and mode != "OFF"


def _processes(settings: Settings) -> Iterator[Finding]:
    kind = settings.get("ProctrackType", "").removeprefix("proctrack/")
    if kind in ("linuxproc", "pgid"):
        yield _warn(
            "ProctrackType",
            f"{kind}: signals reach every process below a task, and processes "
            "that leave its group may outlive the job",
            "admin: ProctrackType=proctrack/cgroup",
        )
    elif kind:
        yield _ok("ProctrackType", f"{kind}: signals reach the tasks alone; nothing outlives a job")
    if settings.get("KillOnBadExit", "0") == "0":
        yield _ok("KillOnBadExit", "0; our jobs ask for it themselves: a rank's failure ends all")


def _limits(settings: Settings) -> Iterator[Finding]:
    largest = _number(settings, "MaxArraySize", r"(\d+)")
    if largest is not None and largest <= 1:
        yield _bad("MaxArraySize", "job arrays are disabled", "admin: MaxArraySize=1001")
    elif largest is not None:
        yield _ok("MaxArraySize", f"a sweep of more than {largest} runs needs several arrays")
    jobs = _number(settings, "MaxJobCount", r"(\d+)")
    if jobs is not None:
        yield (_warn if jobs < 1000 else _ok)(
            "MaxJobCount",
            f"the cluster holds at most {jobs} jobs of all users together",
            "admin: MaxJobCount=10000" if jobs < 1000 else "",
        )


def _memory_of_jobs(settings: Settings) -> Iterator[Finding]:
    kept = "" if "none" in settings.get("AccountingStorageType", "none") else ", and is there"
    yield _ok("accounting", f"sacct is not needed{kept}")
    age = _number(settings, "MinJobAge", r"(\d+)")
    if age is None:
        return
    if 0 < age < SHORT_SECONDS:
        yield _warn(
            "MinJobAge",
            f"Slurm forgets jobs {age} s after they end: why a job "
            "ended that left no record may be lost",
            "admin: MinJobAge=300",
        )
    else:
        yield _ok(
            "MinJobAge", "Slurm remembers ended jobs " + (f"for {age} s" if age else "always")
        )


def _lost_nodes(settings: Settings) -> Iterator[Finding]:
    seconds = _number(settings, "SlurmdTimeout", r"(\d+)")
    if seconds is None:
        return
    if seconds == 0:
        yield _warn(
            "SlurmdTimeout",
            "the jobs of a lost node stay there until somebody sets it down",
            "admin: SlurmdTimeout=300; user: `status` shows such runs as stalled",
        )
        return
    late = seconds > LOST_SECONDS
    yield (_warn if late else _ok)(
        "SlurmdTimeout",
        f"a lost node's jobs go on elsewhere after {seconds} s; what still runs "
        "there then is shut out",
        "admin: SlurmdTimeout=300" if late else "",
    )


# --- one partition ---------------------------------------------------------------------------


def _open(partition: Settings) -> Iterator[Finding]:
    state = partition.get("State", "UP")
    if state != "UP":
        yield _bad("partition", f"it is {state}: nothing starts", "user: another partition")
    if partition.get("RootOnly") == "YES":
        yield _bad("partition", "only root may use it", "user: another partition")


def grace_window(settings: Settings, partition: Settings) -> int:
    """Seconds from the first signal of a preemption to the next, which ends a run at once."""
    return _grace(partition) or _kill_wait(settings)


def _grace(partition: Settings) -> int:
    return _number(partition, "GraceTime", r"(\d+)") or 0


def _kill_wait(settings: Settings) -> int:
    told = _number(settings, "KillWait", r"(\d+)")
    return 30 if told is None else told


def partition_mode(settings: Settings, partition: Settings) -> str:
    """What happens to this partition's jobs when others need the room; OFF = nothing."""
    if not preempts(settings):
        return "OFF"
    mode = settings.get("PreemptMode", "OFF")
    if "partition_prio" in settings.get("PreemptType", ""):
        mode = partition.get("PreemptMode", mode)
    words = {word.strip().upper() for word in mode.split(",")} - {"GANG", "WITHIN"}
    return next(iter(words), "OFF")


def _preemption(settings: Settings, partition: Settings) -> Iterator[Finding]:
    mode = partition_mode(settings, partition)
    grace, kill = _grace(partition), _kill_wait(settings)
    if mode == "OFF":
        yield _ok("preemption", "its jobs are never preempted")
        yield from _window("KillWait", kill, "a cancel, a time limit or a requeue")
    elif "qos" in settings.get("PreemptType", ""):
        yield _ok(
            "preemption",
            f"by QOS ({mode} unless the QOS says otherwise); its grace is GraceTime "
            "of the QOS: `sacctmgr show qos format=name,preemptmode,gracetime`; say it to runs: "
            "cluster.grace_seconds=N",
        )
    elif mode == "SUSPEND":
        yield _warn(
            "preemption",
            "its jobs are paused (SUSPEND): they keep their memory, fall silent, and "
            "`status` may show them as stalled",
            "admin: PreemptMode=REQUEUE",
        )
    elif mode == "CANCEL" and grace == 0:
        yield _bad(
            "preemption",
            f"its jobs are ended (CANCEL) within {kill} s and not requeued: runs "
            "stay where their last checkpoint is",
            "admin: PreemptMode=REQUEUE, or a GraceTime; user: another partition, or a small "
            "save_every and `rlavr retry` afterwards",
        )
    elif mode == "CANCEL":
        yield _warn(
            "preemption",
            "its jobs are ended (CANCEL); ours put themselves back into the queue "
            "when their checkpoint is written in time",
            "admin: PreemptMode=REQUEUE",
        )
        yield from _window("GraceTime", grace, "a preemption")
    else:
        yield _ok("preemption", f"its jobs are put back into the queue ({mode})")
        if grace == 0:
            yield _warn(
                "GraceTime",
                f"0: preempted jobs are killed {kill} s (KillWait) after the signal",
                "admin: GraceTime=120 on the partition; user: a small save_every",
            )
        else:
            yield from _window("GraceTime", grace, "a preemption")


def _window(topic: str, seconds: int, when: str) -> Iterator[Finding]:
    text = f"{seconds} s to write a checkpoint after the signal of {when}"
    if seconds >= SHORT_SECONDS:
        yield _ok(topic, text)
        return
    yield _warn(
        topic,
        f"{text}: little for models of billions of parameters, enough for small ones",
        "user: a small save_every",
    )


def _time_limit(partition: Settings) -> Iterator[Finding]:
    limit = partition.get("MaxTime", "UNLIMITED")
    if limit != "UNLIMITED":
        yield _ok("MaxTime", f"{limit} at a time; longer runs go on in the next start")


def _number(settings: Settings, key: str, pattern: str) -> int | None:
    found = re.search(pattern, settings.get(key, ""))
    return int(found[1]) if found else None
