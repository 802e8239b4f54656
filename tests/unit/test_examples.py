from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rlavr_hpc.errors import FencedError, RlavrError
from rlavr_hpc.runs.attempts import segment
from rlavr_hpc.runs.find import find_runs
from rlavr_hpc.telemetry.examples.record import (
    Example,
    ExamplesFile,
    choose_examples,
    is_due,
    read_examples,
    shorten,
)
from rlavr_hpc.telemetry.examples.table import as_table
from rlavr_hpc.training_types import TrainingGroup
from rlavr_hpc.types import Label, StepKey
from tests.support.attempts import begin_attempt
from tests.support.groups import PLACE, group

SECRET = "label-4711"


def signal(name: str, *, bought: bool) -> TrainingGroup:
    rewards = (0.0, 1.0, 0.0) if bought else (1.0, 0.0, 1.0)
    return TrainingGroup(
        group=group(["3", "4", "3"], name=name),
        rewards=rewards,
        weight=float(bought),
        bought=bought,
    )


def label(name: str, *, reused: bool = False) -> Label:
    return Label(prompt_id=name, answer=SECRET, cost=1.0, reused=reused)


def chosen(bought: int, others: int, *, step: int = 1, prompts: int = 4) -> list[Example]:
    """Of a step with as many bought prompts `b0`... and others `o0`..."""
    names = [f"b{i}" for i in range(bought)]
    signals = [signal(name, bought=True) for name in names]
    signals += [signal(f"o{i}", bought=False) for i in range(others)]
    return choose_examples(
        signals,
        {name: label(name) for name in names},
        step_key=StepKey(seed=1, step=step),
        attempt=1,
        prompts=prompts,
    )


def first_letters(examples: list[Example]) -> str:
    return "".join(example.prompt_id[0] for example in examples)


@pytest.mark.parametrize(
    ("bought", "others", "kinds"),
    [(10, 10, "bboo"), (1, 10, "booo"), (10, 1, "bbbo"), (0, 10, "oooo"), (1, 1, "bo")],
)
def test_half_of_the_examples_have_a_label_as_far_as_there_are_such(
    bought: int, others: int, kinds: str
) -> None:
    assert first_letters(chosen(bought, others)) == kinds


def test_the_same_step_shows_the_same_prompts_and_another_shows_others() -> None:
    names = [[e.prompt_id for e in chosen(40, 40, step=step)] for step in (1, 1, 2)]
    assert names[0] == names[1] != names[2]


def test_an_example_says_what_was_answered_and_what_it_earned() -> None:
    group_ = group(["3", "4", "3", None, "4"], name="p")
    rewards = (0.0, 1.0, 0.0, 0.0, 1.0)
    given = TrainingGroup(group=group_, rewards=rewards, weight=1.0, bought=True)
    [example] = choose_examples(
        [given], {"p": label("p", reused=True)}, step_key=PLACE, attempt=3, prompts=4
    )
    assert (example.vote, example.majority_ratio, example.weight) == ("3", 0.4, 1.0)
    assert (example.labelled, example.reused, example.label) == (True, True, SECRET)
    told = [(r.sample, r.answer, r.agrees, r.reward) for r in example.responses]
    assert told == [
        (0, "3", True, 0.0),
        (1, "4", False, 1.0),
        (2, "3", True, 0.0),
        (3, None, False, 0.0),
    ]
    assert example.responses[0].text == "so \\boxed{3}"


def test_a_long_text_keeps_its_beginning_and_its_end() -> None:
    assert shorten("x" * 2000) == "x" * 2000
    text = "b" * 1200 + "m" * 500 + "e" * 800
    assert shorten(text) == "b" * 1200 + "\n[... 500 characters ...]\n" + "e" * 800


@pytest.mark.parametrize(
    ("every", "steps"), [(0, []), (1, [1, 2, 3, 4, 5, 6, 7]), (3, [1, 3, 6]), (100, [1])]
)
def test_examples_are_due_at_the_first_step_and_every_so_many(every: int, steps: list[int]) -> None:
    assert [step for step in range(1, 8) if is_due(step, every=every)] == steps


def write(run_dir: Path, attempt: int, examples: list[Example]) -> None:
    ExamplesFile(run_dir, attempt, fence=lambda: None).write(examples)


