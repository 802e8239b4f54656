"""`policies.md` and `policies.png`, from the finished runs of `benchmarks.policies`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.policy_arms import DEFAULT
from benchmarks.policy_differences import differences
from benchmarks.policy_hint import hint_section
from benchmarks.policy_lines import Lines, lines_of
from benchmarks.policy_plan import BUDGET, RATES_STUDY, REASONING, REUSE, VOTE, WORLDS
from benchmarks.policy_plot import draw_curves
from benchmarks.policy_rows import Row
from benchmarks.policy_tables import by_budget, details, overview, rates_table, vote_table, worlds

HEAD = """\
# Which labels to buy?

Written by `python -m benchmarks.policies`; the runs are in `policies.csv`. Testbed, 150 steps of
64 prompts x 8 rollouts (*reasoning*: `experiment=reasoning` with its own steps), `rollout=hf`, one
thread a run.

- *Accuracy*: held out, at the end; the mean over seeds and its 95% interval by Student's t. *Best*:
  the mean of each run's best evaluation.
- *Share of full*: accuracy by that of `full`. *Random to full*: (accuracy - random's) by (full's -
  random's), at the same budget. Both with the same seeds throughout and the 95% interval by
  Fieller's theorem (1954); "-" where a line is missing or full's lead is within noise.
- *Cut off*: share of responses that ran into their limit in the last ten steps. *Faults*: how many
  runs end with each (docs/collapse.md).
- *n*: runs, or worlds, that a mean is taken over.
"""
NOISE = """
Each difference is the mean over seeds that both policies have, with its 95% interval by Student's
t on the seeds' differences. *Better* and *worse*: the interval excludes zero. Of so many rows one
in twenty would by chance alone.
"""
VOTE_SAID = """
`acquisition=none`, one seed. Held-out accuracy before and after training; in brackets the share of
right votes in the first five steps, over all prompts. A change below 0.05 is called neither. With
more pre-training the model holds its beliefs more firmly: see docs/testbed.md.
"""
RATES_SAID = """
How `algorithm.lr` of the testbed was chosen: by these policies alone, on seeds 101 to 104, which no
other study has.
"""


def write_report(rows: Sequence[Row], out: Path) -> None:
    """Write `policies.md`, and `policies.png` where there are runs of the default world.

    Args:
        rows: the finished runs.
        out: folder for both.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / "policies.md").write_text("\n".join(report_of(rows)) + "\n")
    budget = lines_of(rows, BUDGET)
    if budget:
        draw_curves(budget, lines_of(rows, REUSE), out / "policies.png")


def report_of(rows: Sequence[Row]) -> list[str]:
    """The lines of `policies.md`."""
    if not rows:
        return [HEAD, "No run has been made yet."]
    machines = ", ".join(dict.fromkeys(row.machine for row in rows))
    hours = sum(row.seconds for row in rows) / 3600
    found = [HEAD, f"{len(rows)} runs on {machines}; {hours:.1f} hours of runs together."]
    for study, section in SECTIONS.items():
        lines = lines_of(rows, study)
        found += ["", *section(lines)] if lines else []
    return [*found, "", *hint_section(rows)]


def _budget_section(lines: Lines) -> list[str]:
    found = ["## Share of a step's prompts bought, no label reused", "", *by_budget(lines), ""]
    found += [*details(lines, DEFAULT.name), ""]
    return found + _noise(differences(lines))


def _worlds_section(lines: Lines) -> list[str]:
    found = ["## Worlds that nobody tuned on", "", *overview(lines), *worlds(lines), ""]
    return found + _noise(differences(lines, together=True))


def _reasoning_section(lines: Lines) -> list[str]:
    found = ["## The testbed with worked steps", *worlds(lines), ""]
    return found + _noise(differences(lines))


def _noise(table: list[str]) -> list[str]:
    return ["### Which differences are within noise", NOISE, *table] if table else []


def _vote_section(lines: Lines) -> list[str]:
    return ["## When the vote alone helps, and when it harms", VOTE_SAID, *vote_table(lines)]


def _rates_section(lines: Lines) -> list[str]:
    return ["## The learning rate", RATES_SAID, *rates_table(lines)]


def _reuse_section(lines: Lines) -> list[str]:
    return [
        "## Share of all prompts bought, labels reused",
        "",
        *details(lines, DEFAULT.name),
    ]


SECTIONS = {
    BUDGET: _budget_section,
    WORLDS: _worlds_section,
    REASONING: _reasoning_section,
    VOTE: _vote_section,
    RATES_STUDY: _rates_section,
    REUSE: _reuse_section,
}
"""In the order of the report."""
