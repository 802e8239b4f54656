"""Why a job waits: Slurm's reason, explained."""

from __future__ import annotations

from rlavr_hpc.runs.queued_job import QueuedJob

REQUEUED_HELD = "job requeued in held state"
"""After `scontrol requeuehold`."""
HELD = frozenset({REQUEUED_HELD, REQUEUED_HELD.replace(" ", "_"), "JobHeldUser"})
"""Reasons that the job's owner can remove with `scontrol release`."""
FOREVER = frozenset(
    {
        "DependencyNeverSatisfied",
        "PartitionTimeLimit",
        "PartitionNodeLimit",
        "PartitionConfig",
        "BadConstraints",
        *HELD,
        "JobHeldAdmin",
        "JobHoldMaxRequeue",
        "PartitionDown",
        "PartitionInactive",
        "InvalidAccount",
        "InvalidQOS",
        "AccountNotAllowed",
        "QOSNotAllowed",
        "JobLaunchFailure",
        "launch_failed_requeued_held",
        "AssocMaxWallDurationPerJobLimit",
        "QOSMaxWallDurationPerJobLimit",
    }
)
"""Reasons that waiting does not remove."""
WORDS = {
    "Priority": "others are before it",
    "Resources": "it is next, when nodes become free",
    "BeginTime": "it may not start before a set time, as after a requeue; `rlavr start-now` starts "
    "it now",
    "Dependency": "another job must end first",
    "DependencyNeverSatisfied": "the job that it depends on has failed, so it never starts; cancel "
    "it and submit again",
    "JobArrayTaskLimit": "as many jobs of the sweep run as the launcher allows at once",
    "PartitionTimeLimit": "asks for more time than its partition allows, so it never starts; "
    "cancel it and submit with less",
    "PartitionNodeLimit": "asks for more nodes than its partition allows, so it never starts; "
    "cancel it and submit with fewer",
    "PartitionConfig": "its partition's settings do not allow it",
    "PartitionDown": "its partition is closed",
    "PartitionInactive": "its partition is closed",
    "BadConstraints": "no node is as it asks for; cancel it and submit with other constraints",
    "JobHeldUser": "held; `scontrol release` lets it go",
    REQUEUED_HELD: "held; `rlavr start-now` lets it go",
    "JobHeldAdmin": "held by an administrator",
    "JobHoldMaxRequeue": "held: requeued too often; `scontrol release` lets it go",
    "launch_failed_requeued_held": "held: its node could not start it; `scontrol release` lets it "
    "go",
    "JobLaunchFailure": "its node could not start it",
    "ReqNodeNotAvail": "the nodes that it needs are down, drained or reserved",
    "NodeDown": "a node that it needs is down",
    "Reservation": "it waits for its reservation",
    "Licenses": "it waits for a licence",
    "Cleaning": "what is left of its last start is being cleaned up",
    "FrontEndDown": "Slurm's front end is down",
    "InvalidAccount": "its account is not valid",
    "InvalidQOS": "its QOS is not valid",
    "AccountNotAllowed": "its account may not use this partition",
    "QOSNotAllowed": "its QOS may not use this partition or account",
    "AssocGrpBillingMinutes": "its account has used up what it was given",
    "None": "Slurm has not looked at it yet",
}
LIMITS = (
    (
        "WallDuration",
        "asks for more time than your {who} allows, so it never starts; cancel it and "
        "submit with less",
    ),
    ("Submit", "as many jobs are submitted as your {who} allows"),
    ("MaxJobs", "as many of your jobs run as your {who} allows"),
    ("GrpJobs", "as many jobs run as your {who} allows to all of its users"),
    ("Minutes", "your {who} has used up what it was given"),
    ("Mins", "your {who} has used up what it was given"),
    ("Max", "your jobs use as much as your {who} allows"),
    ("Grp", "your {who}'s jobs use as much as it allows to all of its users"),
)


def why_waiting(job: QueuedJob) -> str:
    """Why this job does not run yet, with Slurm's own word for it."""
    word = job.reason.strip("() ").partition(",")[0] or "None"
    words = WORDS.get(word) or _limit(word)
    return f"{word}: {words}" if words else f"Slurm says {job.reason}"


def is_held(job: QueuedJob) -> bool:
    """Whether it waits, and its owner can release it."""
    return not job.is_active and job.reason.strip("() ") in HELD


def waits_forever(job: QueuedJob) -> bool:
    """Whether somebody must do something before it can start."""
    word = job.reason.strip("() ").partition(",")[0]
    return word in FOREVER or "WallDuration" in word


def _limit(word: str) -> str | None:
    who = "QOS" if word.startswith("QOS") else "account" if word.startswith("Assoc") else None
    if who is None:
        return None
    return next((words.format(who=who) for part, words in LIMITS if part in word), None)
