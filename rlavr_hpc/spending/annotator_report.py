"""What annotators of runs have said and cost: the figures as text, and as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlavr_hpc.labels.printable import printable
from rlavr_hpc.labels.quality import AnnotatorQuality, Share

NAME_WIDTH, REASON_WIDTH = 24, 72
SHOWN_REASONS = 8
HEAD = (
    "annotator",
    "answers",
    "void",
    "agrees with others",
    "gold wrong",
    "95% interval",
    "others wrong",
    "seconds",
    "cost",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityReport:
    """Everything that `rlavr labels quality` tells."""

    runs: int
    """With a live label source."""
    annotators: Sequence[AnnotatorQuality]
    ordered: int
    """Answers asked for."""
    answered: int
    """Of these, the ones that can be labels."""
    pending: int
    void_answers: Mapping[str, int]
    """By reason."""
    labels: int
    """That came of the answers."""
    void_labels: Mapping[str, int]
    """Questions without a label, by reason."""
    charged: float
    """Sum over the runs' ledgers, as if each had bought alone."""
    paid: float
    """Every call and every answer once."""
    remarks: Sequence[str] = field(default_factory=tuple)
    """What could not be read or compared."""


def quality_values(report: QualityReport) -> dict[str, Any]:
    """For a program."""
    return {
        "runs": report.runs,
        "answers_ordered": report.ordered,
        "answers": report.answered,
        "answers_pending": report.pending,
        "answers_void": dict(report.void_answers),
        "labels": report.labels,
        "labels_void": dict(report.void_labels),
        "cost": report.charged,
        "cost_paid": report.paid,
        "annotators": [_values(row) for row in report.annotators],
        "remarks": list(report.remarks),
    }


def _values(row: AnnotatorQuality) -> dict[str, Any]:
    low, high = row.gold_wrong.interval
    return {
        "annotator": row.annotator,
        "answers": row.answers,
        "void": row.voids,
        "pairs": row.agreement.of,
        "pairs_equal": row.agreement.count,
        "gold": row.gold_wrong.of,
        "gold_wrong": row.gold_wrong.count,
        "gold_interval": [low, high] if row.gold_wrong.of else None,
        "others_judged": row.other_wrong.of,
        "others_wrong": row.other_wrong.count,
        "median_seconds": row.median_seconds,
        "cost": row.cost,
    }


def quality_text(report: QualityReport) -> list[str]:
    """For a person; strangers' words are made harmless."""
    runs = f"{report.runs} run{'s' if report.runs != 1 else ''}"
    lines = [
        f"{runs}: {report.ordered} answers ordered, {report.answered} came, "
        f"{sum(report.void_answers.values())} void, {report.pending} pending",
        f"{report.labels} labels, {sum(report.void_labels.values())} questions without one; "
        f"charged {report.charged:g}, really paid {report.paid:g}",
        *_reasons("void answers", report.void_answers),
        *_reasons("questions without a label", report.void_labels),
    ]
    if report.annotators:
        lines += ["", *_columns([HEAD, *map(_row, report.annotators)]), "", *_legend(report)]
    return [*lines, *report.remarks]


def _row(row: AnnotatorQuality) -> tuple[str, ...]:
    low, high = row.gold_wrong.interval
    return (
        printable(row.annotator, NAME_WIDTH) or "(no name)",
        str(row.answers),
        str(row.voids),
        _share(row.agreement),
        f"{row.gold_wrong.count} of {row.gold_wrong.of}" if row.gold_wrong.of else "-",
        f"{low:.1%} to {high:.1%}" if row.gold_wrong.of else "-",
        _share(row.other_wrong),
        "-" if row.median_seconds is None else f"{row.median_seconds:.3g}",
        f"{row.cost:g}",
    )


def _share(share: Share) -> str:
    return "-" if share.value is None else f"{share.value:.0%} of {share.of}"


def _reasons(title: str, reasons: Mapping[str, int]) -> list[str]:
    if not reasons:
        return []
    pairs = list(reasons.items())
    lines = [
        f"  {count:5d}  {printable(why, REASON_WIDTH)}" for why, count in pairs[:SHOWN_REASONS]
    ]
    if rest := pairs[SHOWN_REASONS:]:
        lines.append(f"  {sum(count for _, count in rest):5d}  of {len(rest)} other reasons")
    return [f"{title}:", *lines]


def _legend(report: QualityReport) -> list[str]:
    lines = ["agrees with others: equal pairs of answers to one question; seconds: median"]
    if any(row.gold_wrong.of for row in report.annotators):
        lines.append("gold wrong: of the questions mixed in because their answer is known")
    else:
        lines.append("no question with a known answer was mixed in (labels.gold)")
    if any(row.other_wrong.of for row in report.annotators):
        lines.append("others wrong: of the other answers, those that the data knows better")
    return lines


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
