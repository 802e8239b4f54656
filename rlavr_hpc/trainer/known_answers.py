"""What a run's data knows of its questions, for a look at how good a label source is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from rlavr_hpc.acquisition.gold_check import KnownAnswers
from rlavr_hpc.answers.build_verifier import build_verifier
from rlavr_hpc.answers.label_rules import LabelRules
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.data.dataset import Dataset


@contextmanager
def known_answers(config: RunConfig, train: Dataset) -> Iterator[KnownAnswers]:
    """The training data's answers, with a grader of the caller's own thread.

    Args:
        config: of the run.
        train: its training prompts.
    """
    with closing(build_verifier(config.grading, config.task, workers=1)) as verifier:
        yield KnownAnswers(
            questions={question.id: question for question in train.questions},
            answers=train.answers,
            grader=LabelRules(verifier=verifier),
        )
