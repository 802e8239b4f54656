"""How a source does on the questions whose answer is known, said as soon as all are answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from rlavr_hpc.acquisition.ledger import read_ledger
from rlavr_hpc.config.labels import LabelsConfig
from rlavr_hpc.errors import RlavrError
from rlavr_hpc.labels.orders import Answer
from rlavr_hpc.labels.printable import printable
from rlavr_hpc.labels.quality import Share
from rlavr_hpc.labels.served_run import ServedRun
from rlavr_hpc.types import Question

GOOD = 0.9
"""A source whose share of right answers is below this with 95% confidence is bad."""


class GoldGrader(Protocol):
    """The run's grader."""

    def fault(self, question: Question, text: str) -> str:
        """Why a text can be no label of the question; "" where it can."""

    def equals(self, question: Question, text: str, label: str) -> bool:
        """Whether an answer says the same as a label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAnswers:
    """What the data knows of its questions, by prompt id, and what compares answers with it."""

    questions: Mapping[str, Question]
    answers: Mapping[str, str]
    grader: GoldGrader


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldScore:
    """How a source does."""

    right: Share
    """Of its answers to questions that the data still has."""
    void: int
    """Questions that it gave no answer to."""

    @property
    def is_bad(self) -> bool:
        """Whether its labels are wrong, or missing, too often."""
        return self.right.interval[1] < GOOD or self.void > self.right.of

    def sentences(self, name: str) -> list[str]:
        """For the log.

        Args:
            name: of the source.
        """
        if not self.right.of and not self.void:
            return []
        low, high = self.right.interval
        void = f", {self.void} without an answer" if self.void else ""
        lines = [
            f"{name}: {self.right.count} of {self.right.of} gold questions right "
            f"(95% interval {low:.0%} to {high:.0%}){void}"
        ]
        if self.is_bad:
            lines.append(
                f"{name} IS BAD AT THESE QUESTIONS: labels like this do harm; end the run, and ask "
                "somebody else"
            )
        return lines


def gold_score(said: Iterable[tuple[str, Answer]], known: KnownAnswers) -> GoldScore:
    """Compare answers with what the data knows.

    Args:
        said: prompt id and answer.
        known: questions that are not in it are left out.
    """
    right: list[bool] = []
    void = 0
    for prompt, answer in said:
        question, truth = known.questions.get(prompt), known.answers.get(prompt)
        if question is None or truth is None:
            continue
        if answer.answer is None or known.grader.fault(question, answer.answer):
            void += 1
        else:
            right.append(known.grader.equals(question, answer.answer, truth))
    return GoldScore(right=Share(count=sum(right), of=len(right)), void=void)


@dataclass(slots=True, kw_only=True)
class GoldCheck:
    """Called after each answer and each look; says once a start how each run's source does.

    Which orders are gold stands in the run's ledger alone: sources cannot tell.
    """

    open_known: Callable[[Path], AbstractContextManager[KnownAnswers]]
    """Reads the data of the run in a folder, and starts its grader."""
    _gold: dict[Path, dict[str, str]] = field(default_factory=dict)
    """By run: key -> prompt id."""
    _next: dict[Path, int] = field(default_factory=dict)
    """By run: answers at which the ledger is read again; each time there are twice as many."""
    _told: set[Path] = field(default_factory=set)

    def __call__(self, run: ServedRun) -> None:
        """Say it, if it is time."""
        if not run.config.gold_first or run.run_dir in self._told:
            return
        try:
            gold, answers = self._gold_of(run), run.answers.first
            said = [(gold[key], answers[key]) for key in gold if key in answers]
            if not said or (len(said) < len(gold) and not run.stopped):
                return
            self._told.add(run.run_dir)
            with self.open_known(run.run_dir) as known:
                lines = gold_score(said, known).sentences(name_of(run.config))
        except (RlavrError, OSError) as error:
            self._told.add(run.run_dir)
            lines = [f"the gold questions cannot be checked here: {printable(str(error), 300)}"]
        for line in lines:
            run.say(f"{run.run_dir.name}: {line}")

    def _gold_of(self, run: ServedRun) -> dict[str, str]:
        """The run's gold orders, as soon as there are any."""
        folder, count = run.run_dir, len(run.answers.first)
        if not self._gold.get(folder) and run.orders.orders and count >= self._next.get(folder, 0):
            self._next[folder] = max(1, 2 * count)
            history = read_ledger(folder).orders
            self._gold[folder] = {key: order.prompt for key, order in history.gold.items()}
        return self._gold.get(folder, {})


def name_of(config: LabelsConfig) -> str:
    """How a source is called in a log."""
    return f"labels={config.name}" + (f" labels.model={config.model}" if config.model else "")
