"""What is known of one run, and the states that it can be in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from rlavr_hpc.runs.evidence import RunFacts, copied_from, process_lives
from rlavr_hpc.runs.queued_job import QueuedJob

FRESH_SECONDS = 15.0
"""A heartbeat younger than this, and than three steps, is of a process that lives."""
STALLED_SECONDS = 600.0
"""A run may be silent that long, and ten steps: evaluations and checkpoints take longer."""
STARTING_SECONDS = 900.0
"""Models of many gigabytes are loaded before the first step."""
SKEW_SECONDS = 5.0
"""Between the clocks of two nodes."""
KILL_SECONDS = 60.0
"""That a process may live on after its end is on record: Slurm's KillWait, and the way there."""


class State(StrEnum):
    """Where a run stands."""

    planned = "planned"
    """Nothing of it has run: it is in its sweep's plan, or its folder was made, and no job of it is
    known."""
    queued = "queued"
    running = "running"
    preempted = "preempted"
    """Waits after a preemption."""
    requeued = "requeued"
    """Waits after anything else: a time limit, a crash, a lost node, somebody's requeue."""
    waiting_for_labels = "waiting for labels"
    """Labels that it ordered are not there; `WaitsIn` says whether it holds a node meanwhile."""
    stalled = "stalled"
    """Its job runs, and it has been silent for far too long."""
    zombie = "zombie"
    """It goes on where Slurm says that its job does not run."""
    failed = "failed"
    cancelled = "cancelled"
    stopped = "stopped"
    """Ended early, with what it had on disk: by a signal or by the early warning."""
    done = "done"
    unknown = "unknown"
    """Its folder or its heartbeat cannot be read, and nothing else tells."""


class WaitsIn(StrEnum):
    """Where a run is that waits for labels."""

    memory = "memory"
    """Its process lives and holds its node; it goes on by itself."""
    queue = "queue"
    """Its job is held in Slurm's queue; it goes on when the job is released."""
    folder = "folder"
    """Nothing but its folder is left; the command that started it goes on."""


ACTIVE_STATES = (State.running, State.stalled, State.zombie)
"""A process of it may still write; also of a run that waits for labels in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedState:
    """A state, and why."""

    state: State
    reason: str = ""
    step: int | None = None
    """The last one that counts, where the heartbeat says another."""
    waits_in: WaitsIn | None = None
    """Of a run that waits for labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvidence:
    """What is known of a run."""

    facts: RunFacts
    planned_steps: int | None
    job: QueuedJob | None
    """Its job in the queue."""
    named: str | None
    """Its newest job's name (A_T), in the queue or not."""
    submitted: bool
    """Whether it is in a submission."""
    has_slurm: bool
    """False: there is no Slurm here, so `job` says nothing."""
    now: float

    @property
    def copied_from(self) -> str | None:
        """The folder that this one is a copy of, as far as the heartbeat tells."""
        return copied_from(self.facts)

    @property
    def age(self) -> float:
        """Seconds since the heartbeat; infinite without one."""
        beat = self.facts.heartbeat
        return max(0.0, self.now - beat.time) if beat else float("inf")

    @property
    def fresh(self) -> bool:
        """Whether a process that lives has written the heartbeat."""
        beat = self.facts.heartbeat
        if beat is None or not beat.alive:
            return False
        lives = process_lives(self.facts)
        if lives is not None:
            return lives
        return self.age < max(FRESH_SECONDS, 3 * (beat.seconds_per_step or 0))

    @property
    def patience(self) -> float:
        """Seconds that the run may be silent."""
        beat = self.facts.heartbeat
        if beat is None or beat.state == "starting":
            return STARTING_SECONDS
        return max(STALLED_SECONDS, 10 * (beat.seconds_per_step or 0))


def expand_nodes(text: str) -> set[str]:
    """The nodes of Slurm's short form: `n[1-2,4],m07` is n1, n2, n4 and m07."""
    names: set[str] = set()
    for prefix, inside, suffix in re.findall(r"([^,\[\]]+)(?:\[([^\]]*)\])?([^,\[\]]*)", text):
        if not inside:
            names.add(prefix + suffix)
            continue
        for part in inside.split(","):
            first, _, last = part.partition("-")
            if not (first.isdigit() and (last or first).isdigit()):
                return {text}
            numbers = range(int(first), int(last or first) + 1)
            names |= {f"{prefix}{number:0{len(first)}}{suffix}" for number in numbers}
    return names


def format_duration(seconds: float) -> str:
    """A duration, short: 42 s, 5 min, 3 h, 2 d."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
