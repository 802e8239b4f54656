"""What `make demo` says of its runs."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.demo import story

SUMMARY = {"collapsed": False, "accuracy_start": 0.4}
NONE = SUMMARY | {"collapsed": True, "accuracy_end": 0.2, "labels_bought": 0}
FULL = SUMMARY | {"accuracy_end": 0.8, "labels_bought": 9600}
DRAWN = SUMMARY | {"accuracy_end": 0.5, "labels_bought": 600}
CHOSEN = SUMMARY | {"accuracy_end": 0.7, "labels_bought": 600}


def test_the_story_is_told_when_it_happened() -> None:
    words, happened = story([NONE, FULL, DRAWN, CHOSEN])
    assert happened
    assert "the run collapsed" in words
    assert "With 6% of the labels, chosen by `checked`, it ends at 0.70, above the 0.50" in words


@pytest.mark.parametrize(
    ("place", "change", "said"),
    [
        (0, {"collapsed": False}, "DID NOT COLLAPSE"),
        (1, {"accuracy_end": 0.5}, "DID NOT RISE"),
        (3, {"accuracy_end": 0.5}, "NOT ABOVE"),
    ],
)
def test_what_did_not_happen_is_said_and_fails(
    place: int, change: dict[str, Any], said: str
) -> None:
    results = [NONE, FULL, DRAWN, CHOSEN]
    results[place] = results[place] | change
    words, happened = story(results)
    assert said in words
    assert not happened
