"""What a cluster's settings mean for runs on any of its partitions."""

from __future__ import annotations

from collections.abc import Iterator

from rlavr_hpc.overview.cluster_settings import (
    PREEMPT_PARAMETERS_VERSION,
    USER_SIGNAL_OPTION,
    SlurmValues,
    number_in,
    preempts,
    requeue_delay,
    sends_user_signal,
    version_of,
)
from rlavr_hpc.overview.doctor_finding import DoctorFinding, bad, ok, warn

SHORT_SECONDS = 60
"""Jobs should wait no longer after a requeue, and be remembered no shorter after their end."""
REQUEUE_DELAY_VERSION = (25, 11)
"""The first version with SchedulerParameters=requeue_delay."""
LOST_SECONDS = 600
"""A lost node should be noticed within this."""


def check_cluster(settings: SlurmValues) -> list[DoctorFinding]:
    """What holds for every partition."""
    return [
        *_requeue(settings),
        *_user_signal(settings),
        *_processes(settings),
        *_limits(settings),
        *_memory_of_jobs(settings),
        *_lost_nodes(settings),
    ]


def _requeue(settings: SlurmValues) -> Iterator[DoctorFinding]:
    if settings.get("JobRequeue", "1") == "0":
        yield ok("JobRequeue", "jobs are not requeued by default; ours ask for it (--requeue)")
    else:
        yield ok("JobRequeue", "jobs may be requeued")
    delay = requeue_delay(settings)
    if delay <= SHORT_SECONDS:
        yield ok("requeue delay", f"a requeued job waits at least {delay} s")
        return
    newer = (
        " or SchedulerParameters=requeue_delay=N"
        if version_of(settings) >= REQUEUE_DELAY_VERSION
        else ""
    )
    yield warn(
        "requeue delay",
        f"a requeued job waits at least {delay} s before it goes on",
        f"user: `rlavr start-now` starts it now; admin: AuthInfo=cred_expire=N{newer}",
    )


def _user_signal(settings: SlurmValues) -> Iterator[DoctorFinding]:
    if not preempts(settings):
        return
    if sends_user_signal(settings):
        yield ok("warning signal", "jobs that are to be preempted get the signal they requested")
        return
    yield ok(
        "warning signal",
        "jobs that are to be preempted get TERM, which has the same effect on runs",
    )
    newer = version_of(settings) >= PREEMPT_PARAMETERS_VERSION
    elsewhere = settings.get("SlurmctldParameters" if newer else "PreemptParameters", "")
    if USER_SIGNAL_OPTION in elsewhere:
        right = (
            f"PreemptParameters={USER_SIGNAL_OPTION}"
            if newer
            else f"SlurmctldParameters=preempt_{USER_SIGNAL_OPTION}"
        )
        yield warn(
            "warning signal",
            "the option that sends the job's own signal is where this version does not read it",
            f"admin: {right}",
        )


def _processes(settings: SlurmValues) -> Iterator[DoctorFinding]:
    kind = settings.get("ProctrackType", "").removeprefix("proctrack/")
    if kind in ("linuxproc", "pgid"):
        yield warn(
            "ProctrackType",
            f"{kind}: signals reach every process below a task, and processes "
            "that leave its group may outlive the job",
            "admin: ProctrackType=proctrack/cgroup",
        )
    elif kind:
        yield ok("ProctrackType", f"{kind}: signals reach the tasks alone; nothing outlives a job")
    if settings.get("KillOnBadExit", "0") == "0":
        yield ok("KillOnBadExit", "0; our jobs ask for it themselves: a rank's failure ends all")


def _limits(settings: SlurmValues) -> Iterator[DoctorFinding]:
    largest = number_in(settings, "MaxArraySize", r"(\d+)")
    if largest is not None and largest <= 1:
        yield bad("MaxArraySize", "job arrays are disabled", "admin: MaxArraySize=1001")
    elif largest is not None:
        yield ok("MaxArraySize", f"a sweep of more than {largest} runs needs several arrays")
    jobs = number_in(settings, "MaxJobCount", r"(\d+)")
    if jobs is not None:
        yield (warn if jobs < 1000 else ok)(
            "MaxJobCount",
            f"the cluster holds at most {jobs} jobs of all users together",
            "admin: MaxJobCount=10000" if jobs < 1000 else "",
        )


def _memory_of_jobs(settings: SlurmValues) -> Iterator[DoctorFinding]:
    kept = "" if "none" in settings.get("AccountingStorageType", "none") else ", and is there"
    yield ok("accounting", f"sacct is not needed{kept}")
    age = number_in(settings, "MinJobAge", r"(\d+)")
    if age is None:
        return
    if 0 < age < SHORT_SECONDS:
        yield warn(
            "MinJobAge",
            f"Slurm forgets jobs {age} s after they end: why a job "
            "ended that left no record may be lost",
            "admin: MinJobAge=300",
        )
    else:
        yield ok("MinJobAge", "Slurm remembers ended jobs " + (f"for {age} s" if age else "always"))


def _lost_nodes(settings: SlurmValues) -> Iterator[DoctorFinding]:
    seconds = number_in(settings, "SlurmdTimeout", r"(\d+)")
    if seconds is None:
        return
    if seconds == 0:
        yield warn(
            "SlurmdTimeout",
            "the jobs of a lost node stay there until somebody sets it down",
            "admin: SlurmdTimeout=300; user: `status` shows such runs as stalled",
        )
        return
    late = seconds > LOST_SECONDS
    yield (warn if late else ok)(
        "SlurmdTimeout",
        f"a lost node's jobs go on elsewhere after {seconds} s; what still runs "
        "there is then superseded",
        "admin: SlurmdTimeout=300" if late else "",
    )
