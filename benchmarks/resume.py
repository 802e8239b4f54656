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
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tqdm import tqdm

from benchmarks.kill_point import Point
from benchmarks.kill_tables import HF, KINDS, PHASES, STEPS, Kind
from benchmarks.killing import Trial, reference_of, seconds_to_first_step, steps_redone
from benchmarks.machine import machine

KILLS_PER_RUN = 5
ROUNDS = 4
"""How often points that were not reached are tried again."""
FARTHEST = 6
"""Steps that a start may go before it is killed: more than lie between two checkpoints."""
ALONE = 1 / 3
"""Share of the kills on two ranks that hit one rank alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A run, and in which phases it is to be killed."""

    name: str
    kind: Kind
    seed: int
    phases: tuple[str, ...]


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


def deck(kills: int) -> list[str]:
    """So many phases in proportion to their weights, the largest remainders first."""
    whole = sum(phase.weight for phase in PHASES.values())
    exact = {name: kills * phase.weight / whole for name, phase in PHASES.items()}
    counts = {name: int(share) for name, share in exact.items()}
    by_remainder = sorted(PHASES, key=lambda name: counts[name] - exact[name])
    for name in by_remainder[: kills - sum(counts.values())]:
        counts[name] += 1
    return [name for name, count in counts.items() for _ in range(count)]


def missing_phases(kills: int, trials: Sequence[Trial]) -> list[str]:
    """What is to be done: all at first, then the points that were passed over."""
    if not trials:
        return deck(kills)
    left = kills - sum(len(trial.kills) for trial in trials)
    return [phase for trial in trials for phase in trial.unhit][-left:] if left else []


def deal(phases: Sequence[str], rng: random.Random, *, first_run: int, again: bool) -> list[Task]:
    """Spread the phases over the kinds, by their shares, and over runs."""
    compilations = [phase for phase in phases if phase == "compile"]
    others = [phase for phase in phases if phase != "compile"]
    rng.shuffle(others)
    rest = compilations + others  # compilations do not depend on the kind, so the cheapest has them
    tasks: list[Task] = []
    for kind in (HF,) if again else KINDS:
        last = again or kind is KINDS[-1]
        count = len(rest) if last else min(len(rest), max(1, round(kind.share * len(phases))))
        mine, rest = rest[:count], rest[count:]
        rng.shuffle(mine)
        runs = -(-len(mine) // KILLS_PER_RUN)
        for number in range(runs):
            ordered = sorted(mine[number::runs], key=lambda name: PHASES[name].late)
            tasks.append(
                Task(
                    name=f"{kind.name.replace(', ', '-').replace(' ', '-')}-{first_run:03d}",
                    kind=kind,
                    seed=kind.seeds[number % len(kind.seeds)],
                    phases=tuple(ordered),
                )
            )
            first_run += 1
    return tasks


def draw_point(trial: Trial, phase: str, rng: random.Random) -> Point:
    """A random moment of a phase that the run, as it stands, has still before it."""
    about, kind = PHASES[phase], trial.kind
    low, high = (0.0, kind.startup) if phase == "start-up" else about.delay
    left = STEPS - trial.newest_step()
    skip = rng.randint(0, about.most if left > STEPS // 2 else 0)
    if about.per_step:
        steps = rng.randint(1, max(1, min(left, FARTHEST)))
        skip = (steps - 1) * about.per_step + rng.randrange(about.per_step)
    return trial.point(
        phase,
        skip=skip,
        delay=rng.uniform(low, high),
        cut=rng.random(),
        rank=rng.randrange(kind.ranks) if about.every_rank else 0,
        alone=kind.ranks > 1 and rng.random() < ALONE,
    )


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
