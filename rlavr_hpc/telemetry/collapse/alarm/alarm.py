"""The collapse alarm: three bounds on audited votes that share one rate of false alarms.

`first`: in the first pass over the data, votes on kept prompts are right less often than 0.9 of
their best. `pairs`: in later passes, fewer of the kept prompts' votes are right than in an earlier
one. `trust`: the votes that the acquisition policy trusts are right less often than a floor. With
chance `false_alarm` at most, over all steps together and whatever stops the run, the alarm is
raised although none of this holds. Its state is a function of the audits that it has seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import log
from typing import Any

from rlavr_hpc.telemetry.collapse.alarm.best_so_far import BestSoFar
from rlavr_hpc.telemetry.collapse.alarm.certificate import Certificate
from rlavr_hpc.telemetry.collapse.alarm.floor import FloorTest
from rlavr_hpc.telemetry.collapse.alarm.pairs import KEPT_SHARE, PairsTest, reference_weights
from rlavr_hpc.telemetry.collapse.alarm.plan import AlarmBound, AlarmPlan, RaisedAlarm

BEST_LEVEL = 0.2
"""Of the level of `first`, what the bound on the best may be wrong with; the rest is the test's."""
RECENT = 20
"""Audits that an alarm's reason counts."""


@dataclass(slots=True, kw_only=True)
class CollapseAlarm:
    """Watches one branch of a run."""

    plan: AlarmPlan
    raised: RaisedAlarm | None = None
    certificate: Certificate = field(default_factory=Certificate)
    """Of the trusted votes."""
    _first: FloorTest = field(init=False)
    _best: BestSoFar = field(init=False)
    _trust: FloorTest = field(init=False)
    _pairs: PairsTest | None = None
    _seen: dict[int, dict[str, bool]] = field(default_factory=dict)
    """Pass -> kept prompt -> whether its vote was right; of the passes still compared with."""
    _recent: dict[AlarmBound, list[bool]] = field(default_factory=dict)
    """The newest audits of `first` and `trust`."""
    _last_pass: float = 0.0
    """Evidence of kept prompts at the end of the pass before."""

    def __post_init__(self) -> None:
        """Nothing is known yet."""
        level = self.plan.levels.get(AlarmBound.first, self.plan.false_alarm)
        self._first = FloorTest(planned=self.plan.planned_first)
        self._best = BestSoFar(level=BEST_LEVEL * level)
        self._trust = FloorTest(planned=self.plan.planned_used)

    def observe(self, step: int, *, kept: Mapping[str, bool], used: Sequence[bool]) -> None:
        """See the audits of a step, in the order of the run.

        Args:
            step: the step.
            kept: of its kept prompts, whether their vote is right.
            used: whether the trusted votes drawn in it are right.
        """
        levels, number = self.plan.levels, self.plan.pass_of(step)
        if AlarmBound.first in levels:
            if number == 1:
                self._see_first(kept)
            else:
                self._see_again(number, kept)
            self._seen.setdefault(number, {}).update(kept)
        if AlarmBound.trust in levels:
            self._see_trusted(used)
        if self.raised is None:
            self.raised = next(self._fallen(step), None)

    def _see_first(self, kept: Mapping[str, bool]) -> None:
        floor = KEPT_SHARE * float(self._best.low)  # before the step is seen
        for right in kept.values():
            self._first.bet(right, floor=floor)
            self._note(AlarmBound.first, right)
        for right in kept.values():
            self._best.see(right)

    def _see_again(self, number: int, kept: Mapping[str, bool]) -> None:
        if self._pairs is None or self._pairs.pass_number != number:
            self._last_pass = self._evidence_of_kept()
            self._pairs = PairsTest(pass_number=number, steps=self.plan.steps_per_pass)
            compared = {number, *reference_weights(number + 1)}
            self._seen = {p: votes for p, votes in self._seen.items() if p in compared}
        self._pairs.begin_step()
        for earlier in self._pairs.references:
            then = self._seen.get(earlier, {})
            again = [prompt for prompt in kept if prompt in then]
            if again:
                self._pairs.bet(
                    earlier,
                    before_M=[float(then[prompt]) for prompt in again],
                    now_M=[float(kept[prompt]) for prompt in again],
                )

    def _see_trusted(self, used: Sequence[bool]) -> None:
        for right in used:
            self._trust.bet(right, floor=self.plan.trust_floor)
            self.certificate.see(right)
            self._note(AlarmBound.trust, right)

    def _note(self, bound: AlarmBound, right: bool) -> None:
        self._recent[bound] = [*self._recent.get(bound, []), right][-RECENT:]

    def _fallen(self, step: int) -> Iterator[RaisedAlarm]:
        for bound, share in self._evidence().items():
            if share >= 1.0:
                yield RaisedAlarm(step=step, bound=bound, reason=self._reason(bound))

    def _evidence(self) -> dict[AlarmBound, float]:
        """Of each bound, the log of its wealth over that at which the alarm is raised."""
        levels = self.plan.levels
        found = {}
        if AlarmBound.first in levels:
            found[AlarmBound.first if self._pairs is None else AlarmBound.pairs] = (
                self._evidence_of_kept()
            )
        if AlarmBound.trust in levels:
            found[AlarmBound.trust] = _share(float(self._trust.wealth), levels[AlarmBound.trust])
        return found

    def _evidence_of_kept(self) -> float:
        """Of this pass."""
        if self._pairs is None:
            level = (1.0 - BEST_LEVEL) * self.plan.levels[AlarmBound.first]
            return _share(float(self._first.wealth), level)
        level = self.plan.level_of_pass(self._pairs.pass_number)
        return _share(float(self._pairs.wealth), level)

    @property
    def evidence(self) -> float:
        """How far the alarm is from being raised: 0 = no evidence of a loss, 1 = it is raised."""
        if self.raised is not None:
            return 1.0
        return min(1.0, max(0.0, self._last_pass, *self._evidence().values()))

    @property
    def told(self) -> str:
        """The raised alarm in a sentence; "" while it is silent."""
        if self.raised is None:
            return ""
        return f"collapse alarm at step {self.raised.step}: {self.raised.reason}"

    @property
    def status(self) -> str:
        """What audits say until now: the alarm, and what is certified; "" = nothing yet."""
        return "; ".join(
            filter(None, (self.told, self.certificate.words(level=self.plan.false_alarm)))
        )

    @property
    def certified(self) -> float:
        """Share of trusted votes that were right on average, at least; 0 = nothing is certified."""
        return self.certificate.share(level=self.plan.false_alarm)

    def _reason(self, bound: AlarmBound) -> str:
        if bound is AlarmBound.pairs:
            return self._reason_of_pairs()
        recent = self._recent[bound]
        lately = f"right on {sum(recent)} of the last {len(recent)} audited"
        if bound is AlarmBound.trust:
            return f"trusted votes fell below trust_floor={self.plan.trust_floor:g}: {lately}"
        best = float(self._best.low)
        return f"votes fell below {KEPT_SHARE:g} of their best: {lately}, over {best:.0%} at best"

    def _reason_of_pairs(self) -> str:
        assert self._pairs is not None
        earlier, number = self._pairs.strongest, self._pairs.pass_number
        then, now = self._seen.get(earlier, {}), self._seen.get(number, {})
        both = [prompt for prompt in now if prompt in then]
        return (
            f"fewer votes are right than in pass {earlier}: of the same {len(both)} prompts "
            f"{sum(then[p] for p in both)} then, {sum(now[p] for p in both)} in pass {number}"
        )

    def state(self) -> dict[str, Any]:
        """For a checkpoint: plain numbers and texts, exact in JSON."""
        return {
            "plan": asdict(self.plan),
            "raised": None if self.raised is None else asdict(self.raised),
            "certificate": self.certificate.state(),
            "first": self._first.state(),
            "best": self._best.state(),
            "trust": self._trust.state(),
            "pairs": None if self._pairs is None else self._pairs.state(),
            "seen": {str(number): dict(votes) for number, votes in self._seen.items()},
            "recent": {str(bound): list(votes) for bound, votes in self._recent.items()},
            "last_pass": self._last_pass,
        }

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> CollapseAlarm:
        """The inverse of `state`; KeyError, TypeError or ValueError where it is none."""
        raised, pairs = state["raised"], state["pairs"]
        alarm = cls(
            plan=AlarmPlan(**state["plan"]),
            raised=None
            if raised is None
            else RaisedAlarm(**{**raised, "bound": AlarmBound(raised["bound"])}),
            certificate=Certificate.load(state["certificate"]),
            _pairs=None if pairs is None else PairsTest.load(pairs),
            _seen={int(number): dict(votes) for number, votes in state["seen"].items()},
            _recent={AlarmBound(bound): list(votes) for bound, votes in state["recent"].items()},
            _last_pass=float(state["last_pass"]),
        )
        alarm._first = FloorTest.load(state["first"])
        alarm._best = BestSoFar.load(state["best"])
        alarm._trust = FloorTest.load(state["trust"])
        return alarm


def _share(wealth: float, level: float) -> float:
    """Log wealth over the log wealth at which a bound has fallen."""
    return log(max(wealth, 1.0)) / -log(level)
