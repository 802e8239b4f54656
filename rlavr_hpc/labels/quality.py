"""How good a study's annotators are: agreement, errors on known answers, pace and money.

Figures alone; who reads ledgers and compares answers by the run's grader passes them in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

CONFIDENCE = 0.95

TextClusters = Callable[[str, Sequence[str]], Sequence[Sequence[int]]]
"""Groups the indices of equal answers to a question, which is named by its content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One answer of one annotator."""

    key: str
    question: str
    """The same for all orders of one question."""
    annotator: str
    """"" of a source that names nobody."""
    text: str | None
    """The answer, or the verdict; None = void."""
    why: str = ""
    """Of a void one."""
    verdict: bool = False
    """Whether the text is a verdict, of the vote that was shown with the key."""
    seconds: float | None = None
    cost: float = 0.0
    gold: bool = False
    """Whether it was asked for to learn about the annotator."""
    right: bool | None = None
    """None = the true answer is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """So many of so many."""

    count: int
    of: int

    @property
    def value(self) -> float | None:
        """0 to 1; None of nothing."""
        return self.count / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval by Clopper and Pearson (Biometrika 1934); (0, 1) of nothing."""
        return clopper_pearson(self.count, self.of)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatorQuality:
    """What is known of one annotator."""

    annotator: str
    answers: int
    voids: int
    agreement: Share
    """Of pairs with an answer of somebody else to the same question, those that are equal."""
    gold_wrong: Share
    """Of answers to questions that were mixed in because their answer is known."""
    other_wrong: Share
    """Of the other answers, as far as the data knows better."""
    median_seconds: float | None
    cost: float


def annotator_figures(said: Iterable[Said], clusters: TextClusters) -> list[AnnotatorQuality]:
    """One row an annotator, those with most answers first.

    Args:
        said: all answers; one that stands there twice counts once.
        clusters: compares answers, as the run's grader does.
    """
    by_annotator: dict[str, list[Said]] = {}
    known = list(dict.fromkeys(said))
    for one in known:
        by_annotator.setdefault(one.annotator, []).append(one)
    agreements = agreement(known, clusters)
    rows = [_row(name, mine, agreements) for name, mine in by_annotator.items()]
    return sorted(rows, key=lambda row: (-row.answers, row.annotator))


def _row(annotator: str, mine: Sequence[Said], agreements: Mapping[str, Share]) -> AnnotatorQuality:
    seconds = [one.seconds for one in mine if one.seconds is not None]
    answers = sum(one.text is not None for one in mine)
    return AnnotatorQuality(
        annotator=annotator,
        answers=answers,
        voids=len(mine) - answers,
        agreement=agreements.get(annotator, Share(count=0, of=0)),
        gold_wrong=_wrong(one for one in mine if one.gold),
        other_wrong=_wrong(one for one in mine if not one.gold),
        median_seconds=median(seconds) if seconds else None,
        cost=sum(one.cost for one in mine),
    )


def _wrong(said: Iterable[Said]) -> Share:
    judged = [one.right for one in said if one.text is not None and one.right is not None]
    return Share(count=judged.count(False), of=len(judged))


def agreement(said: Iterable[Said], clusters: TextClusters) -> dict[str, Share]:
    """How often each annotator says what others say to the same question.

    Answers of a source without names count as those of different people. A text that cannot be
    compared within the grader's limits equals none.
    """
    equal: Counter[str] = Counter()
    pairs: Counter[str] = Counter()
    for question, answers in _by_question(said).items():
        if len(answers) < 2:
            continue
        place = _places(question, answers, clusters)
        for index, one in enumerate(answers):
            for other, its in enumerate(answers):
                if other == index or (one.annotator and one.annotator == its.annotator):
                    continue
                pairs[one.annotator] += 1
                equal[one.annotator] += place[index] == place[other]
    return {name: Share(count=equal[name], of=count) for name, count in pairs.items()}


def _by_question(said: Iterable[Said]) -> dict[str, list[Said]]:
    """Answers that are no void, by question; verdicts apart, they answer another one."""
    found: dict[str, list[Said]] = {}
    for one in said:
        if one.text is not None:
            found.setdefault(f"verdict {one.question}" if one.verdict else one.question, []).append(
                one
            )
    return found


def _places(question: str, answers: Sequence[Said], clusters: TextClusters) -> list[int]:
    """Number of the cluster of each answer; those in none have numbers of their own."""
    texts = [one.text or "" for one in answers]
    groups = by_stripped(question, texts) if answers[0].verdict else clusters(question, texts)
    places = [-1 - index for index in range(len(answers))]
    for number, members in enumerate(groups):
        for index in members:
            places[index] = number
    return places


def by_stripped(_question: str, texts: Sequence[str]) -> list[list[int]]:
    """Clusters of texts that are equal but for spaces around them, the larger first."""
    found: dict[str, list[int]] = {}
    for index, text in enumerate(texts):
        found.setdefault(text.strip(), []).append(index)
    return sorted(found.values(), key=lambda members: (-len(members), members[0]))


def void_reasons(said: Iterable[Said]) -> dict[str, int]:
    """How many answers were void for which reason, the most frequent first."""
    reasons = Counter(one.why for one in dict.fromkeys(said) if one.text is None)
    return dict(sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0])))


def clopper_pearson(count: int, of: int, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The exact interval of a share: 0 of 20 still allows 17%."""
    from scipy.special import betaincinv  # noqa: PLC0415  slow to import

    tail = (1 - confidence) / 2
    low = 0.0 if count == 0 else float(betaincinv(count, of - count + 1, tail))
    high = 1.0 if count == of else float(betaincinv(count + 1, of - count, 1 - tail))
    return low, high
