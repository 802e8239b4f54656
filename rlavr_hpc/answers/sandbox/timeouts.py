"""Keeps a few answers that are costly to compare from being compared with everybody else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

RawAnswer = tuple[str, str]
"""(mode, text)."""
Pair = tuple[str, RawAnswer, RawAnswer]
"""(kind, one, other); see `equivalence`."""
FAILURES = 3
"""Comparisons past their limit, with others of its like, after which an answer is out."""
BUDGET = 5.0
"""CPU time, in limits of one request, that an answer's comparisons may use together."""


class TimeoutScheduler:
    """The account of one call: who failed, and who used how much.

    An answer that is read exactly is never at fault; another one is, at once where its partner
    was read exactly, and after `FAILURES` among its like. Pairs go out in waves in which an answer
    may take part once, then twice, four times and so on, so that a bomb is known after its first
    wave.
    """

    def __init__(self, *, cpu_seconds: float, innocent: Callable[[RawAnswer], bool]) -> None:
        """Nobody has failed yet.

        Args:
            cpu_seconds: limit of one comparison.
            innocent: whether an answer was read exactly.
        """
        self._limit, self._innocent = cpu_seconds, innocent
        self._failures: Counter[RawAnswer] = Counter()
        self._used: Counter[RawAnswer] = Counter()
        self._allowed = 1

    def next_wave(self, pending: Sequence[Pair]) -> tuple[list[Pair], list[Pair]]:
        """The pairs to try now, and those that wait."""
        busy: Counter[RawAnswer] = Counter()
        wave, rest = list[Pair](), list[Pair]()
        for pair in pending:
            suspects = self._suspects(pair)
            ready = all(busy[source] < self._allowed for source in suspects)
            (wave if ready else rest).append(pair)
            if ready:
                busy.update(suspects)
        self._allowed *= 2
        return wave, rest

    def count(self, pair: Pair, *, failed: bool, seconds: float) -> None:
        """Charge a comparison to those who may be at fault for what it took."""
        suspects = self._suspects(pair)
        for source in suspects:
            self._failures[source] += failed * FAILURES // len(suspects)
            self._used[source] += seconds / len(suspects) / self._limit  # type: ignore[assignment]

    def out(self, pairs: Iterable[Pair]) -> list[Pair]:
        """The pairs with a member that is not tried any more."""
        return [pair for pair in pairs if any(map(self._is_out, pair[1:]))]

    def _is_out(self, source: RawAnswer) -> bool:
        return self._failures[source] >= FAILURES or self._used[source] > BUDGET

    def _suspects(self, pair: Pair) -> list[RawAnswer]:
        return [source for source in pair[1:] if not self._innocent(source)] or list(pair[1:])
