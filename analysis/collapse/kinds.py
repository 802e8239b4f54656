"""What a collapse looks like: rules on the signals before and after its onset, first match wins.

What the metrics cannot show is not judged: that one and the same answer is given to most prompts
leaves no trace in them, since answers are counted within a prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from analysis.collapse.signals import BY_NAME, GAP
from analysis.load.run import RunData
from analysis.run_findings import CollapseKind, SignalChange
from analysis.text.terms import KINDS
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.collapse.definition import WINDOW

SILENT = 0.5
"""Share of unparsable responses from which fewer answers vote than do not."""
UNPARSABLE_ROSE = 0.1
"""Share by which unparsable responses rise when answers are stated in another form; on the testbed
it stays below 0.05."""
TRUNCATED_ROSE = 0.3
LENGTH_FACTOR = 1.5
"""Responses that much longer, or shorter, are others."""
IN_STEP = 2 * WINDOW
"""Steps between a change of length and the onset that still make it the same event."""
AGREED = 0.9
"""Majority ratio at which answers no longer differ."""
STILL_VARIED = 0.8
"""Share of the sampled entropy that is left where the text has not narrowed with the answers."""
NARROW = 0.2
"""Share of the policy's entropy that is left when it has narrowed; a wrong belief has more than
half of it left in its first ten steps on the testbed."""
GAP_OPENED = 0.05
"""Rise of pseudo minus true reward that means more wrong votes are paid."""
RATIO_ROSE = 0.01
"""Rise of the majority ratio that means more agreement. Where it does not rise, the gap opens only
because the truth is lost."""
NONE_CORRECT_OFTEN = 0.5
"""Share of bought prompts without a correct response from which labels teach little."""


def reason(run: RunData, kind: CollapseKind, onset: int) -> str:
    """The kind in words; where no signal explains it, what the bought labels say."""
    none_correct = shift_of(run.series(names.LABELS_NONE_CORRECT), onset)
    if kind is CollapseKind.other and none_correct.after >= NONE_CORRECT_OFTEN:
        return (
            f"{none_correct.after:.0%} of the bought prompts had no correct response to learn from"
        )
    return KINDS[kind][1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A signal around the onset; zeros where the run does not report it."""

    before: float = 0.0
    """Mean of all steps before the onset."""
    soon: float = 0.0
    """Mean of the first ten steps since the onset."""
    after: float = 0.0
    """Mean of all steps since the onset."""
    known: bool = False

    @property
    def rise(self) -> float:
        """After minus before."""
        return self.after - self.before


def kind_of(
    run: RunData, signals: Mapping[str, SignalChange], *, onset: int, coarse: int = 1
) -> CollapseKind:
    """The kind of a collapse.

    Args:
        run: a collapsed run.
        signals: by signal, with the change nearest to the onset.
        onset: first step of the collapse.
        coarse: steps between the last healthy point on record and the onset.
    """

    def shift(name: str) -> Shift:
        return shift_of(BY_NAME[name].series(run), onset)

    unparsable = shift(names.COLLAPSE_UNPARSABLE)
    if max(unparsable.after, shift(names.COLLAPSE_NOTHING_PARSABLE).after) >= SILENT:
        return CollapseKind.silent
    if _length_changed(shift, signals, onset=onset, within=max(IN_STEP, coarse)):
        return CollapseKind.length_hacking
    ratio, sampled = shift(names.COLLAPSE_MAJORITY_RATIO), shift(names.COLLAPSE_SAMPLED_ENTROPY)
    varied = sampled.known and sampled.after >= STILL_VARIED * sampled.before
    if unparsable.rise >= UNPARSABLE_ROSE or (ratio.after >= AGREED and varied):
        return CollapseKind.format_hacking
    return _of_belief(shift(names.TRAIN_ENTROPY), sampled, shift(GAP), ratio)


def _of_belief(entropy: Shift, sampled: Shift, gap: Shift, ratio: Shift) -> CollapseKind:
    width = entropy if entropy.known else sampled
    if width.known and width.soon <= NARROW * width.before:
        return CollapseKind.entropy
    if ratio.rise >= RATIO_ROSE and (not gap.known or gap.rise >= GAP_OPENED):
        return CollapseKind.wrong_belief
    return CollapseKind.other


def _length_changed(
    shift: Callable[[str], Shift], signals: Mapping[str, SignalChange], *, onset: int, within: int
) -> bool:
    """Whether responses became others in length, at about the onset."""
    length, truncated = shift(names.COLLAPSE_LENGTH_TOKENS), shift(names.COLLAPSE_TRUNCATED)
    factor = length.after / length.before if length.before and length.after else 1.0
    changed = {
        names.COLLAPSE_TRUNCATED: truncated.rise >= TRUNCATED_ROSE,
        names.COLLAPSE_LENGTH_TOKENS: max(factor, 1.0 / factor) >= LENGTH_FACTOR,
    }
    steps = [signals[name].step for name, is_so in changed.items() if is_so and name in signals]
    return any(step is not None and abs(step - onset) <= within for step in steps)


def shift_of(series: pd.Series, onset: int) -> Shift:
    """A signal's means before and since the onset; before an onset at the first step, the first."""
    if not len(series):
        return Shift()
    before = series.loc[series.index < onset]
    after = series.loc[series.index >= onset]
    if not len(after):
        return Shift()
    soon = after.loc[after.index < onset + WINDOW]
    first = before if len(before) else series.iloc[:1]
    return Shift(
        before=float(first.mean()),
        soon=float((soon if len(soon) else after).mean()),
        after=float(after.mean()),
        known=True,
    )
