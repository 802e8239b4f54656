"""Which runs `benchmarks.policies` makes: policies, budgets, worlds, seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BUDGETS = (0.02, 0.05, 0.1, 0.2)
TRAINING_PROMPTS = 979
"""Of the testbed: shares of distinct prompts are of these."""
STEPS = 150
BUDGET, REUSE, VARIANTS = "budget", "reuse", "variants"
QUICK_SEEDS = 3
VARIANT_SEEDS = 3
"""At most, of each variant: each builds a base model of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One line of the study."""

    name: str
    overrides: tuple[str, ...]
    budgets: tuple[float, ...] = BUDGETS
    quick: tuple[float, ...] = ()
    """Budgets that `--quick` keeps."""


VOTES_AND_ORACLE = "cag_oracle, rest on votes"
ARMS = (
    Arm(name="none", overrides=("acquisition=none",), budgets=(0.0,), quick=(0.0,)),
    Arm(name="full", overrides=("acquisition=full",), budgets=(1.0,), quick=(1.0,)),
    Arm(name="random", overrides=("acquisition=random",), quick=(0.05, 0.1, 0.2)),
    Arm(name="entropy", overrides=("acquisition=entropy",), quick=(0.2,)),
    Arm(name="avg_prob", overrides=("acquisition=avg_prob",)),
    Arm(name="cag_oracle", overrides=("acquisition=cag_oracle",)),
    Arm(
        name=VOTES_AND_ORACLE,
        overrides=("acquisition=cag_oracle", "unlabelled=pseudo"),
        quick=(0.05, 0.1, 0.2),
    ),
    Arm(name="care", overrides=("acquisition=care",), quick=(0.05, 0.1, 0.2)),
    Arm(name="anchored", overrides=("acquisition=anchored",), quick=(0.02, 0.05, 0.1, 0.2)),
    Arm(
        name="anchored, all trusted",
        overrides=("acquisition=anchored", "acquisition.settings.threshold=-9"),
        budgets=(0.05,),
    ),
)
REUSED = ("random", "care", "anchored", VOTES_AND_ORACLE)
"""Lines of the reuse curve."""
WORLDS = {
    "misbelieved 10%": ("data.kinds=HMHHHHHHXX",),
    "misbelieved 50%": ("data.kinds=HMMHMMXX",),
    "another wrong rule": ("data.wrong_rule=1",),
    "G 4": ("algorithm.group_size=4",),
    "G 16": ("algorithm.group_size=16",),
}
IN_WORLDS = {
    "full": (1.0,),
    "random": (0.2,),
    "care": (0.1, 0.2),
    "anchored": (0.02, 0.05, 0.1),
}
"""Line -> budgets, in every world."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run of the study."""

    study: str
    """`budget`, `reuse` (where the budget is a share of all prompts), or a world's name."""
    arm: str
    budget: float
    seed: int
    overrides: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str, float, int]:
        """What a line of the table is known by."""
        return self.study, self.arm, self.budget, self.seed

    @property
    def folder(self) -> str:
        """Name of its run folder."""
        name = f"{self.study}-{self.arm}-{self.budget:g}-{self.seed}"
        return "".join(c if c.isalnum() or c in "-." else "-" for c in name)


def planned(studies: Sequence[str], seeds: int, *, quick: bool) -> list[Job]:
    """All runs of the studies, seed by seed, so that a partial table is a fair one."""
    jobs: list[Job] = []
    for seed in range(1, seeds + 1):
        if BUDGET in studies:
            jobs += [
                job(BUDGET, arm, budget, seed)
                for arm in ARMS
                for budget in (arm.quick if quick else arm.budgets)
            ]
        if REUSE in studies and not quick:
            jobs += [
                job(REUSE, arm, budget, seed)
                for arm in ARMS
                if arm.name in REUSED
                for budget in BUDGETS
            ]
        if VARIANTS in studies and not quick and seed <= VARIANT_SEEDS:
            jobs += [
                job(world, arm, budget, seed)
                for world in WORLDS
                for arm in ARMS
                for budget in IN_WORLDS.get(arm.name, ())
            ]
    return jobs


def job(study: str, arm: Arm, budget: float, seed: int) -> Job:
    """One run of a study."""
    bought: tuple[str, ...] = () if budget in (0.0, 1.0) else (f"budget={budget}",)
    if study == REUSE:
        bought = "reuse_labels=true", f"budget_total={round(budget * TRAINING_PROMPTS)}"
    return Job(
        study=study,
        arm=arm.name,
        budget=budget,
        seed=seed,
        overrides=(*arm.overrides, *bought, *WORLDS.get(study, ())),
    )
