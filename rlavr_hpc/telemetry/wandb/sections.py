"""What the dashboard of a project shows, as plain data: sections of plots of known metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rlavr_hpc.telemetry import names

STEP = "step"
EXAMPLES = "examples"
"""Key of the tables of example rollouts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One plot over the steps, or by run."""

    title: str
    metrics: tuple[str, ...]
    kind: Literal["line", "bar", "scatter", "table"] = "line"
    """line: over steps; bar: each run's last value; scatter: the second over the first, a point a
    run; table: the last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Plots that answer one question."""

    name: str
    panels: tuple[Panel, ...]


def line(title: str, *metrics: str) -> Panel:
    """A plot over the steps."""
    return Panel(title=title, metrics=metrics)


def sections(*, samples: int = 8) -> tuple[Section, ...]:
    """The dashboard's sections, top to bottom.

    Args:
        samples: `eval.samples` of the project's runs; it is part of the accuracy's name.
    """
    accuracy = names.eval_name("held_out", "mean", samples)
    return (_sweep(accuracy), _collapse(), _acquisition(), _throughput(), _health())


def _sweep(accuracy: str) -> Section:
    bought = names.LABELS_TOTAL
    return Section(
        name="Budget sweep",
        panels=(
            line("Held-out accuracy", accuracy),
            Panel(title="Accuracy by labels bought", metrics=(bought, accuracy), kind="scatter"),
            Panel(title="Accuracy at the end", metrics=(accuracy,), kind="bar"),
            line("Labels bought so far", bought),
        ),
    )


def _collapse() -> Section:
    return Section(
        name="Collapse",
        panels=(
            line("Hint of collapse, without audits (risk)", names.COLLAPSE_RISK),
            line("Evidence of the collapse alarm", names.COLLAPSE_ALARM_EVIDENCE),
            line("True reward (research only)", names.ORACLE_TRUE_REWARD),
            line("Majority ratio", names.COLLAPSE_MAJORITY_RATIO),
            line("Distinct answers", names.COLLAPSE_DISTINCT_ANSWERS),
            line("Answer entropy", names.COLLAPSE_ANSWER_ENTROPY),
            line("Policy entropy", names.TRAIN_ENTROPY),
            line("Response length", names.COLLAPSE_LENGTH_TOKENS),
            line("Truncated, unparsable", names.COLLAPSE_TRUNCATED, names.COLLAPSE_UNPARSABLE),
            line("Pseudo minus true reward, where bought", names.LABELS_REWARD_GAP),
        ),
    )


def _acquisition() -> Section:
    return Section(
        name="Acquisition",
        panels=(
            line("Labels bought per step", names.LABELS_BOUGHT),
            line("Votes that were right, where bought", names.LABELS_VOTE_RIGHT),
            line("No correct response, where bought", names.LABELS_NONE_CORRECT),
            line("Trusted prompts", names.LABELS_TRUSTED),
            line("Trusted votes that are true (research only)", names.ORACLE_TRUSTED_PRECISION),
            line("Selection precision (research only)", names.ORACLE_SELECTION_PRECISION),
            line("True votes (research only)", names.ORACLE_VOTE_ACCURACY),
            Panel(title="Example rollouts", metrics=(EXAMPLES,), kind="table"),
        ),
    )


def _throughput() -> Section:
    phases = tuple(names.time_name(phase) for phase in (*names.TIME_PHASES, "other"))
    return Section(
        name="Throughput",
        panels=(
            line("Tokens per second", names.PERF_TOKENS_PER_SECOND),
            line("Seconds per step", names.TIME_STEP),
            line("Seconds by phase", *phases),
            line(
                "Evaluation and checkpoints",
                names.TIME_EVALUATE,
                names.TIME_SAVE,
                names.TIME_PUBLISH,
            ),
        ),
    )


def _health() -> Section:
    return Section(
        name="Health",
        panels=(
            line("Loss", names.TRAIN_LOSS),
            line("Gradient norm", names.TRAIN_GRAD_NORM),
            line("Clipped ratios", names.TRAIN_CLIP_LOW, names.TRAIN_CLIP_HIGH),
            line("KL of an update", names.TRAIN_UPDATE_KL),
            line("Trainer against sampler", names.TRAIN_SAMPLER_GAP, names.TRAIN_SAMPLER_KL),
            line("Effective sample size", names.TRAIN_SAMPLER_ESS),
            line("Ungradable answers", names.GRADE_UNGRADABLE),
            line("Memory", names.SYS_MEMORY_GIB),
        ),
    )
