"""What the studies of `benchmarks.policies` compare: policies, and worlds.

A policy is one entry of `ARMS`, which says at which budgets each study runs it. A world is one
entry of a constant.
"""

from __future__ import annotations

from dataclasses import dataclass

BUDGETS = (0.02, 0.05, 0.1, 0.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One policy, and the budgets at which each study runs it; 0 = no label, 1 = all."""

    name: str
    overrides: tuple[str, ...]
    budget: tuple[float, ...] = BUDGETS
    """In the default world."""
    reuse: tuple[float, ...] = ()
    """As shares of all prompts, where labels are reused."""
    worlds: tuple[float, ...] = ()
    """In worlds that nobody tuned on. Policies that go there are the main ones: they run first."""
    reasoning: tuple[float, ...] = ()
    """In the testbed with worked steps."""
    quick: tuple[float, ...] = ()
    """With `--quick`, in the default world."""


NONE, FULL, RANDOM, CARE, ANCHORED, CHECKED = (
    "none",
    "full",
    "random",
    "care",
    "anchored",
    "checked",
)
VOTES_AND_ORACLE = "cag_oracle, rest on votes"
ARMS = (
    Arm(
        name=NONE,
        overrides=("acquisition=none",),
        budget=(0.0,),
        worlds=(0.0,),
        reasoning=(0.0,),
        quick=(0.0,),
    ),
    Arm(
        name=FULL,
        overrides=("acquisition=full",),
        budget=(1.0,),
        worlds=(1.0,),
        reasoning=(1.0,),
        quick=(1.0,),
    ),
    Arm(
        name=RANDOM,
        overrides=("acquisition=random",),
        reuse=BUDGETS,
        worlds=(0.05, 0.1),
        reasoning=(0.05, 0.1),
        quick=(0.05, 0.1),
    ),
    Arm(
        name=CARE,
        overrides=("acquisition=care",),
        reuse=BUDGETS,
        worlds=(0.05, 0.1),
        reasoning=(0.05, 0.1),
        quick=(0.05, 0.1),
    ),
    Arm(
        name=ANCHORED,
        overrides=("acquisition=anchored",),
        reuse=BUDGETS,
        worlds=(0.05, 0.1),
        reasoning=(0.05, 0.1),
        quick=(0.05,),
    ),
    Arm(
        name=CHECKED,
        overrides=("acquisition=checked",),
        reuse=BUDGETS,
        worlds=(0.02, 0.05, 0.1),
        reasoning=(0.05, 0.1),
        quick=(0.02, 0.05, 0.1),
    ),
    Arm(name="entropy", overrides=("acquisition=entropy",)),
    Arm(name="avg_prob", overrides=("acquisition=avg_prob",)),
    Arm(name="cag_oracle", overrides=("acquisition=cag_oracle",)),
    Arm(
        name=VOTES_AND_ORACLE,
        overrides=("acquisition=cag_oracle", "unlabelled=pseudo"),
        reuse=BUDGETS,
    ),
    Arm(
        name="anchored, all trusted",
        overrides=("acquisition=anchored", "acquisition.settings.threshold=-9"),
        budget=(0.05,),
    ),
)
PAIRS = ((CHECKED, CARE), (CHECKED, RANDOM), (CARE, RANDOM), (ANCHORED, CARE))
"""Policies that the documentation compares, the one that is claimed to be better first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyWorld:
    """Data and the model that has read it."""

    name: str
    overrides: tuple[str, ...] = ()


def variant(kinds: str, wrong_rule: int, *, steps: int | None = None) -> StudyWorld:
    """A variant of the testbed; `steps` of pre-training, if not the default."""
    read = () if steps is None else (f"model.pretrain_steps={steps}",)
    return StudyWorld(
        name=f"{kinds} rule {wrong_rule}" + (f", {steps} steps read" if steps else ""),
        overrides=(f"data.kinds={kinds}", f"data.wrong_rule={wrong_rule}", *read),
    )


DEFAULT = StudyWorld(name="default")
REASONING_WORLD = StudyWorld(name="reasoning", overrides=("experiment=reasoning",))
UNSEEN = tuple(
    variant(kinds, rule)
    for kinds, rule in (
        ("MXHMHHXM", 2),
        ("XHMHMXHM", 3),
        ("HHMXMHXH", 0),
        ("HMXHMMXH", 1),
        ("MHMXHXMH", 0),
    )
)
"""On which nothing was chosen: no setting of a policy, no learning rate, no threshold."""
VOTE_LAYOUTS = ("HMHHMHXX", "MHHXHMHX", "HMMHXMXM", "HHXHMHHX")
"""Two, two, four and one misbelieved of eight families; the first is the default world's."""
VOTE_RULES = (0, 1)
VOTE_READ = (1000, 2000)
"""Steps of pre-training: how firmly the model holds its beliefs."""
VOTE_WORLDS = tuple(
    variant(kinds, rule, steps=steps)
    for steps in VOTE_READ
    for kinds in VOTE_LAYOUTS
    for rule in VOTE_RULES
)
"""To say what makes the majority vote help or harm."""
RATES = ("2.5e-4", "5e-4", "7.5e-4", "1e-3")
"""Learning rates of the policy."""
RATE_LINES = ((FULL, 1.0), (RANDOM, 0.1))
"""By which the learning rate was chosen."""
