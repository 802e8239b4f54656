"""Which runs `benchmarks.resume` kills, and where."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.kill_holds import Point
from benchmarks.kill_tables import HF, KINDS, PHASES, STEPS, Kind
from benchmarks.killing import Trial

KILLS_PER_RUN = 5
FARTHEST = 6
"""Steps that a start may go before it is killed: more than lie between two checkpoints."""
ALONE = 1 / 3
"""Share of the kills on two ranks that hit one rank alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A run, and in which phases it is to be killed."""

    name: str
    kind: Kind
    seed: int
    phases: tuple[str, ...]


def deck(kills: int) -> list[str]:
    """So many phases in proportion to their weights, the largest remainders first."""
    whole = sum(phase.weight for phase in PHASES.values())
    exact = {name: kills * phase.weight / whole for name, phase in PHASES.items()}
    counts = {name: int(share) for name, share in exact.items()}
    by_remainder = sorted(PHASES, key=lambda name: counts[name] - exact[name])
    for name in by_remainder[: kills - sum(counts.values())]:
        counts[name] += 1
    return [name for name, count in counts.items() for _ in range(count)]


def missing_phases(kills: int, trials: Sequence[Trial]) -> list[str]:
    """What is to be done: all at first, then the points that were passed over."""
    if not trials:
        return deck(kills)
    left = kills - sum(len(trial.kills) for trial in trials)
    return [phase for trial in trials for phase in trial.unhit][-left:] if left else []


def deal(phases: Sequence[str], rng: random.Random, *, first_run: int, again: bool) -> list[Task]:
    """Spread the phases over the kinds, by their shares, and over runs."""
    compilations = [phase for phase in phases if phase == "compile"]
    others = [phase for phase in phases if phase != "compile"]
    rng.shuffle(others)
    rest = compilations + others  # compilations do not depend on the kind, so the cheapest has them
    tasks: list[Task] = []
    for kind in (HF,) if again else KINDS:
        last = again or kind is KINDS[-1]
        count = len(rest) if last else min(len(rest), max(1, round(kind.share * len(phases))))
        mine, rest = rest[:count], rest[count:]
        rng.shuffle(mine)
        runs = -(-len(mine) // KILLS_PER_RUN)
        for number in range(runs):
            ordered = sorted(mine[number::runs], key=lambda name: PHASES[name].late)
            tasks.append(
                Task(
                    name=f"{kind.name.replace(', ', '-').replace(' ', '-')}-{first_run:03d}",
                    kind=kind,
                    seed=kind.seeds[number % len(kind.seeds)],
                    phases=tuple(ordered),
                )
            )
            first_run += 1
    return tasks


def draw_point(trial: Trial, phase: str, rng: random.Random) -> Point:
    """A random moment of a phase that the run, as it stands, has still before it."""
    about, kind = PHASES[phase], trial.kind
    low, high = (0.0, kind.startup) if phase == "start-up" else about.delay
    left = STEPS - trial.newest_step()
    skip = rng.randint(0, about.most if left > STEPS // 2 else 0)
    if about.per_step:
        steps = rng.randint(1, max(1, min(left, FARTHEST)))
        skip = (steps - 1) * about.per_step + rng.randrange(about.per_step)
    return trial.point(
        phase,
        skip=skip,
        delay=rng.uniform(low, high),
        cut=rng.random(),
        rank=rng.randrange(kind.ranks) if about.every_rank else 0,
        alone=kind.ranks > 1 and rng.random() < ALONE,
    )
