"""The hint: a risk of collapse from what a run knows anyhow, its votes and bought labels.

Nothing is promised of how often it is wrong. The alarm in `alarm/`, which needs audits, does that.

It watches three things. *Breakage*: answers vanish or scatter (`breakage`). *Agreement*: answers
agree more and more. That happens in every run that learns; without labels that confirm the votes,
it may be wrong. *Labels*: votes are right on fewer
of the bought prompts than at their best, by more than chance explains. A policy that learns where
to buy finds more wrong votes as it gets better. For such a policy the second quantity is the gap
between the reward by the vote and the reward by the label (pseudo minus true reward).

What it cannot see: a policy that buys only where votes are wrong gets no label where they are
right, so neither quantity shows that right votes are lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt

from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.collapse.breakage import Breakage, BreakageWatch

WINDOW = 10
"""Steps of labels that are compared with earlier ones; before the first such the risk is 0."""
SMOOTHED = 5
"""Steps over which the votes' agreement is averaged."""
START = 3
"""Steps whose agreement later ones are compared with."""
FEW_LABELS = 12
"""With fewer in the window the labels say nothing."""
SURE = 1.28
"""Standard errors by which a drop must exceed chance: 90%, one-sided."""
LOST_SHARE = 0.2
"""Loss of right votes, as a share of the best, that means risk 1; the definition of collapse."""
WIDE_GAP = 0.6
"""Pseudo minus true reward on bought prompts that means risk 1, where a policy learns to buy."""
CLOSED_GAP, OPEN_GAP = 0.15, 0.30
"""Gaps at which such labels confirm the votes fully, and not at all."""
GAP_SPREAD = 0.35
"""Standard deviation of one prompt's gap: it lies between -1 and 1, mostly in 0 to 0.6."""
CONSTANT = 1e-6
"""Entropy of answers, in nats, that cannot fall: there is one answer or none from the start."""
FULL_AGREEMENT = 0.4
"""Rise of agreement, as a share of what was left to rise, that means risk 1 without labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """The risk of collapse after a step, and the reason for it."""

    risk: float = 0.0
    """0 = no sign of a collapse, 1 = collapse; at its onset a collapsing run is usually at 0.5."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEvidence:
    """What one step shows."""

    agreement: tuple[float, float, float]
    """Majority ratio, answer entropy, distinct answers."""
    bought: float
    right: float
    """Bought prompts whose vote was right."""
    gap: float
    """Pseudo minus true reward, summed over bought prompts."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Share of right votes among bought prompts, shrunk by one of each, with its variance."""

    right: float
    bought: float

    @property
    def mean(self) -> float:
        """Laplace's rule of succession."""
        return (self.right + 1.0) / (self.bought + 2.0)

    @property
    def variance(self) -> float:
        """Of a binomial share."""
        return self.mean * (1.0 - self.mean) / (self.bought + 2.0)


@dataclass(slots=True)
class EarlyWarning:
    """Watches one run; its state is a function of the rows it has seen."""

    selective: bool = False
    """The policy learns where votes are wrong and buys there."""
    alarm: Alarm = field(default_factory=Alarm)
    _evidence: list[StepEvidence] = field(default_factory=list)
    _breakage: BreakageWatch = field(default_factory=BreakageWatch)
    _first: Rate | None = None
    _best: Rate | None = None

    def replay(self, rows: Iterable[Mapping[str, float]]) -> None:
        """See the rows of earlier attempts."""
        for row in rows:
            self.observe(row)

    def observe(self, row: Mapping[str, float]) -> Alarm:
        """The risk after a step, from its row of metrics; rows without a vote are passed over."""
        if names.COLLAPSE_MAJORITY_RATIO not in row:
            return self.alarm
        self._evidence.append(_evidence_of(row))
        broken = self._breakage.observe(row)
        if len(self._evidence) >= WINDOW:
            self.alarm = self._judge(broken)
        return self.alarm

    def _judge(self, broken: Breakage) -> Alarm:
        window = self._evidence[-WINDOW:]
        bought = sum(s.bought for s in window)
        rate = Rate(sum(s.right for s in window), bought)
        by_labels, confirmed, reason = 0.0, 0.0, ""
        if bought >= FEW_LABELS and self.selective:
            by_labels, confirmed, reason = _by_gap(sum(s.gap for s in window) / bought, bought)
        elif bought >= FEW_LABELS:
            by_labels, confirmed, reason = self._by_rate(rate)
        rise = agreement_rise([s.agreement for s in self._evidence])
        by_agreement = rise / FULL_AGREEMENT * (1.0 - confirmed)
        reason = reason if by_labels >= by_agreement else self._about_agreement(rate)
        risk = min(1.0, max(by_labels, by_agreement))
        if broken.risk > risk:
            risk, reason = broken.risk, broken.reason
        return Alarm(risk=risk, reason=reason if risk > 0 else "")

    def _by_rate(self, rate: Rate) -> tuple[float, float, str]:
        """Risk, how far the labels confirm the votes, and the reason."""
        self._first = self._first or rate
        if self._best is None or rate.mean > self._best.mean:
            self._best = rate
        change = rate.mean / self._first.mean - 1.0
        confirmed = min(1.0, max(0.0, 1.0 + change / LOST_SHARE))
        reason = (
            f"votes are right on {_interval(rate)} of the prompts bought in the last {WINDOW} "
            f"steps, after {_interval(self._best)} at best"
        )
        return _sure_loss(self._best, rate) / LOST_SHARE, confirmed, reason

    def _about_agreement(self, rate: Rate) -> str:
        before = self._evidence[0].agreement
        now = self._evidence[-1].agreement
        reason = (
            f"answers agree more (majority ratio {before[0]:.2f} -> {now[0]:.2f}, distinct answers "
            f"{before[2]:.1f} -> {now[2]:.1f}), "
        )
        if rate.bought < FEW_LABELS:
            return f"{reason}and hardly any label says whether they are right"
        return f"{reason}but votes are right on only {_interval(rate)} of the bought prompts"


