"""`rlavr grade FILE`: vote on and grade responses from a file."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

from rlavr_hpc.answers.grade_requests import GradeRequest, read_requests
from rlavr_hpc.answers.sandbox.process import Limits
from rlavr_hpc.answers.tasks.registry import TASKS, load_task
from rlavr_hpc.answers.verifier import Grade, Verifier
from rlavr_hpc.cluster.topology import available_cores
from rlavr_hpc.config.checks import at_least
from rlavr_hpc.config.grading import Extract, GradingConfig, Thoughts
from rlavr_hpc.config.task import AUTO, TaskConfig
from rlavr_hpc.errors import ExitCode, UserError
from rlavr_hpc.io import replacing
from rlavr_hpc.plugins import shipped_targets
from rlavr_hpc.types import Group

BATCH = 32
"""Lines graded at once."""
DESCRIPTION = """\
Extract the answers of responses, take the majority vote and compare with the label, as training
does.

FILE holds one JSON object per line: {"id": ..., "answer": ..., "rollouts": ["...", ...]}. `answer`
is a text, a number, or a list of accepted answers. Lines for knights-and-knaves puzzles may hold
the puzzle as "prompt", which gives the names.
"""
EPILOG = """\
Each output line is a JSON object with: id; extracted (answers, null where there is none); clusters
(indices of equal answers, largest cluster first); vote; majority_ratio; correct and ungradable (one
boolean per rollout); with --task text or your own also rewards (one number per rollout). An answer
is ungradable if grading it passed a limit on time or memory; it does not vote and is not correct.

Examples:
  rlavr grade responses.jsonl --out grades.jsonl
  rlavr grade puzzles.jsonl --task knights
  rlavr grade names.jsonl --task text --task-settings '{"tolerance": 0.01}'
  rlavr grade units.jsonl --task units:UnitsTask

Exit codes: 0 done, 1 failed, 2 your mistake.
"""


def run(given: argparse.Namespace) -> int:
    """Grade a file; returns the exit code."""
    at_least("--workers", given.workers, 0)
    settings = GradingConfig(
        extract=Extract(given.extract or Extract.auto),
        thoughts=Thoughts(given.thoughts),
        evaluate_expressions=given.evaluate_expressions,
        cpu_seconds=given.cpu_seconds,
        memory_mib=given.memory_mib,
    )
    task = _task(given.task, given.task_settings)
    if given.extract and task.name != "math":
        raise UserError(f"--extract {settings.extract} is for --task math")
    if not given.file.is_file():
        raise UserError(f"{given.file} is not a file; name a file of JSON lines")
    count = sum(1 for _ in read_requests(given.file, task.name))  # all of it, before any work
    workers = given.workers or available_cores(os.environ)
    limits = Limits(cpu_seconds=settings.cpu_seconds, memory_mib=settings.memory_mib)
    verifier = Verifier(
        limits=limits,
        workers=workers,
        where=settings.extract,
        thoughts=settings.thoughts,
        evaluate=settings.evaluate_expressions,
        task=task,
    )
    try:
        with _output(given.out, source=given.file) as out:
            _grade(read_requests(given.file, task.name), count, verifier, out)
    finally:
        verifier.close()
    return ExitCode.DONE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `rlavr grade`."""
    parser.add_argument("file", type=Path, metavar="FILE", help="JSON lines to grade")
    parser.add_argument(
        "--task",
        metavar="TASK",
        default="math",
        help=f"kind of answers: {', '.join(TASKS)}, or package.module:Class for a task of your own "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--task-settings",
        metavar="JSON",
        default="{}",
        help="settings of --task text or of your own, such as '{\"tolerance\": 0.01}'",
    )
    parser.add_argument(
        "--extract",
        choices=[str(e) for e in Extract],
        help="where a math answer is looked for: behind the last mark of whatever kind (auto, the "
        "default); in \\boxed{...} (boxed); in a line 'Answer: ...' (line); in an <answer> block "
        "(block); behind #### (hashes); in a box, else after 'the answer is' (stated); the last "
        "formula, expression or number (any)",
    )
    parser.add_argument(
        "--thoughts",
        choices=[str(t) for t in Thoughts],
        default=str(Thoughts.skip),
        help="whether an answer may stand in <think>...</think> (default: %(default)s)",
    )
    parser.add_argument(
        "--evaluate-expressions",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether 41+6 equals 47 (default: yes)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="output file (default: standard output)"
    )
    defaults = GradingConfig()
    parser.add_argument(
        "--cpu-seconds",
        type=float,
        default=defaults.cpu_seconds,
        metavar="SECONDS",
        help="limit on CPU time to read or compare one answer (default: %(default)s)",
    )
    parser.add_argument(
        "--memory-mib",
        type=int,
        default=defaults.memory_mib,
        metavar="MIB",
        help="limit on memory for it, in MiB, beyond an idle process (default: %(default)s)",
    )
    parser.add_argument(
        "--workers", type=int, default=0, metavar="N", help="grader processes (default: 0 = cores)"
    )


def _task(named: str, settings: str) -> TaskConfig:
    """The task that the options mean; its class is looked at before anything is graded."""
    try:
        values = json.loads(settings)
        if not isinstance(values, dict):
            raise ValueError("it is no JSON object")
    except ValueError as error:
        raise UserError(f"--task-settings {settings}: {error}") from error
    if named in shipped_targets("task") and named != AUTO:
        return TaskConfig(name=named, target=shipped_targets("task")[named], settings=values)
    if ":" not in named:
        raise UserError(f"--task {named}: use {', '.join(TASKS)}, or package.module:Class")
    task = TaskConfig(name=named.rpartition(":")[2], target=named, settings=values)
    load_task(task)
    return task


@contextmanager
def _output(path: Path | None, *, source: Path) -> Iterator[IO[str]]:
    """Where the rows go: a regular file appears whole or not at all."""
    if path is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    if path.is_dir() or not path.parent.is_dir():
        raise UserError(f"--out {path} cannot be written: name a file in a folder that exists")
    if path.exists() and path.samefile(source):
        raise UserError(f"--out {path} is the input; name another file")
    special = path.exists() and not path.is_file()  # a device or a pipe is not replaced
    with path.open("w", encoding="utf-8") if special else replacing(path) as file:
        yield file


def _grade(lines: Iterator[GradeRequest], count: int, verifier: Verifier, out: IO[str]) -> None:
    with tqdm(total=count, unit="line", disable=not sys.stderr.isatty()) as bar:
        while batch := list(islice(lines, BATCH)):
            groups = verifier.vote([x.prompt for x in batch], [x.rollouts for x in batch])
            labels = {line.prompt.id: line.answer for line in batch}
            grades = verifier.grade(groups, labels)
            for line, group in zip(batch, groups, strict=True):
                row = as_row(group, grades[line.prompt.id])
                if line.prompt.task in verifier.own:
                    row["rewards"] = list(grades[line.prompt.id].rewards)
                out.write(json.dumps({"id": line.id, **row}) + "\n")
            bar.update(len(batch))


def as_row(group: Group, grade: Grade) -> dict[str, Any]:
    """What an output line says of a group, its id apart."""
    lost = {*group.vote.ungradable, *grade.ungradable}
    return {
        "extracted": list(group.vote.answers),
        "clusters": [list(members) for members in group.vote.clusters],
        "vote": group.vote.winner,
        "majority_ratio": group.vote.majority_ratio,
        "correct": list(grade.correct),
        "ungradable": [i in lost for i in range(len(group.rollouts))],
    }
