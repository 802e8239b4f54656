"""A task of one's own whose class hangs, crashes, eats memory or has errors; and a run with it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rlavr_hpc.answers.sandbox.process import Limits
from rlavr_hpc.answers.verifier import Grade, Verifier
from rlavr_hpc.config.task import TaskConfig
from rlavr_hpc.types import Group
from tests.support.commands import (
    REPOSITORY,
    TINY,
    metrics,
    purchases,
    results,
    rlavr,
    run,
    wait_for_step,
    weights_hash,
)
from tests.support.groups import prompt, rollout

LIMITS = Limits(cpu_seconds=0.5, memory_mib=256)
TRAPS = '''
import os, sys, time
from dataclasses import dataclass
from rlavr_hpc.answers.tasks.protocol import Task

def spring(text):
    """Do what the text asks for."""
    if "spin" in text:
        while True:
            pass
    if "sleep" in text:
        time.sleep(1000)
    if "eat" in text:
        grown = []
        while True:
            grown.append("x" * 10_000_000)
    if "die" in text:
        os._exit(1)
    if "leave" in text:
        sys.exit(3)
    if "fail" in text:
        raise ValueError("no such \\x1b[31mcolour")
    if "say" in text:
        print("said", flush=True)
        sys.stdin.read()

@dataclass(frozen=True)
class ExtractTask(Task):
    """Traps in `extract`."""

    no_answer: float = -1.0

    def extract(self, response, question):
        spring(response)
        return response.split()[-1] if response.split() else None

@dataclass(frozen=True)
class EqualTask(Task):
    """Traps in `equal`; answers are numbers modulo ten."""

    def extract(self, response, question):
        return response

    def equal(self, one, other):
        spring(one + other)
        return int(one) % 10 == int(other) % 10

@dataclass(frozen=True)
class GradeTask(Task):
    """Traps in `grade`, which pays part of the reward."""

    def extract(self, response, question):
        return response

    def grade(self, answer, label, question):
        spring(answer)
        return {"7": 1.0, "8": 0.25, "9": 2}.get(answer, 0)
'''
TRAPPED = ("spin", "sleep", "eat", "die", "leave", "fail")


@pytest.fixture
def traps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "traps.py").write_text(TRAPS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def graded(kind: str, texts: list[str], label: str = "7") -> tuple[Group, Grade]:
    """The vote on texts and their grades, by a class of `TRAPS`."""
    task = TaskConfig(name="traps", target=f"traps:{kind}")
    verifier = Verifier(limits=LIMITS, workers=2, task=task)
    rollouts = [rollout(text, sample=i) for i, text in enumerate(texts)]
    try:
        [voted] = verifier.vote([prompt(task="traps")], [rollouts])
        return voted, verifier.grade([voted], {"p1": label})["p1"]
    finally:
        verifier.close()


def test_a_response_that_extract_cannot_take_is_ungradable_and_the_others_vote(
    traps: Path, caplog: pytest.LogCaptureFixture
) -> None:
    texts = ["so 7", *TRAPPED, "say 7", "also 7", ""]
    start = time.monotonic()
    with caplog.at_level(logging.WARNING):
        voted, grade = graded("ExtractTask", texts)
    assert voted.vote.ungradable == (1, 2, 3, 4, 5, 6)
    assert voted.vote.clusters == ((0, 7, 8),)
    assert grade.correct == (True, *[False] * 6, True, True, False)
    assert grade.rewards == (1.0, *[-1.0] * 6, 1.0, 1.0, -1.0)
    assert time.monotonic() - start < 120
    [told] = [record.getMessage() for record in caplog.records]
    assert "task=traps: ValueError: no such \\x1b[31mcolour (traps.py, line" in told


def test_answers_that_equal_cannot_take_are_ungradable_and_the_others_vote(traps: Path) -> None:
    voted, _ = graded("EqualTask", ["1", "11", "2", "spin", "21", "fail"])
    assert voted.vote.ungradable == (3, 5)
    assert voted.vote.clusters == ((0, 1, 4), (2,))


def test_an_answer_that_grade_cannot_take_is_ungradable_and_the_others_earn(traps: Path) -> None:
    voted, grade = graded("GradeTask", ["7", "8", "9", "1", "spin", "fail"])
    assert voted.vote.ungradable == ()
    assert grade.ungradable == (4, 5)
    assert grade.rewards == (1.0, 0.25, 2.0, 0.0, 0.0, 0.0)
    assert grade.correct == (True, False, True, False, False, False)


def test_a_file_is_graded_by_a_class_of_ones_own(tmp_path: Path) -> None:
    line = {"id": 1, "answer": "1500", "rollouts": ["it is 1.5 km", "so 1500 m", "1600", "far"]}
    (tmp_path / "responses.jsonl").write_text(json.dumps(line))
    there = {"PYTHONPATH": f"{REPOSITORY / 'examples/own_task'}:{REPOSITORY}"}
    given = ("grade", str(tmp_path / "responses.jsonl"), "--task", "lengths:LengthTask")
    done = rlavr(*given, "--task-settings", '{"near": 0.1}', environment=there)
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    assert (row["clusters"], row["vote"]) == ([[0, 1], [2]], "1.5 km")
    assert (row["correct"], row["rewards"]) == ([True, True, False, False], [1.0, 1.0, 0.5, 0.0])
    wrong = rlavr(*given, "--task-settings", '{"nearly": 1}', environment=there)
    assert wrong.returncode == 2
    assert "task.settings.nearly: no such setting of lengths:LengthTask (near)" in wrong.stderr


MINE = '''
from dataclasses import dataclass
from rlavr_hpc.answers.tasks.protocol import Task, find_answer

@dataclass(frozen=True)
class MineTask(Task):
    """Numbers; those that end in `slow` take too long, those one off earn a half."""

    slow: str = "9"

    def extract(self, response, question):
        answer = find_answer(response)
        while answer and answer.endswith(self.slow):
            pass
        return answer if answer and answer.isdigit() else None

    def equal(self, one, other):
        return int(one) == int(other)

    def grade(self, answer, label, question):
        gap = abs(int(answer) - int(label))
        return 1.0 if gap == 0 else 0.5 if gap == 1 else 0.0
'''


def test_a_run_with_it_trains_votes_grades_and_resumes_exactly(tmp_path: Path) -> None:
    source = tmp_path / "mine.py"
    source.write_text(MINE)
    (tmp_path / "conf/task").mkdir(parents=True)
    (tmp_path / "conf/task/mine.yaml").write_text(
        'name: mine\ntarget: mine:MineTask\nsettings:\n  slow: "9"\n'
    )
    settings = (
        f"hydra.searchpath=[file://{tmp_path}/conf]",
        "task=mine",
        *TINY,
        "acquisition=random",
        "budget=0.5",
        "unlabelled=pseudo",
        "rollout=hf",
        "grading.cpu_seconds=0.1",
        "eval_every=0",
        "save_every=0",
    )
    there = {"PYTHONPATH": f"{tmp_path}:{REPOSITORY}"}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    done = run(*settings, "steps=2", f"run_dir={whole}", environment=there)
    assert done.returncode == 0, done.stderr
    rows = results(metrics(whole))
    assert sum(row.get("grade/ungradable", 0) for row in rows) > 0
    assert any(row.get("train/grad_norm", 0) > 0 for row in rows)
    assert [step for step, *_ in purchases(whole)] == [1] * 8 + [2] * 8

    killed = subprocess.Popen(
        [sys.executable, "-m", "rlavr_hpc.run", *settings, "steps=3", f"run_dir={parts}"],
        cwd=REPOSITORY,
        env={**os.environ, **there},
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_step(parts, 2)
    finally:
        killed.kill()
        killed.wait()
    # again from the start, by a class that hangs nowhere: the record says what was ungradable
    source.write_text(MINE.replace("while answer", "if answer"))
    again = run(*settings, "steps=2", f"run_dir={parts}", environment=there)
    assert again.returncode == 0, again.stderr
    assert "task=mine (mine:MineTask)" in again.stderr  # its source code has changed
    assert weights_hash(parts, 2) == weights_hash(whole, 2)
    assert results(metrics(parts, attempt=2)) == rows
    assert [one for one in purchases(parts) if one[0] <= 2] == purchases(whole)


def test_mistakes_with_a_task_of_ones_own_end_a_run_before_anything_is_loaded(
    tmp_path: Path,
) -> None:
    there = {"PYTHONPATH": f"{REPOSITORY / 'examples/own_task'}:{REPOSITORY}"}
    own = f"hydra.searchpath=[file://{REPOSITORY}/examples/own_task/conf]"
    for overrides, said in (
        (("+task.settings.nere=1",), "task.settings.nere: no such setting"),
        (("task.name=text",), "goes by the name 'text'"),
        (("task.target=lengths:metres",), "'lengths:metres' is not a dataclass"),
        (("task.target=margin:Nothing",), "No module named 'margin'"),
        (("data.task=math",), "task=lengths and data.task=math contradict each other"),
    ):
        done = run(own, "task=lengths", *overrides, f"root={tmp_path}", environment=there)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
        assert "Traceback" not in done.stderr
