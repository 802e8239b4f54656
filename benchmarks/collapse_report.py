"""Tables of `benchmarks.collapse`, from its judged runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from analysis.run_findings import CollapseVerdict
from rlavr_hpc.telemetry import names

WITHIN = 10
"""Steps between the detected and the defined onset that are promised."""
TUNED_SEEDS = (1, 2)
"""On which the limits of `told` were chosen."""
FULL = "full"
HEAD = """\
# Is a collapse found, and how early could one have known?

Written by `python -m benchmarks.collapse`; the runs are in `collapse.csv`. Testbed, 150
steps of 64 prompts x 8 rollouts, judged on {machine}.

## Onset: change points against the definition

Error = detected minus defined onset in steps, median (quartiles). Missed: collapsed by the
definition only; false: by the detector only. The detector's penalties and floor were chosen
with seeds 1 to 8 in view.
"""
SIGNALS_SAID = """
## Label-free signals, each by itself

Lead = defined onset minus the first step at which someone who watches only this signal, and
does not know the future, would have been told; negative = late. Median (quartiles) over the
collapsed runs that it tells of. Where a signal tells of most runs that did not collapse, its
lead is worth nothing. *Together* is `CollapseVerdict.detected`.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A run of the study and the verdict on it."""

    arm: str
    budget: float
    seed: int
    verdict: CollapseVerdict

    @property
    def defined(self) -> int | None:
        """The onset by the definition."""
        return self.verdict.defined_onset

    @property
    def error(self) -> int | None:
        """Detected minus defined onset; None unless both exist."""
        onset = self.verdict.change_point
        return None if onset is None or self.defined is None else onset - self.defined

    def detected_by(self, signal: str) -> int | None:
        """When a signal alone would have told."""
        return next((s.detected for s in self.verdict.signals if s.signal == signal), None)


Told = Callable[[Judged], int | None]


def signals_of(judged: Sequence[Judged]) -> list[str]:
    """The label-free signals that any run reports, by name."""
    return sorted({s.signal for one in judged for s in one.verdict.signals if s.label_free})


def broken(judged: Sequence[Judged]) -> list[str]:
    """Broken promises, one line each; empty = all are kept."""
    lines = []
    for one in judged:
        name = f"{one.arm} {one.budget:g} seed {one.seed}"
        if one.defined is not None and (one.error is None or abs(one.error) > WITHIN):
            found = one.verdict.change_point or "none"
            lines.append(f"BROKEN: {name}: onset {found}, by the definition {one.defined}")
        heard = one.verdict.warned or one.verdict.detected
        if one.arm == FULL and (one.verdict.collapsed or heard is not None):
            lines.append(f"BROKEN: {name}: an alarm on a run with every label")
    return lines


def write_report(judged: Sequence[Judged], path: Path, *, machine: str) -> None:
    """Write the tables."""
    path.write_text("\n".join(_lines(judged, machine)) + "\n")


def _lines(judged: Sequence[Judged], machine: str) -> list[str]:
    later = [one for one in judged if one.seed not in TUNED_SEEDS]
    tuned = [one for one in judged if one.seed in TUNED_SEEDS]
    return [
        HEAD.format(machine=machine),
        *_onsets(judged),
        SIGNALS_SAID,
        *_signals(judged),
        "\n## All label-free signals together, by policy\n",
        *_by_arm(judged),
        "\nThe limits of *together* were chosen on seeds 1 and 2:\n",
        "| seeds | collapsed | told of | lead | not collapsed | told of |",
        "|---|---|---|---|---|---|",
        *(
            f"| {name} {_heard(part, _together)}"
            for name, part in (("1 and 2", tuned), ("the others", later))
            if part
        ),
    ]


def _together(one: Judged) -> int | None:
    return one.verdict.detected


def _warning(one: Judged) -> int | None:
    return one.verdict.warned


def _onsets(judged: Sequence[Judged]) -> list[str]:
    lines = [
        f"| policy | runs | collapsed | found | within {WITHIN} steps | error | missed | false |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, mine in [*_arms(judged), ("**all**", list(judged))]:
        errors = [one.error for one in mine if one.error is not None]
        bad = [one for one in mine if one.defined is not None]
        near = sum(abs(error) <= WITHIN for error in errors)
        false = sum((one.verdict.change_point is not None) and one.defined is None for one in mine)
        lines.append(
            f"| {name} | {len(mine)} | {len(bad)} | {len(errors)} | {near} | {_spread(errors)} "
            f"| {len(bad) - len(errors)} | {false} |"
        )
    return lines


def _signals(judged: Sequence[Judged]) -> list[str]:
    lines = [
        "| signal | collapsed | told of | lead | not collapsed | told of | of these `full` |",
        "|---|---|---|---|---|---|---|",
    ]
    voices: list[tuple[str, Told]] = [("**together**", _together), ("hint of collapse", _warning)]
    voices += [
        (f"`{signal}`", lambda one, signal=signal: one.detected_by(signal))  # type: ignore[misc]
        for signal in signals_of(judged)
        if signal != names.COLLAPSE_RISK
    ]
    for name, told in voices:
        on_full = sum(one.arm == FULL and told(one) is not None for one in judged)
        lines.append(f"| {name} {_heard(judged, told)} {on_full} |")
    return lines


def _by_arm(judged: Sequence[Judged]) -> list[str]:
    return [
        "| policy | collapsed | told of | lead | not collapsed | told of |",
        "|---|---|---|---|---|---|",
        *(f"| {name} {_heard(mine, _together)}" for name, mine in _arms(judged)),
    ]


def _heard(judged: Sequence[Judged], told: Told) -> str:
    """Cells: collapsed, told of, lead, not collapsed, told of."""
    bad = [(one.defined, told(one)) for one in judged if one.defined is not None]
    leads = [onset - step for onset, step in bad if onset is not None and step is not None]
    good = [told(one) for one in judged if one.defined is None]
    false = sum(step is not None for step in good)
    return f"| {len(bad)} | {len(leads)} | {_spread(leads)} | {len(good)} | {false} |"


def _spread(values: Sequence[int]) -> str:
    """Median and quartiles."""
    if not values:
        return ""
    if len(values) == 1:
        return f"{values[0]:+d}"
    low, _, high = quantiles(values, n=4, method="inclusive")
    return f"{round(median(values)):+d} ({round(low):+d} to {round(high):+d})"


def _arms(judged: Sequence[Judged]) -> list[tuple[str, list[Judged]]]:
    found: dict[str, list[Judged]] = {}
    for one in judged:
        found.setdefault(f"{one.arm}, {one.budget:.0%}", []).append(one)
    return sorted(found.items())
