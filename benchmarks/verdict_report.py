"""Tables of `benchmarks.verdicts`, from its finished runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean, median

from benchmarks.verdict_alarms import alarm_lines
from benchmarks.verdict_cells import batches, by_batch, by_way
from benchmarks.verdict_rows import Row

HEAD = """\
# Verdicts, hint and alarm on runs that nothing was chosen on

Written by `python -m benchmarks.verdicts`; the runs are in `verdicts.csv`. {sound} sound and
{broken} broken runs of the testbed, 150 steps of 4, 8, 16 or 64 prompts x 8 rollouts, `rollout=hf`,
`algorithm.lr=5e-4` where nothing else is said, seeds {first} to {last}, each its own;
`warning.action=warn` and `warning.audit=both`, or `kept` where the policy trusts no vote; one
thread a run, two side by side, on {machine}. No setting of verdicts, hint or alarm was chosen in
the worlds A (`data.kinds=HHMXHMHX data.wrong_rule=3`) and B (`data.kinds=HMMHXMXM`); in the default
world, of "votes only", those of the hint were.
"""
VERDICTS = """
## Verdicts

A broken run is a hit when one of the expected faults was told. *Since*: median of the step that
the expected fault is said to hold since, less the step at which the run was broken. *Accuracy*:
held out, before and after, mean.
"""


def write_report(rows: Sequence[Row], path: Path, *, machine: str) -> None:
    """Write the tables."""
    if not rows:
        return
    sound, broken = [r for r in rows if r.sound], [r for r in rows if not r.sound]
    seeds = [row.seed for row in rows]
    lines = [
        HEAD.format(
            sound=len(sound),
            broken=len(broken),
            first=min(seeds),
            last=max(seeds),
            machine=machine,
        ),
        *(VERDICTS, *verdict_table(broken), "", *sound_table(sound), "", *disputed(rows)),
        *alarm_lines(sound, broken),
    ]
    path.write_text("\n".join(lines) + "\n")


def verdict_table(broken: Sequence[Row]) -> list[str]:
    """Of each way to break a run, what was told."""
    lines = [
        f"| broken by | policy | expected | told | hits | batch {batches()} | since | accuracy |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for way, mine in by_way(broken):
        first = mine[0]
        lines.append(
            f"| {way} | {first.policy} | {_words(first.expected.split('|'), ' or ')} "
            f"| {_told(mine)} | {sum(row.hit for row in mine)} of {len(mine)} "
            f"| {by_batch(mine, lambda row: row.hit)} | {_since(mine)} | {_accuracy(mine)} |"
        )
    hits, each = sum(row.hit for row in broken), by_batch(broken, lambda row: row.hit)
    return [*lines, f"| **all** | | | | {hits} of {len(broken)} | {each} | | |"]


def sound_table(sound: Sequence[Row]) -> list[str]:
    """Of sound runs, what was told all the same."""
    lines = [
        f"| sound | runs | told | runs with a fault | by batch {batches()} | accuracy |",
        "|---|---|---|---|---|---|",
    ]
    for way, mine in [*by_way(sound), ("**all**", list(sound))]:
        lines.append(
            f"| {way} | {len(mine)} | {_told(mine)} | {sum(bool(r.told) for r in mine)} "
            f"| {by_batch(mine, lambda row: bool(row.told))} | {_accuracy(mine)} |"
        )
    return lines


def disputed(rows: Sequence[Row]) -> list[str]:
    """Each run whose verdict is not the expected one, with its accuracy."""
    lines = [
        "Runs with another verdict than the expected one:",
        "",
        "| seed | run | policy | batch | told | accuracy |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        if bool(row.told) if row.sound else not row.hit:
            faults = (fault.replace("@", " since ") for fault in row.faults.split())
            told = ", ".join(faults).replace("_", " ") or "nothing"
            lines.append(
                f"| {row.seed} | {row.way} | {row.policy} | {row.batch} | {told} "
                f"| {_accuracy([row])} |"
            )
    return lines if len(lines) > 4 else ["No run had another verdict than the expected one."]


def _told(rows: Sequence[Row]) -> str:
    """`collapsed 3, lost accuracy 1, nothing 1`."""
    told = Counter(fault for row in rows for fault in row.told)
    silent = sum(not row.told for row in rows)
    ordered = sorted(told.items(), key=lambda item: (-item[1], item[0]))
    words = [f"{fault.replace('_', ' ')} {count}" for fault, count in ordered]
    return ", ".join([*words, *([f"nothing {silent}"] if silent else [])])


def _words(faults: Iterable[str], between: str) -> str:
    return between.join(fault.replace("_", " ") for fault in faults)


def _since(rows: Sequence[Row]) -> str:
    """Median distance of the told step from the first broken one."""
    found = []
    for row in rows:
        told = dict(word.split("@") for word in row.faults.split())
        hit = [int(told[fault]) for fault in row.expected.split("|") if fault in told]
        found += [hit[0] - row.begins] if hit else []
    return f"{median(found):+.0f}" if found else ""


def _accuracy(rows: Sequence[Row]) -> str:
    start, end = fmean(r.accuracy_start for r in rows), fmean(r.accuracy_end for r in rows)
    return f"{start:.2f} -> {end:.2f}"
