"""`python -m benchmarks.resume`: are runs that were killed, and continued, those that were not?

Testbed runs are killed with SIGKILL in every phase, at moments drawn from `--seed`, and continued
by the same command, until `--kills` have been counted. Each must end with the weights, the probes,
the metrics, the decisions and the labels of an uninterrupted run of the same config, bit by bit;
else exit code 1, and the run folders are kept. A point that a run ends before is no kill, and is
tried again on another run. One-rank runs go two side by side with a thread each, two-rank runs
one after the other.
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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

from tqdm import tqdm

from benchmarks.kill_tables import KINDS, STEPS, Kind
from benchmarks.killing import Trial, reference_of, seconds_to_first_step, steps_redone
from benchmarks.machine import machine
from benchmarks.resume_tasks import (
    Task,
    deal,
    draw_point,
    missing_phases,
)

ROUNDS = 4
"""How often points that were not reached are tried again."""


def main() -> int:
    """Kill and continue, compare, report; 1 when anything differs or too few kills were made."""
    arguments = _arguments()
    root = arguments.keep or Path(tempfile.mkdtemp(prefix="rlavr-resume-"))
    trials: list[Trial] = []
    with tqdm(total=arguments.kills, unit="kill", desc="resume") as bar:
        for number in range(ROUNDS):
            phases = missing_phases(arguments.kills, trials)
            if not phases:
                break
            rng = random.Random(f"{arguments.seed}/{number}")
            tasks = deal(phases, rng, first_run=len(trials), again=number > 0)
            trials += _run_all(tasks, root, arguments.seed, bar)
    result = summarize(trials, seed=arguments.seed)
    text = as_text(result)
    _write(result, text, arguments.out)
    print(text)
    enough = result["kills"] >= arguments.kills
    same = all(run["result"] == "identical" for run in result["runs"])
    if same and enough and arguments.keep is None:
        shutil.rmtree(root)
    else:
        print(f"run folders and their output: {root}")
    if not enough:
        print(f"only {result['kills']} of {arguments.kills} kills were made", file=sys.stderr)
    return int(not (same and enough))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.resume", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1, help="of the phases and moments")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="new folder for the runs, kept")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    if arguments.kills < 1:
        parser.error("--kills starts at 1")
    if arguments.keep is not None and arguments.keep.exists() and any(arguments.keep.iterdir()):
        parser.error(f"--keep {arguments.keep} is not empty; runs begin in new folders")
    return arguments


def _run_all(tasks: Sequence[Task], root: Path, seed: int, bar: tqdm[Any]) -> list[Trial]:
    def one(task: Task) -> Trial:
        return run_task(task, root, random.Random(f"{seed}/{task.name}"), bar)

    def reference(kind_and_seed: tuple[Kind, int]) -> None:
        folder = _reference_folder(root, *kind_and_seed)
        if not folder.exists():
            reference_of(kind_and_seed[0], folder, kind_and_seed[1])

    trials: list[Trial] = []
    for ranks, at_once in ((1, 2), (2, 1)):
        mine = [task for task in tasks if task.kind.ranks == ranks]
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(reference, dict.fromkeys((task.kind, task.seed) for task in mine)))
            trials += pool.map(one, mine)
    return trials


def _reference_folder(root: Path, kind: Kind, seed: int) -> Path:
    return root / f"reference-{KINDS.index(kind)}-{seed}"


def run_task(task: Task, root: Path, rng: random.Random, bar: tqdm[Any]) -> Trial:
    """Kill a run in its phases, let it end, compare it."""
    trial = Trial(kind=task.kind, folder=root / task.name, seed=task.seed)
    for phase in task.phases:
        if trial.finished and trial.unhit:
            trial.unhit.append(phase)
        elif trial.kill(draw_point(trial, phase, rng)):
            bar.update()
    trial.finish()
    if (difference := trial.compare(_reference_folder(root, task.kind, task.seed))) is not None:
        bar.write(f"{task.name}: {difference}")
    return trial


def summarize(trials: Sequence[Trial], *, seed: int) -> dict[str, Any]:
    """Everything that is reported."""
    kills = [start for trial in trials for start in trial.kills]
    redone = sum(steps_redone(trial) for trial in trials)
    by_kind: Counter[str] = Counter()
    seconds: dict[str, list[float]] = {}
    for trial in trials:
        by_kind[trial.kind.name] += len(trial.kills)
        seconds.setdefault(trial.kind.name, []).extend(seconds_to_first_step(trial))
    return {
        "machine": machine(),
        "seed": seed,
        "kills": len(kills),
        "kills_of_one_rank_alone": sum(start.alone for start in kills),
        "not_reached": sum(len(trial.unhit) for trial in trials),
        "by_place": dict(Counter(str(start.step_key) for start in kills).most_common()),
        "by_kind": dict(by_kind),
        "steps_redone": redone,
        "steps_redone_per_kill": round(redone / max(1, len(kills)), 2),
        "seconds_to_first_step": {
            name: {"median": round(median(some), 1), "max": round(max(some), 1)}
            for name, some in seconds.items()
            if some
        },
        "runs": [_run_row(trial) for trial in trials],
    }


def _run_row(trial: Trial) -> dict[str, Any]:
    return {
        "run": trial.folder.name,
        "seed": trial.seed,
        "killed": [f"{start.step_key} of step {start.step}" for start in trial.kills],
        "result": trial.difference or "identical",
    }


def as_text(result: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    identical = sum(run["result"] == "identical" for run in result["runs"])
    lines = [
        "# Runs that were killed, and continued",
        "",
        f"{result['kills']} kills in {len(result['runs'])} runs, of which {identical} ended "
        f"identical to an uninterrupted run; seed {result['seed']}; {result['machine']}.",
        f"{result['kills_of_one_rank_alone']} kills hit one of two ranks alone. "
        f"{result['not_reached']} points were not reached before a run ended, and are no kills.",
        f"{result['steps_redone']} steps were done again, "
        f"{result['steps_redone_per_kill']:g} a kill (of {STEPS} steps a run).",
        "",
        "| kind of run | kills | seconds to the first new step, median | max |",
        "|---|---|---|---|",
    ]
    for name, count in result["by_kind"].items():
        some = result["seconds_to_first_step"].get(name, {"median": "", "max": ""})
        lines.append(f"| {name} | {count} | {some['median']} | {some['max']} |")
    lines += ["", "| killed in | kills |", "|---|---|"]
    lines += [f"| {step_key} | {count} |" for step_key, count in result["by_place"].items()]
    lines += ["", "| run | killed in | result |", "|---|---|---|"]
    lines += [
        f"| {run['run']} | {', '.join(run['killed'])} | {run['result']} |" for run in result["runs"]
    ]
    return "\n".join(lines)


def _write(result: Mapping[str, Any], text: str, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "resume.json").write_text(json.dumps(result, indent=1) + "\n")
    (out / "resume.md").write_text(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
