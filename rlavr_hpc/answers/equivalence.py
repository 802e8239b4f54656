"""When two math answers are equal: exactly where we can read them, by math-verify elsewhere.

What was found is remembered per distinct text, within a bound on memory. Text that is hostile or
unknown is only ever read in a grader's process.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachetools import LRUCache

from rlavr_hpc.answers.answer_cache import remember, size_of_pair, size_of_parsed
from rlavr_hpc.answers.answer_rules import AnswerRules, Graders
from rlavr_hpc.answers.exact.compare import NEAR, approximate, equal_exactly, equal_to_known
from rlavr_hpc.answers.exact.read import Form, read_exact
from rlavr_hpc.answers.sandbox.protocol import GAVE_UP, LATEX, MATCHES, READ, SAME, TEXT
from rlavr_hpc.answers.sandbox.timeouts import Pair, RawAnswer, TimeoutScheduler

if TYPE_CHECKING:
    from rlavr_hpc.answers.sandbox.process import Request

CACHE_BYTES = 64 << 20
"""Bound on what is remembered, about; half for readings, half for comparisons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedAnswer:
    """What a text says."""

    raw: RawAnswer
    key: Hashable
    """The same for texts that surely say the same."""
    shown: str
    """The answer: the text itself, or what was found in it."""
    exact: Form | None = None
    comparable: bool = True
    """False for what is no mathematics: two of these are equal only with equal keys."""
    value: complex | None = None
    """Of a number."""
    literal: bool = False
    """True when only an equal key is equal: a word, or a calculation that is not evaluated."""
    gave_up: bool = False
    """True when reading it passed a limit: the answer is ungradable."""


