"""From the replies that were drawn for one order to its answer: what they say, and who agrees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rlavr_hpc.labels.declining import refuses
from rlavr_hpc.labels.orders import MAX_TEXT, Order
from rlavr_hpc.labels.sources.judge_reading import JudgeSaid, Nothing, Reply, Usage
from rlavr_hpc.labels.sources.judge_text import stated_verdict, usable

Reader = Callable[[str, Order], str | None]
"""The answer that a reply states; None for none."""
Clusters = Callable[[Sequence[str], Order], Sequence[Sequence[int]]]
"""Which answers are equal: lists of their indices."""
SLACK = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """One reply as it counts."""

    text: str | None
    """The answer or the verdict; None = it gives none."""
    why: str = ""
    """It gives none."""
    model: str = ""
    usage: Usage | None = None
    seconds: float = 0.0
    cost: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawPlan:
    """How many replies are drawn, and how many must agree."""

    draws: int
    agreement: float
    compares: bool = False
    """Every second one has seen the competing answers in the other order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What the draws come to: a text, or why there is none."""

    text: str | None = None
    void: str = ""


def read_draw(
    reply: Reply, order: Order, reader: Reader, *, verdict: bool
) -> tuple[str | None, str]:
    """What a reply says, and otherwise why it says nothing."""
    outcome = reply.outcome
    if isinstance(outcome, Nothing):
        return None, outcome.why
    assert isinstance(outcome, JudgeSaid)
    said = stated_verdict(outcome.text) if verdict else usable(reader(outcome.text, order))
    if said is None:
        missing = "no verdict at the end of the reply" if verdict else "no answer in the reply"
        return None, "refusal" if refuses(outcome.text) else missing
    if len(said) > MAX_TEXT:
        return None, f"an answer of {len(said)} characters"
    return said, ""


def settle(
    draws: Sequence[Draw], order: Order, plan: DrawPlan, clusters: Clusters | None
) -> Settled | None:
    """What the draws come to; None while more are needed."""
    said = [draw.text for draw in draws if draw.text is not None]
    groups = sorted((clusters or equal_texts)(said, order), key=len, reverse=True) if said else []
    best = len(groups[0]) if groups else 0
    second = len(groups[1]) if len(groups) > 1 else 0
    left = plan.draws - len(draws)
    if best + left < plan.agreement * plan.draws - SLACK or (not left and best == second):
        return Settled(void=_why(draws, said))
    assured = best > second + left and best >= plan.agreement * plan.draws - SLACK
    if left and (plan.compares or not assured):
        return None
    if plan.compares and _majority(draws[::2], order) != _majority(draws[1::2], order):
        return Settled(void="the verdict depends on the order of the answers shown")
    return Settled(text=said[groups[0][0]])


def _why(draws: Sequence[Draw], said: Sequence[str]) -> str:
    if said:
        return f"samples disagree: {len(draws)} drawn, {len(draws) - len(said)} without an answer"
    return draws[-1].why


def _majority(draws: Sequence[Draw], order: Order) -> str | None:
    said = [draw.text for draw in draws if draw.text is not None]
    groups = equal_texts(said, order)
    return said[max(groups, key=len)[0]] if groups else None


def equal_texts(texts: Sequence[str], _: Order) -> list[list[int]]:
    """Texts are equal where only blanks, dollars and capitals differ."""
    groups: dict[str, list[int]] = {}
    for index, text in enumerate(texts):
        groups.setdefault(_plain(text), []).append(index)
    return list(groups.values())


def _plain(text: str) -> str:
    return "".join(text.split()).strip("$.").replace("\\dfrac", "\\frac").casefold()
