"""Which runs `benchmarks.policies` makes, and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.policy_arms import (
    ARMS,
    DEFAULT,
    NONE,
    RATE_LINES,
    RATES,
    REASONING_WORLD,
    UNSEEN,
    VOTE_WORLDS,
    Arm,
    StudyWorld,
)

TRAINING_PROMPTS = 979
"""Of the testbed: shares of all prompts are of these."""
STEPS = 150
BUDGET, WORLDS, REASONING = "budget", "worlds", "reasoning"
RATES_STUDY, VOTE, REUSE = "rates", "vote", "reuse"
SEEDS = {
    BUDGET: (1, 2, 3, 4, 5),
    WORLDS: (1, 2, 3),
    REASONING: (1, 2, 3),
    RATES_STUDY: (101, 102, 103, 104),
    VOTE: (1,),
    REUSE: (1, 2),
}
"""Of each study. The learning rate was chosen on seeds that no other study has."""
QUICK_SEEDS, QUICK_FIRST = 3, 201
"""How many, and the first: others than the committed table's, so that they are independent."""
RunKey = tuple[str, str, str, float, int]
"""(study, world, arm, budget, seed): what a run is known by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run of a study."""

    study: str
    world: str
    arm: str
    budget: float
    """Share of a step's prompts whose label is bought; of all prompts in the study of reuse."""
    seed: int
    overrides: tuple[str, ...]

    @property
    def key(self) -> RunKey:
        """What a line of the table is known by."""
        return self.study, self.world, self.arm, self.budget, self.seed

    @property
    def folder(self) -> str:
        """Name of its run folder."""
        name = f"{self.study}-{self.world}-{self.arm}-{self.budget:g}-{self.seed}"
        return "".join(c if c.isalnum() or c in "-." else "-" for c in name)

    def command(self, folder: Path, *, side_by_side: int) -> list[str]:
        """The module and its arguments."""
        steps = [] if self.study == REASONING else [f"steps={STEPS}"]
        return [
            "rlavr_hpc.run",
            f"run_dir={folder}",
            *steps,
            f"seed={self.seed}",
            "rollout=hf",
            "save_every=0",
            "cluster.threads=1",
            f"cluster.runs_per_node={side_by_side}",
            *self.overrides,
        ]


def planned(studies: Sequence[str], *, seeds: int) -> list[Job]:
    """All runs of the studies, so that a partial table is a fair one and says the most.

    The main policies come first, seed by seed, in the default world and all others; then the
    learning rates and the vote alone; last the other policies and the reuse of labels.

    Args:
        studies: names, keys of `SEEDS`.
        seeds: at most so many of each study's.
    """
    found = [
        (_turn(study, job), place, job)
        for study in SEEDS
        if study in studies
        for place, seed in enumerate(SEEDS[study][:seeds])
        for job in _JOBS[study](seed)
    ]
    return [job for _, _, job in sorted(found, key=lambda item: item[:2])]  # sorting is stable


def planned_quick(*, seeds: int, first_seed: int) -> list[Job]:
    """The lines that carry the story, with seeds from `first_seed` on."""
    return [
        make_job(BUDGET, DEFAULT, arm, budget, seed)
        for seed in range(first_seed, first_seed + seeds)
        for arm in ARMS
        for budget in arm.quick
    ]


def _turn(study: str, job: Job) -> int:
    """What comes first, second and last."""
    if study in (RATES_STUDY, VOTE):
        return 1
    main = {arm.name for arm in ARMS if arm.worlds}
    return 0 if study != REUSE and job.arm in main else 2


def _budget_jobs(seed: int) -> Iterator[Job]:
    for arm in ARMS:
        for budget in arm.budget:
            yield make_job(BUDGET, DEFAULT, arm, budget, seed)


def _reuse_jobs(seed: int) -> Iterator[Job]:
    for arm in ARMS:
        for budget in arm.reuse:
            yield make_job(REUSE, DEFAULT, arm, budget, seed)


def _worlds_jobs(seed: int) -> Iterator[Job]:
    for world in UNSEEN:
        for arm in ARMS:
            for budget in arm.worlds:
                yield make_job(WORLDS, world, arm, budget, seed)


def _reasoning_jobs(seed: int) -> Iterator[Job]:
    for arm in ARMS:
        for budget in arm.reasoning:
            yield make_job(REASONING, REASONING_WORLD, arm, budget, seed)


def _vote_jobs(seed: int) -> Iterator[Job]:
    [none] = (arm for arm in ARMS if arm.name == NONE)
    for world in VOTE_WORLDS:
        yield make_job(VOTE, world, none, 0.0, seed)


def _rates_jobs(seed: int) -> Iterator[Job]:
    arms = {arm.name: arm for arm in ARMS}
    for rate in RATES:
        world = StudyWorld(name=f"lr {rate}", overrides=(f"algorithm.lr={rate}",))
        for name, budget in RATE_LINES:
            yield make_job(RATES_STUDY, world, arms[name], budget, seed)


_JOBS = {
    BUDGET: _budget_jobs,
    WORLDS: _worlds_jobs,
    REASONING: _reasoning_jobs,
    RATES_STUDY: _rates_jobs,
    VOTE: _vote_jobs,
    REUSE: _reuse_jobs,
}


def make_job(study: str, world: StudyWorld, arm: Arm, budget: float, seed: int) -> Job:
    """One run of a study."""
    bought: tuple[str, ...] = () if budget in (0.0, 1.0) else (f"budget={budget}",)
    if study == REUSE:
        bought = "reuse_labels=true", f"budget_total={round(budget * TRAINING_PROMPTS)}"
    return Job(
        study=study,
        world=world.name,
        arm=arm.name,
        budget=budget,
        seed=seed,
        overrides=(*world.overrides, *arm.overrides, *bought),
    )
