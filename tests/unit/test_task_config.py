"""The config group `task`: what names a run, what is refused, and which class is used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rlavr_hpc.answers.sandbox.protocol import FAILED, MATCHES, READ
from rlavr_hpc.answers.sandbox.task_reader import serve
from rlavr_hpc.answers.tasks.protocol import Task
from rlavr_hpc.answers.tasks.registry import TASKS, check_task, load_task, make_tasks
from rlavr_hpc.config.grading import Extract
from rlavr_hpc.config.task import BUILT_IN, TaskConfig
from rlavr_hpc.data.load_split import load_split
from rlavr_hpc.errors import UserError
from rlavr_hpc.plugins import plugin_facts, plugin_targets, shipped_targets
from rlavr_hpc.runs.identity import changed_keys, from_dict, hash8, to_dict
from tests.support.configs import composed

OWN = ("task.name=mine", "task.target=own_task_module:Mine")
SOURCE = """
from dataclasses import dataclass
from rlavr_hpc.answers.tasks.protocol import Task

@dataclass
class Mine(Task):
    no_answer: float = -2.0

@dataclass
class Stranger:
    pass
"""


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "own_task_module.py"
    path.write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return path


def test_the_default_renames_no_run_and_is_no_plugin() -> None:
    before = composed("algorithm.lr=1e-3", "algorithm.overlong.buffer=0")  # since changed
    assert hash8(before) == "8dd45cdd"
    config = composed()
    assert "task" not in plugin_facts(config)
    older = {key: value for key, value in to_dict(config).items() if key != "task"}
    assert from_dict(older) == config


def test_name_and_settings_of_a_task_name_a_run_its_path_does_not() -> None:
    runs = [
        composed(),
        composed("task=math"),
        composed("task=text"),
        composed("task=text", "task.settings.tolerance=0.01"),
        composed(*OWN),
        composed(*OWN, "+task.settings.no_answer=1"),
    ]
    assert len({hash8(config) for config in runs}) == len(runs)
    elsewhere = composed(OWN[0], "task.target=moved.there:Mine")
    assert changed_keys(runs[4], elsewhere) == {}
    assert "own_task_module:Mine" in plugin_targets(runs[4])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["task.target=a.b:C"], r"task\.target=a\.b:C has no name of its own"),
        (["task.name=mine"], r"task\.target is missing: task\.name=mine"),
        (["+task.settings.x=1"], r"task\.settings\.x has no effect with task=auto"),
        (["task=math", "+task.settings.x=1"], r"task\.settings\.x has no effect with task=math"),
        (["task=text", "data.task=math"], "task=text and data.task=math contradict each other"),
    ],
)
def test_what_cannot_be_meant_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        composed(*overrides)


def test_every_task_of_the_program_has_its_option_and_its_class() -> None:
    shipped = shipped_targets("task")
    assert {*TASKS, "auto"} == set(shipped)
    assert make_tasks(Extract.boxed).keys() == set(TASKS)
    rules = make_tasks(Extract.boxed)
    for name in BUILT_IN:
        assert shipped[name] == f"{type(rules[name]).__module__}:{type(rules[name]).__name__}"
    assert (
        composed("task=text").task.settings.keys()
        == vars(type(load_task(TaskConfig(name="text", target=shipped["text"]))))[
            "__dataclass_fields__"
        ].keys()
    )


def test_a_task_named_by_the_config_is_that_of_all_prompts() -> None:
    config = composed("task=text")
    split = load_split(config.data, task=config.task_name)
    questions = (*split.train.questions, *split.held_out.questions)
    assert {question.task for question in questions} == {"text"}
    assert {q.task for q in load_split(composed().data).train.questions} == {"math"}


def test_a_class_of_ones_own_is_known_by_its_name(own_module: Path) -> None:
    own = TaskConfig(name="mine", target="own_task_module:Mine")
    assert make_tasks(Extract.boxed, config=own)["mine"].reward("", None, correct=False) == -2.0
    check_task("mine", own)
    with pytest.raises(UserError, match="'mine' is not one of choice, knights, math, text"):
        check_task("mine")
    stranger = TaskConfig(name="mine", target="own_task_module:Stranger")
    with pytest.raises(UserError, match=r"is not derived from rlavr_hpc\.answers\.tasks\.protoc"):
        make_tasks(Extract.boxed, config=stranger)
    absent = TaskConfig(name="mine", target="own_task_module:Absent")
    with pytest.raises(UserError, match=r"task\.target='own_task_module:Absent'"):
        make_tasks(Extract.boxed, config=absent)


def test_a_label_that_is_too_long_for_a_class_is_refused(own_module: Path) -> None:
    own = TaskConfig(name="mine", target="own_task_module:Mine")
    task = make_tasks(Extract.boxed, config=own)["mine"]
    assert task.accepted("x" * 20_000, "q")
    with pytest.raises(UserError, match="a label has 20,001 characters"):
        task.accepted("x" * 20_001, "q")


class Talkative(Task):
    """Quotes what it is given."""

    def extract(self, response: str, question: str) -> str:
        raise ValueError(f"cannot read {response}")

    def grade(self, answer: str, label: str, question: str) -> float:
        if answer == "text":
            return label  # type: ignore[return-value]
        raise ValueError(f"{answer} is not {label}")


def failure(*request: str) -> str:
    """What is told of a request at which the class fails."""
    match serve(Talkative(), request):
        case [str(kind), str(words)] if kind == FAILED:
            return words
    raise AssertionError("it does not fail")


def test_what_a_class_says_of_a_label_is_not_told() -> None:
    label = json.dumps(["4711", "How many?"])
    for answer in ("5", "text"):
        words = failure(MATCHES, "own", label, answer)
        assert "4711" not in words
        assert "Error" in words
        assert "line " in words
    assert "cannot read no number" in failure(READ, "own", json.dumps(["no number", "?"]))
