"""The table of `benchmarks.label_noise`: a line a setting, medians over its seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

HEAD = (
    "error",
    "a mistake is",
    "annotators",
    "share bought",
    "labels",
    "void",
    "wrong labels",
    "charged",
    "paid",
    "accuracy",
    "of seeds",
    "gain for 1,000 charged",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseSetting:
    """Annotators, and how many labels are bought of them."""

    error: float
    like_vote: bool
    """Whether a mistake equals the model's vote where that is wrong."""
    redundancy: int
    share: float
    """Of a step's prompts whose label is bought."""

    @property
    def name(self) -> str:
        """Of its runs' folders."""
        kind = "vote" if self.like_vote else "own"
        return f"{kind}-{self.error:g}-x{self.redundancy}-{self.share:.4g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseRun:
    """One finished run."""

    setting: NoiseSetting
    seed: int
    accuracy: float
    """Held-out, at the end."""
    accuracy_start: float
    labels: int
    void: int
    wrong: int
    """Of the labels, those that are not the truth."""
    charged: float
    """By the ledger; every use of a label is bought, as the testbed has it."""
    paid: float
    """Every answer once: a prompt that returns is answered from the mailbox."""


def by_setting(runs: Sequence[NoiseRun]) -> dict[NoiseSetting, list[NoiseRun]]:
    """The runs of each setting, in the order in which these come."""
    found: dict[NoiseSetting, list[NoiseRun]] = {}
    for run in runs:
        found.setdefault(run.setting, []).append(run)
    return found


def cell(runs: Sequence[NoiseRun]) -> dict[str, Any]:
    """The medians of a setting's runs."""
    gains = [
        1000 * (run.accuracy - run.accuracy_start) / run.charged for run in runs if run.charged
    ]
    return {
        **asdict(runs[0].setting),
        "labels": median(run.labels for run in runs),
        "void": median(run.void for run in runs),
        "wrong_share": median(run.wrong / run.labels if run.labels else 0.0 for run in runs),
        "charged": median(run.charged for run in runs),
        "paid": median(run.paid for run in runs),
        "accuracy": median(run.accuracy for run in runs),
        "accuracies": [run.accuracy for run in runs],
        "gain_per_1000_charged": median(gains) if gains else None,
    }


def as_values(runs: Sequence[NoiseRun]) -> dict[str, Any]:
    """For a program."""
    start = median(run.accuracy_start for run in runs) if runs else None
    return {
        "accuracy_start": start,
        "settings": [cell(of_one) for of_one in by_setting(runs).values()],
    }


def as_table(runs: Sequence[NoiseRun]) -> list[str]:
    """The same in Markdown."""
    values = as_values(runs)
    lines = [f"| {' | '.join(HEAD)} |", "|" + "---|" * len(HEAD)]
    lines += [_line(one) for one in values["settings"]]
    if runs:
        lines += ["", f"Accuracy before the first step: {values['accuracy_start']:.3f}."]
    return lines


def _line(one: dict[str, Any]) -> str:
    gain = one["gain_per_1000_charged"]
    cells = (
        f"{one['error']:.0%}",
        "-" if not one["error"] else "the vote" if one["like_vote"] else "another answer",
        str(one["redundancy"]),
        f"{one['share']:.1%}",
        f"{one['labels']:g}",
        f"{one['void']:g}",
        f"{one['wrong_share']:.1%}",
        f"{one['charged']:g}",
        f"{one['paid']:g}",
        f"{one['accuracy']:.3f}",
        " ".join(f"{accuracy:.3f}" for accuracy in one["accuracies"]),
        "-" if gain is None else f"{gain:+.3f}",
    )
    return f"| {' | '.join(cells)} |"