def first_alarm(
    rows: Sequence[Mapping[str, float]], *, threshold: float, selective: bool
) -> dict[str, float | str] | None:
    """Step, risk and reason of the first hint; None without one."""
    watch = EarlyWarning(selective=selective)
    for row in rows:
        alarm = watch.observe(row)
        if alarm.risk >= threshold:
            return {"step": row["step"], "risk": round(alarm.risk, 3), "reason": alarm.reason}
    return None


def _evidence_of(row: Mapping[str, float]) -> StepEvidence:
    right = row.get(names.LABELS_VOTE_RIGHT)
    known = row.get(names.LABELS_BOUGHT, 0.0) + row.get(names.LABELS_WRONG_VOTES, 0.0)
    bought = known if right is not None else 0.0
    return StepEvidence(
        agreement=(
            row[names.COLLAPSE_MAJORITY_RATIO],
            row[names.COLLAPSE_ANSWER_ENTROPY],
            row[names.COLLAPSE_DISTINCT_ANSWERS],
        ),
        bought=bought,
        right=bought * (right or 0.0),
        gap=bought * row.get(names.LABELS_REWARD_GAP, 0.0),
    )


def agreement_rise(history: Sequence[tuple[float, float, float]]) -> float:
    """How far majority ratio, entropy and distinct answers went from where they began to unanimity.

    Where the majority ratio did not rise, nothing agrees more: answers that vanish leave few
    distinct ones, too.

    Args:
        history: (majority ratio, answer entropy, distinct answers) of every step.

    Returns:
        Mean of the three shares, each in [0, 1].
    """
    ratio_0, entropy_0, distinct_0 = _mean(history[:START])
    ratio, entropy, distinct = _mean(history[-SMOOTHED:])
    if ratio <= ratio_0:
        return 0.0
    shares = (
        (ratio - ratio_0) / max(1.0 - ratio_0, 0.05),
        1.0 - entropy / entropy_0 if entropy_0 > CONSTANT else 0.0,
        (distinct_0 - distinct) / max(distinct_0 - 1.0, 0.05),
    )
    return sum(min(1.0, max(0.0, share)) for share in shares) / len(shares)


def _mean(rows: Sequence[tuple[float, float, float]]) -> tuple[float, float, float]:
    first, second, third = (sum(column) / len(rows) for column in zip(*rows, strict=True))
    return first, second, third


def _by_gap(gap: float, bought: float) -> tuple[float, float, str]:
    """Risk, how far the labels confirm the votes, and the reason."""
    sure = max(0.0, gap - SURE * GAP_SPREAD / sqrt(bought))
    confirmed = min(1.0, max(0.0, (OPEN_GAP - sure) / (OPEN_GAP - CLOSED_GAP)))
    reason = (
        f"responses agree with the vote {gap:.2f} more often than they are correct, on the "
        f"{bought:.0f} prompts bought in the last {WINDOW} steps"
    )
    return sure / WIDE_GAP, confirmed, reason


def _sure_loss(best: Rate, now: Rate) -> float:
    """Drop from best to now beyond what chance explains, as a share of the best."""
    chance = SURE * sqrt(best.variance + now.variance)
    return max(0.0, best.mean - now.mean - chance) / best.mean


def _interval(rate: Rate) -> str:
    spread = SURE * sqrt(rate.variance)
    low, high = max(0.0, rate.mean - spread), min(1.0, rate.mean + spread)
    return f"{rate.mean:.0%} ({low:.0%} to {high:.0%})"
