"""What is remembered of answers, within a bound on memory: how large an entry is, about."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from cachetools import LRUCache

from rlavr_hpc.answers.sandbox.timeouts import Pair, RawAnswer

if TYPE_CHECKING:
    from rlavr_hpc.answers.equivalence import ParsedAnswer

ENTRY_BYTES = 700
"""Of an entry besides its texts, about."""
TERM_BYTES = 300


def remember(cache: LRUCache[Any, Any], key: object, value: object) -> None:
    """Keep it, or forget it at once when it alone is larger than the cache."""
    if cache.getsizeof(value) <= cache.maxsize:
        cache[key] = value


def size_of_parsed(entry: tuple[RawAnswer, ParsedAnswer | None]) -> int:
    """Bytes of a text and what was read in it."""
    (_, text), parsed = entry
    if parsed is None:
        return ENTRY_BYTES + sys.getsizeof(text)
    terms = sum(len(item) for item in parsed.exact.items) if parsed.exact else 0
    texts = sys.getsizeof(text) + sys.getsizeof(parsed.shown)
    return ENTRY_BYTES + texts + TERM_BYTES * terms


def size_of_pair(entry: tuple[Pair, float | None, float]) -> int:
    """Bytes of a comparison."""
    return ENTRY_BYTES + sum(sys.getsizeof(text) for _, text in entry[0][1:])
