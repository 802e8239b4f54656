"""The report in brief, for a terminal: the headline, and a table of the conditions."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.report.narrative import headline
from analysis.study_findings import Comparison, Condition, Findings
from analysis.text.numbers import NONE, number, with_interval
from analysis.text.terms import STANDINGS

WIDE = 200
"""Characters of a line where the output is no terminal."""


def print_brief(findings: Findings, *, file: TextIO | None = None) -> None:
    """Print the report in brief.

    Args:
        findings: the report's.
        file: where to; None = standard output.
    """
    out = file or sys.stdout
    console = Console(file=out, width=None if out.isatty() else WIDE, highlight=False)
    for line in _sentences(findings):
        console.print(Text(line), soft_wrap=True)
    if findings.comparison.conditions:
        console.print(_table(findings.comparison))
    count = len(findings.problems) + sum(len(run.problems) for run in findings.runs)
    if count:
        console.print(
            f"{count} files or lines in the folders could not be used; the report lists them."
        )


def _sentences(findings: Findings) -> Iterator[str]:
    first = headline(findings)
    yield from filter(None, (first.verdict, first.detail, first.aside))
    if first.best:
        yield f"Highest accuracy: {first.best}"
    yield from first.next


def _table(comparison: Comparison) -> Table:
    """Texts only, never rich's markup: names come from folders of strangers."""
    standings = {line.condition: STANDINGS[line.standing] for line in comparison.advice}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("condition", "advice"):
        table.add_column(name, overflow="fold")
    for name in ("runs", "collapsed", "labels", "untrained", "accuracy at the end"):
        table.add_column(name, justify="right")
    for condition in comparison.conditions:
        cells = _cells(condition, standings.get(condition.name, NONE))
        table.add_row(*map(Text, cells))
    return table


def _cells(condition: Condition, standing: str) -> tuple[str, ...]:
    labels = number(round(condition.labels.mean)) if condition.labels else NONE
    return (
        condition.name,
        standing,
        f"{condition.finished}/{len(condition.runs)}",
        f"{condition.collapsed} of {condition.judged}",
        labels,
        number(condition.start.mean, 3) if condition.start else NONE,
        with_interval(condition.accuracy),
    )
