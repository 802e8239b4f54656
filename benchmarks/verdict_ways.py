"""How the runs of `benchmarks.verdicts` are sound, and in which ten ways they are broken.

Nothing of the verdicts, the hint or the alarm was chosen on the worlds A and B.
"""

from __future__ import annotations

from dataclasses import dataclass

from rlavr_hpc.telemetry.collapse.verdict import Fault

BREAK = 60
"""The last sound step of runs that break half-way."""
LR, HIGH_LR, SMALL_LR, FROZEN_LR = "5e-4", "0.05", "2e-5", "1e-12"
"""Of AdamW: the testbed's, one that destroys the model, a small one, and none to speak of."""
WORLDS = {
    "A": ("HHMXHMHX", 3),
    "B": ("HMMHXMXM", 0),
    "default": ("HMHHMHXX", 0),
}
"""Name -> `data.kinds` and `data.wrong_rule`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a run is, or how it is broken."""

    name: str
    policy: str
    world: str
    settings: tuple[str, ...] = ()
    """Overrides from the start."""
    later: tuple[tuple[str, ...], ...] = ()
    """Overrides of the parts of the run after step `BREAK`; all but the last last `SPIKE` steps."""
    expected: frozenset[Fault] = frozenset()
    """One of these is to be told; empty = the run is sound."""
    labels: str | None = None
    """File with its training labels; None = the testbed's own, which are true."""

    @property
    def sound(self) -> bool:
        """Nothing is wrong with it."""
        return not self.expected

    @property
    def begins(self) -> int:
        """The first step that is broken."""
        return BREAK + 1 if self.later else 1


def _lr(value: str) -> tuple[str, ...]:
    return (f"algorithm.lr={value}",)


FALLEN = frozenset({Fault.collapsed, Fault.lost_accuracy})
SOUND = (
    Way(name="healthy", policy="full", world="A"),
    Way(name="healthy", policy="care", world="B"),
    Way(name="frozen", policy="care", world="A", settings=_lr(FROZEN_LR)),
    Way(name="small learning rate", policy="full", world="B", settings=_lr(SMALL_LR)),
    Way(name="healthy", policy="full", world="B"),
    Way(name="healthy", policy="care", world="A"),
    Way(name="healthy", policy="anchored", world="A"),
    Way(name="healthy", policy="anchored", world="B"),
    Way(name="healthy", policy="random", world="A"),
    Way(name="frozen", policy="anchored", world="B", settings=_lr(FROZEN_LR)),
    Way(name="frozen", policy="random", world="A", settings=_lr(FROZEN_LR)),
    Way(name="frozen", policy="none", world="B", settings=_lr(FROZEN_LR)),
    Way(name="small learning rate", policy="care", world="A", settings=_lr(SMALL_LR)),
    Way(name="small learning rate", policy="anchored", world="A", settings=_lr(SMALL_LR)),
    Way(name="small learning rate", policy="random", world="B", settings=_lr(SMALL_LR)),
)
"""Each with every batch."""
BROKEN = (
    Way(
        name="learning rate of 0.05",
        policy="care",
        world="B",
        settings=_lr(HIGH_LR),
        expected=FALLEN,
    ),
    Way(
        name="learning rate of 0.05 in steps 61 to 63",
        policy="anchored",
        world="A",
        later=(_lr(HIGH_LR), _lr(LR)),
        expected=FALLEN,
    ),
    Way(
        name="reward of wrong sign for trusted votes from step 61 on",
        policy="care",
        world="A",
        later=(("reward.name=turned", "reward.target=benchmarks.broken_parts:TurnedVoteReward"),),
        expected=FALLEN,
    ),
    Way(
        name="loss that unlearns the end",
        policy="random",
        world="B",
        settings=(
            "algorithm.loss.name=endless",
            "algorithm.loss.target=benchmarks.broken_parts:EndlessLoss",
        ),
        expected=frozenset({Fault.stopped_ending}),
    ),
    Way(
        name="parser that looks elsewhere from step 61 on",
        policy="care",
        world="B",
        later=(("grading.extract=hashes",),),
        expected=frozenset({Fault.stopped_answering}),
    ),
    Way(name="shuffled labels", policy="full", world="A", labels="shuffled", expected=FALLEN),
    Way(name="one label for all", policy="full", world="B", labels="same", expected=FALLEN),
    Way(name="votes only", policy="none", world="default", expected=FALLEN),
    Way(
        name="labels that nothing can equal",
        policy="full",
        world="A",
        labels="unearned",
        expected=frozenset({Fault.learnt_nothing}),
    ),
    Way(
        name="temperature of 20",
        policy="random",
        world="A",
        settings=("rollout.temperature=20",),
        expected=frozenset({Fault.graded_nothing}),
    ),
)
"""Each with every batch, every run with a seed of its own."""