def test_of_a_step_that_was_done_again_the_later_attempts_examples_count(tmp_path: Path) -> None:
    begin_attempt(tmp_path, resumed_from=0)
    first = chosen(2, 2, step=1)
    write(tmp_path, 1, [*first, *chosen(2, 2, step=5)])
    begin_attempt(tmp_path, resumed_from=4)
    again = [replace(example, attempt=2) for example in chosen(2, 1, step=5)]
    write(tmp_path, 2, again)
    assert read_examples(tmp_path) == [*first, *again]


def test_what_an_attempt_writes_after_it_was_superseded_does_not_count(tmp_path: Path) -> None:
    begin_attempt(tmp_path, resumed_from=0)
    late = ExamplesFile(tmp_path, 1, fence=lambda: None)
    first = chosen(1, 1, step=1)
    late.write(first)
    begin_attempt(tmp_path, resumed_from=1)
    late.write(chosen(1, 1, step=2))
    assert read_examples(tmp_path) == first


def test_a_superseded_attempt_writes_no_examples(tmp_path: Path) -> None:
    def fence() -> None:
        raise FencedError("superseded")

    with pytest.raises(FencedError):
        ExamplesFile(tmp_path, 1, fence=fence).write(chosen(1, 1))
    assert list(tmp_path.iterdir()) == []


def test_a_run_from_before_there_were_examples_has_none_and_is_no_damage(tmp_path: Path) -> None:
    begin_attempt(tmp_path, resumed_from=0)
    begin_attempt(tmp_path, resumed_from=0)
    token = json.loads((tmp_path / "attempts/2.json").read_text())
    del token["seals"]["examples"]
    (tmp_path / "attempts/2.json").write_text(json.dumps(token))
    assert read_examples(tmp_path) == []
    write(tmp_path, 2, chosen(1, 1))
    assert len(read_examples(tmp_path)) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"v": 2}, "version 2 is not 1"),
        ({"step": "one"}, "step 'one'"),
        ({"responses": [{"sample": 0}]}, "not an example of rollouts"),
        ({"responses": 3}, "not an example of rollouts"),
    ],
)
def test_a_damaged_or_newer_line_is_named_by_file_and_number(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    begin_attempt(tmp_path, resumed_from=0)
    write(tmp_path, 1, chosen(1, 0))
    path = segment(tmp_path, "examples", 1)
    path.write_text(json.dumps(json.loads(path.read_text()) | change) + "\n")
    with pytest.raises(RlavrError, match=said) as caught:
        read_examples(tmp_path)
    assert "examples/1.jsonl:1" in str(caught.value)


def test_without_leave_nothing_is_shown_of_a_prompt_whose_label_was_paid_for() -> None:
    examples = chosen(2, 2)
    table = as_table(examples, share_labels=False)
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert SECRET not in repr(table)
    assert {row["prompt_id"] for row in rows} == {e.prompt_id for e in examples if not e.labelled}
    assert [row["reward"] for row in rows] == [1.0, 0.0, 1.0] * 2
    told = {(row["label"], row["correct"], row["labelled"]) for row in rows}
    assert told == {(None, None, False)}
    assert as_table(chosen(2, 0), share_labels=False).rows == ()


def test_with_leave_the_table_shows_labels_that_were_paid_for_and_no_other() -> None:
    table = as_table(chosen(1, 1), share_labels=True)
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert [(row["label"], row["reward"], row["correct"]) for row in rows] == [
        (SECRET, 0.0, False),
        (SECRET, 1.0, True),
        (SECRET, 0.0, False),
        (None, 1.0, None),
        (None, 0.0, None),
        (None, 1.0, None),
    ]


def test_two_attempts_make_the_same_table_of_a_step() -> None:
    first = chosen(2, 2)
    again = [replace(example, attempt=7) for example in first]
    assert as_table(first, share_labels=True) == as_table(again, share_labels=True)


def test_a_folder_called_examples_is_not_taken_for_a_run(tmp_path: Path) -> None:
    (tmp_path / "project/examples").mkdir(parents=True)
    (tmp_path / "project/metrics").mkdir()
    (tmp_path / "project/metrics/1.jsonl").touch()
    (tmp_path / "other/metrics").mkdir(parents=True)
    (tmp_path / "other/examples").mkdir()
    problems = {found.folder.name for found in find_runs(tmp_path) if found.problem}
    assert problems == {"project"}
