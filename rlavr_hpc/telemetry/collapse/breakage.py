"""Signs, without any label, that a policy breaks: answers vanish, or agree less than they did.

A run that forgets how to answer does not agree more and more, as one does that locks in on a wrong
belief. Its responses state no answer, run into the length limit, scatter, or its gradients blow up.
Each sign counts by how far it went beyond what its own noise explains.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import log10, sqrt
from statistics import fmean, median

from rlavr_hpc.telemetry import names

START, WINDOW = 3, 10
"""First steps, and last ones, which are compared with those and with the best window before."""
RECENT = 40
"""Steps from which the noise is told."""
SURE = 3.0
"""Standard errors of the difference that are let pass: the best of many windows is one by luck."""
LOST_ANSWERS = 0.5
"""Rise of the share of responses without an answer that means risk 1."""
RAN_ON = 0.8
"""Rise of the share of responses at their length limit that means risk 1."""
LOST_AGREEMENT = 0.6
"""Fall of the majority ratio, as a share of the best, that means risk 1."""
QUIET = 20
"""Steps whose gradients are the measure of later ones."""
BLOWN_UP = 100.0
"""Times the usual gradient norm, kept for three steps, that means risk 1."""
LASTING = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakage:
    """The risk that a policy breaks, and the sign that shows it most."""

    risk: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """A share of responses or groups that should not move one way."""

    metric: str
    title: str
    rises: bool
    whole: float
    """Change that means risk 1."""
    relative: bool = False
    """As a share of the best."""


SIGNS = (
    Sign(
        metric=names.COLLAPSE_UNPARSABLE,
        title="responses without an answer",
        rises=True,
        whole=LOST_ANSWERS,
    ),
    Sign(
        metric=names.COLLAPSE_TRUNCATED,
        title="responses cut off at their limit",
        rises=True,
        whole=RAN_ON,
    ),
    Sign(
        metric=names.COLLAPSE_MAJORITY_RATIO,
        title="answers that agree with their vote",
        rises=False,
        whole=LOST_AGREEMENT,
        relative=True,
    ),
)
READ = (*(sign.metric for sign in SIGNS), names.TRAIN_GRAD_NORM)
"""What it reads of a row."""


@dataclass(slots=True)
class SignWatch:
    """One sign over a run: its last steps, and the best that was before them."""

    sign: Sign
    _last: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    _first: list[float] = field(default_factory=list)
    _means: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW + 1))
    _best: float | None = None

    def observe(self, value: float) -> Breakage:
        """How far the last window is from the best one before it, and from the first steps."""
        self._last.append(value)
        if len(self._first) < START:
            self._first.append(value)
        if len(self._last) < START + WINDOW:
            return Breakage()
        now = fmean(list(self._last)[-WINDOW:])
        self._means.append(now)
        if len(self._means) > WINDOW:
            self._best = self._better(self._best, self._means[0])
        spread = noise(self._last)
        found = [self._moved(fmean(self._first), now, spread * sqrt(1 / START + 1 / WINDOW))]
        if self._best is not None:
            found.append(self._moved(self._best, now, spread * sqrt(2 / WINDOW)))
        return max(found, key=lambda breakage: breakage.risk)

    def _better(self, one: float | None, other: float) -> float:
        if one is None:
            return other
        return min(one, other) if self.sign.rises else max(one, other)

    def _moved(self, best: float, now: float, error: float) -> Breakage:
        moved = now - best if self.sign.rises else best - now
        scale = self.sign.whole * (best if self.sign.relative and best else 1.0)
        return Breakage(
            risk=min(1.0, max(0.0, (moved - SURE * error) / scale)),
            reason=f"{self.sign.title} {best:.0%} -> {now:.0%} in the last {WINDOW} steps",
        )


@dataclass(slots=True)
class GradientWatch:
    """Gradients far beyond those of the first steps, for some steps in a row."""

    _first: list[float] = field(default_factory=list)
    _last: deque[float] = field(default_factory=lambda: deque(maxlen=LASTING))

    def observe(self, norm: float) -> Breakage:
        """How many times the usual norm the last ones all are, on a logarithmic scale."""
        if len(self._first) < QUIET:
            self._first.append(norm)
            return Breakage()
        self._last.append(norm)
        usual, lasting = median(self._first), min(self._last)
        if len(self._last) < LASTING or usual <= 0.0 or lasting <= usual:
            return Breakage()
        return Breakage(
            risk=min(1.0, log10(lasting / usual) / log10(BLOWN_UP)),
            reason=f"gradients are {lasting / usual:.0f} times those of the first {QUIET} steps",
        )


@dataclass(slots=True)
class BreakageWatch:
    """Watches one run; its state is a function of the rows it has seen."""

    _signs: list[SignWatch] = field(default_factory=lambda: [SignWatch(sign) for sign in SIGNS])
    _gradients: GradientWatch = field(default_factory=GradientWatch)

    def observe(self, row: Mapping[str, float]) -> Breakage:
        """The clearest sign after a step, from its row of metrics."""
        found = [
            watch.observe(row[watch.sign.metric])
            for watch in self._signs
            if watch.sign.metric in row
        ]
        if names.TRAIN_GRAD_NORM in row:
            found.append(self._gradients.observe(row[names.TRAIN_GRAD_NORM]))
        return max(found, key=lambda breakage: breakage.risk, default=Breakage())


def noise(values: Iterable[float]) -> float:
    """Standard deviation of a step, from the median squared difference of neighbours.

    The median of squared differences of normal values is 0.4549 times twice their variance; one
    jump among them does not move it.
    """
    squares = [(after - before) ** 2 for before, after in pairwise(values)]
    return sqrt(median(squares) / (2.0 * 0.4549)) if squares else 0.0
