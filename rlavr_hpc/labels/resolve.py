"""From the answers to one question to its label: what several people agree on, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rlavr_hpc.config.labels import Resolve

Clusters = Sequence[Sequence[int]]
"""Indices of answers that are equal, the larger cluster first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """One answer that can be a label, or none."""

    text: str | None
    """None = void."""
    why: str = ""
    """Of a void one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What the answers come to: a label, nothing, or a wish for more answers."""

    text: str | None = None
    wrong: str | None = None
    """The vote, where it is known to be wrong and nothing else is."""
    void: str | None = None
    """Why there is no label."""
    more: int = 0
    """Further answers to be asked for."""
    open: bool = False
    """Answers that were asked for are not there yet."""

    @property
    def is_final(self) -> bool:
        """Whether nothing more is to come."""
        return not (self.open or self.more)


def resolve(
    opinions: Sequence[Opinion],
    *,
    ordered: int,
    redundancy: int,
    most: int,
    rule: Resolve,
    clusters: Callable[[Sequence[str]], Clusters],
) -> Resolution:
    """The label of one question.

    With `majority` an answer wins that more than half of `redundancy` people gave and that no other
    answer equals in number. A tie, a disagreement or a void answer asks one more, up to `most`;
    then there is no label.

    Args:
        opinions: the answers so far, in the order in which they were asked for.
        ordered: how many were asked for.
        redundancy: how many are wanted.
        most: how many may be asked for.
        rule: which answer counts.
        clusters: groups equal answers, by the grader that will use the label.
    """
    texts = [opinion.text for opinion in opinions if opinion.text is not None]
    if rule is Resolve.first:
        if texts:
            return Resolution(text=texts[0])
        winner, needed = None, 1
    else:
        needed = redundancy // 2 + 1
        winner = _winner(texts, needed=needed, clusters=clusters)
    waiting = ordered - len(opinions)
    if waiting:
        return Resolution(open=True)
    if winner is not None:
        return Resolution(text=winner)
    if ordered < most:
        return Resolution(more=max(1, redundancy - ordered))
    return Resolution(void=_why(opinions, texts))


def _winner(
    texts: Sequence[str], *, needed: int, clusters: Callable[[Sequence[str]], Clusters]
) -> str | None:
    if len(texts) < needed:
        return None
    groups = [[0]] if len(texts) == 1 else clusters(texts)
    first, second = (*map(len, groups), 0, 0)[:2]
    return texts[groups[0][0]] if first >= needed and first > second else None


def _why(opinions: Sequence[Opinion], texts: Sequence[str]) -> str:
    reasons = [opinion.why for opinion in opinions if opinion.text is None]
    if not texts:
        return reasons[0] if reasons else "no answer"
    return f"{len(texts)} answers disagree"


def by_text(texts: Sequence[str]) -> list[list[int]]:
    """Clusters of equal texts, the larger first."""
    found: dict[str, list[int]] = {}
    for index, text in enumerate(texts):
        found.setdefault(text, []).append(index)
    return sorted(found.values(), key=lambda members: (-len(members), members[0]))
