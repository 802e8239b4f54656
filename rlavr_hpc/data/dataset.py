"""A data set: questions without labels, and labels kept apart from them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from rlavr_hpc.data.findings import DataFinding
from rlavr_hpc.io import canonical_json
from rlavr_hpc.types import Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Questions in file order, and the answers of those that have one."""

    questions: tuple[Question, ...]
    answers: Mapping[str, str]
    """Question id -> true answer. Only the label source, the audit and evaluation read it."""
    findings: tuple[DataFinding, ...] = ()
    """What the reader did, or found, that a user should know."""

    def only(self, ids: frozenset[str]) -> Dataset:
        """The part whose ids are in `ids`."""
        return Dataset(
            questions=tuple(q for q in self.questions if q.id in ids),
            answers={k: v for k, v in self.answers.items() if k in ids},
        )

    def of_task(self, task: str) -> Dataset:
        """The same with another task for all questions."""
        return replace(self, questions=tuple(replace(q, task=task) for q in self.questions))

    def ids(self) -> frozenset[str]:
        """All question ids."""
        return frozenset(q.id for q in self.questions)


def questions_fingerprint(questions: Iterable[Question]) -> str:
    """Hash of ids and texts without labels: deleting a label does not change it."""
    digest = hashlib.sha256()
    for question in questions:
        parts = [question.id, question.text, [[m.role, m.content] for m in question.messages]]
        digest.update(canonical_json(parts).encode())
    return digest.hexdigest()[:16]


def answers_fingerprint(answers: Mapping[str, str]) -> str:
    """Hash of the labels, for the record; it is outside the run's identity."""
    return hashlib.sha256(canonical_json(dict(answers)).encode()).hexdigest()[:16]
