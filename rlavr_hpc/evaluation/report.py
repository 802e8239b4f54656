"""The report of an evaluation: OUT/SET.json, and the same as a table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from rlavr_hpc.evaluation.record import ProblemResult
from rlavr_hpc.evaluation.statistics import CONFIDENCE, RESAMPLES, estimate
from rlavr_hpc.io import write_atomic

VERSION = 1


def summarize(header: Mapping[str, Any], results: Sequence[ProblemResult]) -> dict[str, Any]:
    """All figures of a finished test set; nothing in it depends on how often it was started.

    Args:
        header: what was measured, as the record has it.
        results: of every problem, in the set's order.
    """
    correct_PN = np.array([result.correct for result in results])
    vote_right_P = np.array([result.vote_right for result in results])
    unparsable = [
        answer is None and not lost
        for result in results
        for answer, lost in zip(result.answers, result.ungradable, strict=True)
    ]
    statistics = estimate(correct_PN, vote_right_P)
    return {
        "version": VERSION,
        **header,
        "problems": len(results),
        "statistics": {name: asdict(value) for name, value in statistics.items()},
        "interval": f"{CONFIDENCE:.0%} percentile bootstrap over problems, {RESAMPLES} resamples",
        "response_tokens": float(np.mean([result.tokens for result in results])),
        "truncated": float(np.mean([result.truncated for result in results])),
        "unparsable": float(np.mean(unparsable)),
        "ungradable": float(np.mean([result.ungradable for result in results])),
    }


def write_summary(path: Path, summary: Mapping[str, Any]) -> None:
    """Write OUT/SET.json."""
    write_atomic(path, json.dumps(summary, indent=1, allow_nan=False) + "\n")


def as_table(summaries: Sequence[Mapping[str, Any]]) -> str:
    """One line per statistic of each test set."""
    width = max(len(summary["set"]) for summary in summaries)
    lines = [f"{'set':{width}}  problems  statistic   value  95% interval"]
    for summary in summaries:
        name, problems = summary["set"], str(summary["problems"])
        for statistic, e in summary["statistics"].items():
            interval = f"{e['low']:.3f} to {e['high']:.3f}"
            lines.append(
                f"{name:{width}}  {problems:>8}  {statistic:10}  {e['value']:.3f}  {interval}"
            )
            name = problems = ""
    return "\n".join(lines)
