"""Example rollouts as a table for dashboards: one row per response."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rlavr_hpc.telemetry.examples.record import Example, shareable

Cell = str | float | bool | None

COLUMNS = (
    "step",
    "branch",
    "prompt_id",
    "prompt",
    "vote",
    "majority_ratio",
    "labelled",
    "reused",
    "label",
    "weight",
    "sample",
    "response",
    "tokens",
    "truncated",
    "answer",
    "agrees",
    "reward",
    "correct",
)
"""`correct`: whether the label pays; empty without a label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of equal length."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def as_table(examples: Iterable[Example], *, share_labels: bool) -> Table:
    """The table of a step's examples; the same for every attempt that did the step.

    Args:
        examples: of one step.
        share_labels: also show prompts with a label, and what it is.
    """
    shown = examples if share_labels else shareable(examples)
    return Table(columns=COLUMNS, rows=tuple(row for e in shown for row in _rows(e)))


def _rows(example: Example) -> Iterator[tuple[Cell, ...]]:
    e = example
    about = (
        float(e.step),
        float(e.branch),
        e.prompt_id,
        e.prompt,
        e.vote,
        e.majority_ratio,
        e.labelled,
        e.reused,
        e.label,
        e.weight,
    )
    for r in e.responses:
        correct = r.reward > 0 if e.labelled and r.reward is not None else None
        yield (
            *about,
            float(r.sample),
            r.text,
            float(r.tokens),
            r.truncated,
            r.answer,
            r.agrees,
            r.reward,
            correct,
        )
