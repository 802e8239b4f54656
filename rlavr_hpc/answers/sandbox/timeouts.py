"""Schedules comparisons so that a few costly answers are not compared with every other one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

RawAnswer = tuple[str, str]
"""(mode, text)."""
Pair = tuple[str, RawAnswer, RawAnswer]
"""(kind, one, other); see `equivalence`."""
FAILURES = 3
"""Timeouts with answers that were not read exactly, after which an answer is excluded."""
BUDGET = 5.0
"""CPU time, in limits of one request, that an answer's comparisons may use together."""


class TimeoutScheduler:
    """Which answers timed out in one call, and how much CPU time each has used.

    An answer that was read exactly is never at fault. Another one is excluded after one timeout
    with a partner that was read exactly, or after `FAILURES` with others. Pairs are compared in
    waves in which an answer may take part once, then twice, four times and so on, so that a costly
    answer is known after its first wave.
    """

    def __init__(self, *, cpu_seconds: float, is_exact: Callable[[RawAnswer], bool]) -> None:
        """Start with an empty record.

        Args:
            cpu_seconds: limit of one comparison.
            is_exact: whether an answer was read exactly.
        """
        self._limit, self._is_exact = cpu_seconds, is_exact
        self._failures: Counter[RawAnswer] = Counter()
        self._used: Counter[RawAnswer] = Counter()
        self._allowed = 1

    def next_wave(self, pending: Sequence[Pair]) -> tuple[list[Pair], list[Pair]]:
        """The pairs to try now, and those that wait."""
        busy: Counter[RawAnswer] = Counter()
        wave, rest = list[Pair](), list[Pair]()
        for pair in pending:
            suspects = self._suspects(pair)
            ready = all(busy[raw] < self._allowed for raw in suspects)
            (wave if ready else rest).append(pair)
            if ready:
                busy.update(suspects)
        self._allowed *= 2
        return wave, rest

    def count(self, pair: Pair, *, failed: bool, seconds: float) -> None:
        """Charge a comparison's CPU time to the answers that may be at fault."""
        suspects = self._suspects(pair)
        for raw in suspects:
            self._failures[raw] += failed * FAILURES // len(suspects)
            self._used[raw] += seconds / len(suspects) / self._limit  # type: ignore[assignment]

    def out(self, pairs: Iterable[Pair]) -> list[Pair]:
        """The pairs with an excluded answer."""
        return [pair for pair in pairs if any(map(self._is_out, pair[1:]))]

    def _is_out(self, raw: RawAnswer) -> bool:
        return self._failures[raw] >= FAILURES or self._used[raw] > BUDGET

    def _suspects(self, pair: Pair) -> list[RawAnswer]:
        return [raw for raw in pair[1:] if not self._is_exact(raw)] or list(pair[1:])
