"""The runs of `benchmarks.verdicts`: sixty sound ones, and forty that are broken in ten ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.broken_parts import TRUE_LABELS
from benchmarks.verdict_ways import BREAK, BROKEN, LR, SOUND, WORLDS, Way

STEPS = 150
BATCHES = (4, 8, 16, 64)
SPIKE = 3
"""Steps of a spike of the learning rate."""
POLICIES: Mapping[str, tuple[str, ...]] = {
    "full": ("acquisition=full", "warning.audit=kept"),
    "care": ("acquisition=care", "budget=0.2", "warning.audit=both"),
    "anchored": ("acquisition=anchored", "budget=0.1", "warning.audit=both"),
    "random": ("acquisition=random", "budget=0.2", "warning.audit=kept"),
    "none": ("acquisition=none", "warning.audit=kept"),
}
SOUND_SEED, BROKEN_SEED = 301, 401
"""First seeds: every run has its own."""
QUICK_BATCHES, QUICK_SOUND = (8, 64), 4
"""Sound runs of a quick study: with these batches, the first of `SOUND`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictJob:
    """One run."""

    way: Way
    batch: int
    seed: int

    @property
    def name(self) -> str:
        """Of its folder: the seed alone is unique."""
        letters = "".join(c if c.isalnum() else "-" for c in self.way.name)
        return f"{self.seed}-{letters}-{self.way.policy}-{self.batch}"

    @property
    def world(self) -> tuple[str, int]:
        """`data.kinds` and `data.wrong_rule`."""
        return WORLDS[self.way.world]

    def parts(self, files: Path) -> list[tuple[int | None, list[str]]]:
        """Of each part of the run: after how many steps it is stopped, and its overrides.

        Args:
            files: folder of the files with bad labels.
        """
        settings = list(self.way.settings)
        stops = [BREAK, *[SPIKE] * (len(self.way.later) - 1)] if self.way.later else []
        changed = [list(part) for part in self.way.later]
        keys = sorted({_changed(one) for part in changed for one in part})
        allowed = [f"allow_change=[{','.join(keys)}]"]
        return [
            (stop, [*self._common(files), *part])
            for stop, part in zip(
                [*stops, None],
                [settings, *([*settings, *part, *allowed] for part in changed)],
                strict=True,
            )
        ]

    def _common(self, files: Path) -> list[str]:
        kinds, wrong_rule = self.world
        return [
            f"seed={self.seed}",
            f"steps={STEPS}",
            "rollout=hf",
            "save_every=0",
            "cluster.threads=1",
            f"algorithm.batch={self.batch}",
            f"algorithm.lr={LR}",
            *POLICIES[self.way.policy],
            *_data(files, self.way.labels),
            f"data.kinds={kinds}",
            f"data.wrong_rule={wrong_rule}",
        ]


def _data(files: Path, labels: str | None) -> list[str]:
    """The testbed's questions from a file, with the testbed's settings."""
    if labels is None:
        return []
    return [
        "data=jsonl",
        f"data.path={files / labels}.jsonl",
        f"data.eval_path={files / TRUE_LABELS}.jsonl",
        "data.task=math",
        "data.chat_template=none",
        "grading.extract=boxed",
        "grading.thoughts=read",
        "reuse_labels=false",
    ]


def _changed(override: str) -> str:
    """What `allow_change` has to name."""
    key = override.partition("=")[0]
    return key if key.startswith("algorithm.") else key.partition(".")[0]


def planned(*, quick: bool) -> list[VerdictJob]:
    """All runs, or eight sound ones and one of each way to break them."""
    sound = [
        VerdictJob(way=way, batch=batch, seed=SOUND_SEED + len(SOUND) * place + number)
        for place, batch in enumerate(BATCHES)
        for number, way in enumerate(SOUND)
        if not quick or (batch in QUICK_BATCHES and number < QUICK_SOUND)
    ]
    broken = [
        VerdictJob(way=way, batch=batch, seed=BROKEN_SEED + len(BROKEN) * place + number)
        for place, batch in enumerate(BATCHES)
        for number, way in enumerate(BROKEN)
        if not quick or place == number % len(BATCHES)
    ]
    return _in_turn(sound, broken)


def _in_turn(first: Sequence[VerdictJob], second: Sequence[VerdictJob]) -> list[VerdictJob]:
    """Both spread evenly, so that a study that is stopped early is a fair one."""
    placed = [
        ((place + 0.5) / len(jobs), job)
        for jobs in (first, second)
        for place, job in enumerate(jobs)
    ]
    return [job for _, job in sorted(placed, key=lambda pair: pair[0])]