class Equality:
    """Reads and compares answers, in bulk."""

    def __init__(
        self,
        start_pool: Callable[[], Graders],
        *,
        rules: AnswerRules | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        """Nothing is started before the first text that needs it.

        Args:
            start_pool: makes the graders.
            rules: None = mathematics.
            cache_bytes: bound on what is remembered.
        """
        self._start_pool, self._rules = start_pool, rules or MATH
        self._pool: Graders | None = None
        self._readings: LRUCache[RawAnswer, tuple[RawAnswer, ParsedAnswer | None]] = LRUCache(
            cache_bytes // 2, getsizeof=size_of_parsed
        )
        self._pairs: LRUCache[Pair, tuple[Pair, float | None, float]] = LRUCache(
            cache_bytes // 2, getsizeof=size_of_pair
        )

    @property
    def pool(self) -> Graders:
        """The graders, started now if they were not."""
        if self._pool is None:
            self._pool = self._start_pool()
        return self._pool

    @property
    def cache_bytes(self) -> int:
        """About how much memory the caches hold."""
        return int(self._readings.currsize + self._pairs.currsize)

    def close(self) -> None:
        """End the graders."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def read(self, raw_answers: Iterable[RawAnswer]) -> dict[RawAnswer, ParsedAnswer | None]:
        """What each text says; None where there is no answer in it."""
        found: dict[RawAnswer, ParsedAnswer | None] = {}
        unknown: list[RawAnswer] = []
        for raw in dict.fromkeys(raw_answers):
            if raw in self._readings:
                found[raw] = self._readings[raw][1]
            elif (parsed := self._rules.read_here(raw)) is not None:
                found[raw] = parsed
            else:
                unknown.append(raw)
        if unknown:
            outcomes = self.pool.run([(READ, *raw) for raw in unknown])
            parse = self._rules.parsed
            found |= {s: parse(s, r) for s, (r, _) in zip(unknown, outcomes, strict=True)}
        for raw, parsed in found.items():
            remember(self._readings, raw, (raw, parsed))
        return found

    def same(self, pairs: Iterable[Pair]) -> dict[Pair, float | None]:
        """What a grader says of each pair; None = past a limit.

        An answer that times out again and again is not tried further in this call, see
        `TimeoutScheduler`;
        the outcome depends on the pairs alone, not on what is remembered.
        """
        found: dict[Pair, float | None] = {}
        pending = list(dict.fromkeys(pairs))
        if not pending:
            return found
        limit, is_exact = self.pool.limits.cpu_seconds, self._rules.is_exact
        scheduler = TimeoutScheduler(cpu_seconds=limit, is_exact=is_exact)
        while pending:
            wave, pending = scheduler.next_wave(pending)
            for pair, (equal, seconds) in self._ask(wave).items():
                found[pair] = equal
                scheduler.count(pair, failed=equal is None, seconds=seconds)
            found |= dict.fromkeys(scheduler.out(pending), None)
            pending = [pair for pair in pending if pair not in found]
        return found

    def _ask(self, pairs: Sequence[Pair]) -> dict[Pair, tuple[float | None, float]]:
        unknown = [pair for pair in pairs if pair not in self._pairs]
        requests: list[Request] = [(kind, *one, other[1]) for kind, one, other in unknown]
        outcomes = self.pool.run(requests) if requests else []
        new = {
            pair: (self._rules.outcome(reply), seconds)
            for pair, (reply, seconds) in zip(unknown, outcomes, strict=True)
        }
        found = {pair: new[pair] if pair in new else self._pairs[pair][1:] for pair in pairs}
        for pair, outcome in found.items():
            remember(self._pairs, pair, (pair, *outcome))
        return found


def sorted_pair(one: ParsedAnswer, other: ParsedAnswer) -> Pair:
    """The pair under which two readings are compared."""
    first, second = sorted((one.raw, other.raw))
    return SAME, first, second


def known_pair(answer: ParsedAnswer, known: ParsedAnswer) -> Pair:
    """The pair under which an answer is compared with a known one."""
    return MATCHES, known.raw, answer.raw


def decide(one: ParsedAnswer, other: ParsedAnswer) -> bool | None:
    """Whether two answers are equal where no grader is needed to decide; else None."""
    if one.exact is not None and other.exact is not None:
        return equal_exactly(one.exact, other.exact)
    return _decide_rest(one, other)


def decide_known(answer: ParsedAnswer, known: ParsedAnswer) -> bool | None:
    """The same against a known answer; see `equal_to_known`."""
    if answer.exact is not None and known.exact is not None:
        return equal_to_known(answer.exact, known.exact)
    return _decide_rest(answer, known)


def _decide_rest(one: ParsedAnswer, other: ParsedAnswer) -> bool | None:
    if one.key == other.key:
        return True
    if one.literal or other.literal:
        return False
    if not (one.comparable or other.comparable):
        return False
    if one.value is not None and other.value is not None:
        gap = abs(one.value - other.value)
        if gap > NEAR * max(abs(one.value), abs(other.value)):
            return False
    return None


def _read_here(raw: RawAnswer) -> ParsedAnswer | None:
    """Read it without a grader; None = it needs one."""
    mode, text = raw
    if mode == TEXT:
        return ParsedAnswer(raw=raw, key=text, shown=text, comparable=False)
    form = read_exact(text) if mode == LATEX else None
    if form is None:
        return None
    return ParsedAnswer(
        raw=raw,
        key=form.key,
        shown=text,
        exact=form,
        value=approximate(form),
        literal=len(form.word) > 1,
    )


def _is_exact(raw: RawAnswer) -> bool:
    return _read_here(raw) is not None


def _outcome(reply: object) -> bool | None:
    return None if reply == GAVE_UP else bool(reply)


def _parsed(raw: RawAnswer, reply: object) -> ParsedAnswer | None:
    """What a grader replied; a reply of another shape than ours counts as given up."""
    mode, text = raw
    shown = text if mode == LATEX else ""
    match reply:
        case None:
            return None
        case [str(form), bool(computable), None, str(found)]:
            return ParsedAnswer(raw=raw, key=form, shown=shown or found, comparable=computable)
        case [str(form), True, [float(real), float(imaginary)], str(found)]:
            value = None if "%" in text else complex(real, imaginary)
            return ParsedAnswer(raw=raw, key=form, shown=shown or found, value=value)
    return ParsedAnswer(raw=raw, key=("gave up", text), shown=shown, comparable=False, gave_up=True)


MATH = AnswerRules(read_here=_read_here, parsed=_parsed, outcome=_outcome, is_exact=_is_exact)
