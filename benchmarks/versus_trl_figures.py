"""What `benchmarks.versus_trl` compares, and the table of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import mean, median

TARGETS = {12: 1.4, 128: 3.0}
PROMPTS, GROUP, LR, THREADS = 64, 8, 1e-4, 2
DTYPES = ("float32", "bfloat16")
ENGINES = ("hf", "vllm")
POLICIES = ("care", "full")


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the things compared."""

    engine: str
    """trl, hf or vllm."""
    dtype: str
    policy: str = "full"

    @property
    def name(self) -> str:
        """As the table shows it."""
        return f"TRL {self.dtype}" if self.engine == "trl" else f"{self.engine} {self.dtype}"


@dataclass(slots=True, kw_only=True)
class Measured:
    """Steps of one side at one length, warm-up left out."""

    seconds: list[float] = field(default_factory=list)
    lengths: list[float] = field(default_factory=list)
    trained: list[float] = field(default_factory=list)
    """Of ours: share of the responses that the update saw."""
    phases: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Of ours: phase -> seconds per step."""

    @property
    def step(self) -> float:
        """Median seconds."""
        return median(self.seconds)


Figures = Mapping[Side, Measured]


def sides() -> list[Side]:
    """TRL's two number formats, then ours in both engines with both policies."""
    ours = [
        Side(engine=engine, dtype=dtype, policy=policy)
        for policy in POLICIES
        for engine in ENGINES
        for dtype in DTYPES
    ]
    return [Side(engine="trl", dtype=dtype) for dtype in DTYPES] + ours


def ratios(figures: Figures) -> dict[tuple[str, str], float]:
    """(policy, engine) -> TRL's faster median over ours, ours in its faster number format."""
    trl = min(m.step for side, m in figures.items() if side.engine == "trl")
    return {
        (policy, engine): trl
        / min(m.step for s, m in figures.items() if (s.policy, s.engine) == (policy, engine))
        for policy in POLICIES
        for engine in ENGINES
    }


def misses(found: Mapping[tuple[str, str], float], tokens: int) -> list[str]:
    """Targets that the better engine misses, in words."""
    target = TARGETS.get(tokens)
    if target is None:
        return []
    best = {policy: max(found[policy, engine] for engine in ENGINES) for policy in POLICIES}
    return [
        f"{tokens} tokens, {policy}: {ratio:.2f} times TRL, target {target:g}"
        for policy, ratio in best.items()
        if ratio < target
    ]


def table(figures: Figures, found: Mapping[tuple[str, str], float]) -> list[str]:
    """One line a side, then the ratios."""
    lines = [
        f"{'side':14s} {'policy':7s} {'step s':>7s} {'tokens':>7s} {'trained':>7s}  of it: "
        + "  ".join(PHASES)
    ]
    for side, m in figures.items():
        split = "  ".join(f"{median(m.phases[p]):.3f}" for p in PHASES) if m.phases else ""
        policy = "-" if side.engine == "trl" else side.policy
        lines.append(
            f"{side.name:14s} {policy:7s} {m.step:7.3f} {mean(m.lengths):7.1f} "
            f"{mean(m.trained or [1.0]):7.0%}  {split}"
        )
    lines += [
        f"{policy}, {engine}: {ratio:.2f} times as fast as TRL"
        for (policy, engine), ratio in found.items()
    ]
    best = max(ENGINES, key=lambda engine: found["care", engine])
    return [*lines, f"faster here: rollout={best}"]


PHASES = ("generate", "sync", "score", "grade", "select", "train", "learn", "other")
