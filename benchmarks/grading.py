"""`python -m benchmarks.grading`: votes and rewards of one step against math-verify alone.

Twice: 64 x 8 answers of a generated LaTeX mix, and the real outputs in the shared data folder where
it is at hand. The yardstick is math-verify's plain sequential parse and verify of the same answers
(it makes no votes). Cold = empty caches, graders up; warm = the same step again. Rounds alternate;
medians. Exit code 1 when the mix misses a target (cold 5x, warm 50x) or a verdict differs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import math_verify
from math_verify.parser import extract_latex, parse_latex_cached
from sympy.core.cache import clear_cache
from tqdm import tqdm

from benchmarks.latex_mix import Problem, make_mix
from benchmarks.machine import machine
from rlavr_hpc.answers.exact.read import read_exact
from rlavr_hpc.answers.verifier import Verifier
from rlavr_hpc.cluster.topology import available_cores
from rlavr_hpc.labels.extract import last_boxed
from rlavr_hpc.types import Prompt, Rollout

SEED = 20
TARGETS = {"cold": 5.0, "warm": 50.0}
WARM_RUNS = 5
REAL = Path(__file__).resolve().parents[2] / "shared/data/math/rollouts_math50.jsonl"
MATH500 = REAL.with_name("math500.json")

Verdicts = list[tuple[bool, ...]]


def main() -> int:
    """Measure and print; returns 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grading", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=available_cores(os.environ))
    parser.add_argument("--seed", type=int, default=SEED, help="of the mix")
    arguments = parser.parse_args()
    sets = {"mix": make_mix(arguments.seed)}
    if REAL.exists():
        sets["real"] = read_real(REAL)
    print(f"{arguments.workers} graders, medians of {arguments.rounds} rounds, {machine()}")
    print("answers       math-verify     cold (ratio)     warm (ratio)   different verdicts")
    ok = [_report(name, problems, arguments) for name, problems in sets.items()]
    if MATH500.exists():
        answers = [row["answer"] for row in json.loads(MATH500.read_text())]
        exact = sum(read_exact(answer) is not None for answer in answers)
        print(f"{exact} of MATH-500's {len(answers)} answers are read without a grader")
    return 0 if all(ok) else 1


def _report(name: str, problems: Sequence[Problem], arguments: argparse.Namespace) -> bool:
    times: dict[str, list[float]] = {"yardstick": [], "cold": [], "warm": []}
    different: list[str] = []
    for _ in tqdm(range(arguments.rounds), desc=name, disable=not sys.stderr.isatty()):
        seconds, expected = run_yardstick(problems)
        times["yardstick"].append(seconds)
        cold, warm, verdicts = run_ours(problems, arguments.workers)
        times["cold"].append(cold)
        times["warm"].append(warm)
        different = differences(problems, verdicts, expected)
    base = median(times["yardstick"])
    ratio = {kind: base / median(times[kind]) for kind in TARGETS}
    answers = sum(len(problem.answers) for problem in problems)
    print(
        f"{name:5s} {answers:4d}    {base:8.3f} s "
        + " ".join(f"{median(times[kind]):8.4f} s {ratio[kind]:5.0f}x" for kind in TARGETS)
        + f"   {len(different)}"
    )
    for line in different:
        print(f"  {line}")
    fast = all(ratio[kind] >= target for kind, target in TARGETS.items())
    return name != "mix" or (fast and not different)


def run_yardstick(problems: Sequence[Problem]) -> tuple[float, Verdicts]:
    """Parse every answer and verify it against its gold, one after the other."""
    for cached in (parse_latex_cached, extract_latex):
        cached.cache_clear()
    clear_cache()
    start = time.perf_counter()
    verdicts = []
    for problem in problems:
        gold = math_verify.parse(f"${problem.gold}$")
        parsed = [math_verify.parse(f"${answer}$") for answer in problem.answers]
        verdicts.append(tuple(bool(math_verify.verify(gold, one)) for one in parsed))
    return time.perf_counter() - start, verdicts


def run_ours(problems: Sequence[Problem], workers: int) -> tuple[float, float, Verdicts]:
    """Seconds cold and warm, and the verdicts, of votes and rewards by the label."""
    prompts = [Prompt(id=str(i), text="", token_ids=(), task="math") for i in range(len(problems))]
    rollouts = [
        [_rollout(str(i), k, answer) for k, answer in enumerate(problem.answers)]
        for i, problem in enumerate(problems)
    ]
    labels = {str(i): problem.gold for i, problem in enumerate(problems)}
    verifier = Verifier(workers=workers)
    try:
        verifier.equality.pool.wait_until_ready()

        def step() -> tuple[float, Verdicts]:
            start = time.perf_counter()
            groups = verifier.vote(prompts, rollouts)
            verdicts = verifier.grade(groups, labels)
            for group in groups:
                verifier.against_vote(group)
            seconds = time.perf_counter() - start
            return seconds, [verdicts[prompt.id].correct for prompt in prompts]

        cold, verdicts = step()
        warm = median(step()[0] for _ in range(WARM_RUNS))
    finally:
        verifier.close()
    return cold, warm, verdicts


def differences(problems: Sequence[Problem], verdicts: Verdicts, expected: Verdicts) -> list[str]:
    """Where the two disagree, in words."""
    return [
        f"gold {problem.gold}, answer {answer}: ours {mine}, math-verify {theirs}"
        for problem, row, other in zip(problems, verdicts, expected, strict=True)
        for answer, mine, theirs in zip(problem.answers, row, other, strict=True)
        if mine != theirs
    ]


def read_real(path: Path) -> list[Problem]:
    """Model outputs on MATH: the boxed answers, as both sides get them."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [
        Problem(gold=row["answer"], answers=tuple(last_boxed(t) or "" for t in row["rollouts"]))
        for row in rows
    ]


def _rollout(prompt: str, sample: int, answer: str) -> Rollout:
    return Rollout(
        prompt_id=prompt,
        sample=sample,
        token_ids=(),
        logprobs=(),
        text=rf"\boxed{{{answer}}}",
        truncated=False,
    )


if __name__ == "__main__":
    sys.exit(main())
