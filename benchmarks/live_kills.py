"""`python -m benchmarks.live_kills`: job, bridge, or both are killed while labels are pending.

Testbed runs buy their labels through `rlavr labels serve` from a program that counts every key it
is asked, and answers in portions. With SIGKILL, at moments drawn from `--seed`, the job, the
bridge or both are ended and started again, until `--kills` have been counted; half of the moments
are those in which orders are in flight. Each run must end as an undisturbed one with the data
set's labels, bit by bit; the program must have been asked no key more often than the ledger says;
every label is charged once, `ledger verify` passes, and `budget_cost` holds. Else exit code 1, and
the run folders are kept.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.live_trial import BOTH, BRIDGE, JOB, KilledAt, LiveTrial, Moment, reference_run
from benchmarks.machine import machine

KILLS_PER_RUN = 10
STARTUP = {JOB: 14.0, BRIDGE: 6.0, BOTH: 14.0}
"""Seconds from a start within which moments are drawn: start-up, and some steps."""


def main() -> int:
    """Kill and continue, compare, report; 1 when anything is wrong."""
    arguments = _arguments()
    root = arguments.keep or Path(tempfile.mkdtemp(prefix="rlavr-live-"))
    rng = random.Random(arguments.seed)
    reference = reference_run(root / "reference")
    trials: list[LiveTrial] = []
    with tqdm(total=arguments.kills, unit="kill", desc="live kills") as bar:
        while (left := arguments.kills - sum(len(t.killed) for t in trials)) > 0:
            if len(trials) >= most_trials(arguments.kills):
                break
            trial = LiveTrial(folder=root / f"run-{len(trials)}", reference=reference)
            trials.append(trial)
            _kill_and_finish(trial, min(left, KILLS_PER_RUN), rng, bar)
    result = summarize(trials, seed=arguments.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "live_kills.json").write_text(json.dumps(result, indent=1) + "\n")
    print(as_text(result))
    whole = result["kills"] >= arguments.kills and all(not run["wrong"] for run in result["runs"])
    if whole and arguments.keep is None:
        shutil.rmtree(root)
    else:
        print(f"run folders and their output: {root}")
    return int(not whole)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live_kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1, help="of who is killed, and when")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="new folder for the runs, kept")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    if arguments.kills < 1:
        parser.error("--kills starts at 1")
    if arguments.keep is not None and arguments.keep.exists() and any(arguments.keep.iterdir()):
        parser.error(f"--keep {arguments.keep} is not empty; runs begin in new folders")
    return arguments


def most_trials(kills: int) -> int:
    """Runs that are tried at most: some end before all of their kills were made."""
    return 2 + 3 * -(-kills // KILLS_PER_RUN)


def _kill_and_finish(trial: LiveTrial, kills: int, rng: random.Random, bar: tqdm[Any]) -> None:
    with trial:
        for _ in range(kills):
            if not trial.kill(draw_moment(rng)):
                break
            bar.update()
        trial.finish()
    for line in trial.wrong:
        bar.write(f"{trial.folder.name}: {line}")


def draw_moment(rng: random.Random) -> Moment:
    """Who is killed, and when."""
    target = rng.choice((JOB, BRIDGE, BOTH))
    if rng.random() < 0.5:
        delay = rng.expovariate(4.0) if rng.random() < 0.5 else rng.uniform(0.0, STARTUP[target])
        return Moment(target=target, in_flight=True, delay=delay)
    return Moment(target=target, in_flight=False, delay=rng.uniform(0.0, STARTUP[target]))


def summarize(trials: Sequence[LiveTrial], *, seed: int) -> dict[str, Any]:
    """Everything that is reported."""
    killed = [one for trial in trials for one in trial.killed]
    return {
        "machine": machine(),
        "seed": seed,
        "kills": len(killed),
        "by_target": dict(Counter(one.target for one in killed).most_common()),
        "by_place": dict(Counter(one.place for one in killed).most_common()),
        "with_orders_in_flight": sum(one.in_flight > 0 for one in killed),
        "runs": [
            {
                "run": trial.folder.name,
                "killed": [_told(one) for one in trial.killed],
                "wrong": trial.wrong,
                **trial.facts,
            }
            for trial in trials
        ],
    }


def _told(one: KilledAt) -> str:
    return f"{one.target} at {one.place}, step {one.step}, {one.in_flight} in flight"


def as_text(result: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    good = sum(not run["wrong"] for run in result["runs"])
    lines = [
        "# Runs with live labels whose job and bridge were killed",
        "",
        f"{result['kills']} kills in {len(result['runs'])} runs, {good} of which ended as one with "
        f"the data set's labels; seed {result['seed']}; {result['machine']}.",
        f"{result['with_orders_in_flight']} kills met orders in flight.",
        "",
        "| killed | kills |",
        "|---|---|",
        *(f"| {target} | {count} |" for target, count in result["by_target"].items()),
        "",
        "| the job was | kills |",
        "|---|---|",
        *(f"| {place} | {count} |" for place, count in result["by_place"].items()),
        "",
        "| run | keys asked | calls | calls on record | labels | charged | cap | killed | result |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for run in result["runs"]:
        facts = [
            str(run.get(name, ""))
            for name in ("keys", "calls", "calls_on_record", "labels", "charged", "cap")
        ]
        outcome = "; ".join(run["wrong"]) or "identical"
        lines.append(
            f"| {run['run']} | {' | '.join(facts)} | {'; '.join(run['killed'])} | {outcome} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
