"""`python -m rlavr_hpc.telemetry.glossary.page [FILE]`: write docs/metrics.md from the glossary.

Without FILE the page goes to standard output.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from rlavr_hpc.telemetry.glossary.entries import GLOSSARY, GROUPS, ROW_KEYS
from rlavr_hpc.telemetry.glossary.metric_info import MetricInfo, Reduction

LEFT_OUT: Final = {
    "model FLOPs utilization (verl perf/mfu, prime-rl perf/mfu)": "needs the accelerator's peak "
    "and the model's operations per token; not measured yet",
    "values and returns (verl critic/values, critic/returns)": "there is no critic: advantages "
    "come from the group",
    "mean advantage (verl critic/advantages/mean)": "0 in every group by construction",
    "milliseconds per token (verl timing_per_token_ms)": "1000 over the perf/ rates",
    "prompts a second": "perf/responses_per_second over the group size",
    "time spent waiting for other ranks": "telling it apart takes a barrier in every phase, which "
    "costs time; perf/*_imbalance says what waiting is to be expected",
    "smallest length, longest and shortest prompt (verl prompt_length)": "tell nothing that the "
    "other lengths do not; prompts do not change",
    "perplexity ratio and chi-square of the sampler (verl rollout_corr)": "sampler_kl, "
    "sampler_ess and sampler_gap_max say the same",
    "votes that changed since the prompt came last": "a prompt comes again after an epoch; it "
    "would have to be kept in checkpoints",
    "tokens cut from the gradient, by sign (prime-rl masked_advantage)": "clip_low and clip_high "
    "are those of negative and positive advantage",
}
"""What other trainers report and this one does not -> why."""
HEAD: Final = """# Metrics

One JSON object per step in `metrics/N.jsonl` (N = the attempt), flat: `name: value`. A dashboard
mirrors these rows; the record on disk is always written. This page is made by
`python -m rlavr_hpc.telemetry.glossary.page docs/metrics.md`; programs read the same from
`rlavr_hpc.telemetry.glossary.entries`, which needs no torch.

Inside a step values are kept as a total and a count (or as an extreme), so that parts of different
size merge exactly over updates and ranks; a row holds total over count. A value over nothing is
left out of its row.

All but `time/`, `perf/` and `sys/` are equal, bit by bit, in a run that was interrupted and in one
that was not. What needs labels nobody bought stands under `oracle/` only.
"""
GLANCE: Final = """## At a glance

| question | look at |
|---|---|
| is it collapsing? | with `warning.audit` `collapse/alarm`; the hint `collapse/risk`, `collapse/majority_ratio`, `collapse/answer_entropy`, `labels/reward_gap`; with audit `oracle/true_reward` |
| have answers died out? | `collapse/unparsable`, `collapse/nothing_parsable`, `collapse/truncated`, `collapse/repetition` |
| is there anything to learn from? | `train/nonzero_advantage`, `collapse/zero_advantage`, `collapse/reward_std`, `train/entropy` |
| did the labels teach something? | `labels/vote_right` (nothing new), `labels/none_correct`, `oracle/selection_precision` |
| do sampler and trainer agree? | `train/sampler_gap`, `train/sampler_gap_max`, `train/sampler_correlation`, `train/sampler_ess` |
| what is slow? | `time/*`, `perf/generate_tokens_per_second`, `perf/train_tokens_per_second`, `perf/*_imbalance` |
"""  # noqa: E501
COLUMNS: Final = ("name", "unit", "range", "value", "meaning", "elsewhere")


def page() -> str:
    """The whole page."""
    row_keys = [f"- `{key}`: {meaning}" for key, meaning in ROW_KEYS.items()]
    parts = [
        HEAD,
        "Besides metrics a row has:\n",
        *row_keys,
        "",
        GLANCE,
        *map(_section, GROUPS),
        "## Not reported, and why\n",
        *_table(("elsewhere", "why not here"), LEFT_OUT.items()),
        "",
    ]
    return "\n".join(parts)


def _section(group: str) -> str:
    rows = [_cells(info) for info in GLOSSARY if info.group == group]
    return "\n".join([f"## {group}/\n", f"{GROUPS[group]}\n", *_table(COLUMNS, rows), ""])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(_escaped(line)) + " |" for line in lines]


def _escaped(cells: Iterable[str]) -> list[str]:
    return [cell.replace("|", r"\|") for cell in cells]


def _cells(info: MetricInfo) -> list[str]:
    return [
        f"`{info.name}`",
        info.unit,
        _range(info),
        _reduced(info),
        _meaning(info),
        "; ".join(info.elsewhere),
    ]


def _range(info: MetricInfo) -> str:
    if info.low is None and info.high is None:
        return "any"
    if info.high is None:
        return f"from {info.low:g}"
    return f"to {info.high:g}" if info.low is None else f"{info.low:g} to {info.high:g}"


def _reduced(info: MetricInfo) -> str:
    if info.reduction is Reduction.value:
        return "one a step"
    return f"{info.reduction} over {info.over}" if info.over else "total over total"


def _meaning(info: MetricInfo) -> str:
    formula = [f"`{info.formula}`."] if info.formula else []
    source = [f"Source: {info.source}."] if info.source else []
    when = [f"*{info.when[0].upper()}{info.when[1:]}.*"] if info.when else []
    return " ".join([info.meaning, *formula, *source, *when])


def main(arguments: Sequence[str]) -> int:
    """Write the page to the file named, or to standard output."""
    if arguments:
        Path(arguments[0]).write_text(page(), encoding="utf-8")
    else:
        sys.stdout.write(page())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
