from __future__ import annotations

import pytest

from rlavr_hpc.config.labels import Resolve
from rlavr_hpc.labels.resolve import Opinion, Resolution, by_text, resolve


def of(
    *texts: str | None,
    ordered: int | None = None,
    redundancy: int = 3,
    most: int = 5,
    rule: Resolve = Resolve.majority,
) -> Resolution:
    """None = void."""
    return resolve(
        [Opinion(text=text, why="" if text else "cannot say") for text in texts],
        ordered=len(texts) if ordered is None else ordered,
        redundancy=redundancy,
        most=most,
        rule=rule,
        clusters=by_text,
    )


@pytest.mark.parametrize(
    ("texts", "winner"),
    [(["a", "a", "b"], "a"), (["b", "a", "a"], "a"), (["a", None, "a"], "a")],
)
def test_more_than_half_of_those_asked_for_win(texts: list[str | None], winner: str) -> None:
    assert of(*texts) == Resolution(text=winner)


@pytest.mark.parametrize("texts", [["a", "b", "c"], ["a", None, None], ["a", "a", "b", "b"]])
def test_a_disagreement_or_a_tie_asks_one_more(texts: list[str | None]) -> None:
    assert of(*texts) == Resolution(more=1)


def test_at_the_cap_there_is_no_label_and_the_reason_is_told() -> None:
    assert of("a", "a", "b", "b", "c") == Resolution(void="5 answers disagree")
    assert of(None, redundancy=1, most=1) == Resolution(void="cannot say")


def test_answers_that_are_not_there_are_waited_for() -> None:
    assert of("a", "a", ordered=3) == Resolution(open=True)
    assert of("b", "a", ordered=3, rule=Resolve.first) == Resolution(text="b")
    assert of(None, ordered=3, rule=Resolve.first) == Resolution(open=True)


def test_one_answer_is_enough_where_one_was_asked_for() -> None:
    assert of("a", redundancy=1, most=1) == Resolution(text="a")
