"""`rlavr rollback`, its undoing, and what status and ledger say in between."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rlavr_hpc import cli
from rlavr_hpc.runs.state_types import State
from rlavr_hpc.runs.states import run_state
from rlavr_hpc.spending.bought_prompts import one_line
from rlavr_hpc.types import StepKey
from tests.support.configs import composed
from tests.support.ledgers import Worker, write_run
from tests.support.run_folders import beat


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    code = cli.call([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return code, printed.out + printed.err


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run of three steps that bought two labels in each, without any checkpoint."""
    config = composed("acquisition=random", "budget=0.1", "steps=3", "save_every=0")
    folder = tmp_path / "run"
    [worker] = write_run(folder, config, {1: ["p0", "p1"], 2: ["p2", "p3"], 3: ["p4", "p5"]})
    worker.tell(0, 0)
    beat(
        folder,
        "done",
        step=3,
        steps=3,
        labels_bought=6,
        labels_allowed=21,
        job=None,
        node=None,
        host="here",
        exit_code=0,
    )
    (folder / "summary.json").write_text(
        json.dumps({"version": 1, "status": "done", "steps": 3, "labels_bought": 6})
    )
    (folder / "DONE.json").write_text(json.dumps({"version": 1, "steps": 3, "time": 1.0}))
    return folder


def test_going_back_to_the_start_needs_a_word(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = call(capsys, "rollback", run)
    assert code == 2
    assert "begin again from the start; say --yes if it should, or --to STEP" in said
    assert run_state(run, queue=None).state is State.done
    for words in (["--yes"], ["--undo"], ["--to", "0"]):
        code, said = call(capsys, "rollback", run, *words)
        assert code == 0, said


def test_a_run_that_was_rolled_back_says_so_and_not_that_it_failed(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = call(capsys, "rollback", run, "--yes")
    assert code == 0
    assert f"rlavr rollback {run} --undo" in said
    state = run_state(run, queue=None)
    assert state.state is State.stopped
    assert state.reason.startswith("rolled back to its start; branch 1 begins")
    assert state.step == 0


def test_an_undone_roll_back_leaves_status_and_ledger_as_they_were(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = call(capsys, "ledger", "verify", run)
    state = run_state(run, queue=None)
    call(capsys, "rollback", run, "--yes")
    code, said = call(capsys, "rollback", run, "--undo")
    assert (code, "branch 0 is finished again" in said) == (0, True)
    after = run_state(run, queue=None)
    assert (after.state, after.step, after.reason) == (state.state, state.step, state.reason)
    assert call(capsys, "ledger", "verify", run) == before
    assert before[0] == 0
    code, said = call(capsys, "rollback", run, "--undo")
    assert (code, "there is no roll-back to undo" in said) == (2, True)


def test_undo_and_to_exclude_each_other(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        call(capsys, "rollback", run, "--undo", "--to", "0")
    assert refused.value.code == 2


def test_steps_that_repeat_on_another_branch_are_shown_with_their_branch(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "branch" not in call(capsys, "ledger", "show", run)[1]
    call(capsys, "rollback", run, "--yes")
    worker = Worker(run)
    worker.ledger.decide(StepKey(seed=1, step=1, branch=1), ["p6"], quota=2)
    code, said = call(capsys, "ledger", "show", run)
    assert code == 0
    lines = [line.split() for line in said.splitlines()]
    assert ["branch", "step", "bought", "void", "prompts"] in lines
    assert ["0", "1", "2", "0", "p0", "p1"] in lines
    assert ["1", "1", "0", "0", "p6"] in lines
    code, said = call(capsys, "ledger", "show", run, "--prompts")
    lines = [line.split() for line in said.splitlines()]
    assert lines[0] == ["branch", "step", "label", "question"]
    assert ["0", "1", "is", "p0", "p0:", *["[not", "in", "the", "data", "any", "more]"]] in lines
    assert ["1", "1", "[open]", "p6:", *["[not", "in", "the", "data", "any", "more]"]] in lines


def test_prompts_are_shown_with_question_label_and_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data.jsonl"
    texts = {i: f"What is {i}+{i}?\n\x1b[31m" for i in "12"}
    rows = [
        {"id": f"q{i}", "prompt": texts[i], "answer": 2 * i, "data_source": "of my own"}
        for i in "12"
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = composed(
        *("acquisition=random", "budget=0.1", "steps=3"),
        *("data=jsonl", f"data.path={data}", "model=pretrained", "model.path=some/model"),
        *("task.name=mine", "task.target=mine:Mine"),
    )
    write_run(tmp_path / "run", config, {1: ["q1"], 2: ["q2"]})
    code, said = call(capsys, "ledger", "show", tmp_path / "run", "--prompts")
    assert code == 0
    assert said.splitlines()[1].split() == [
        "1",
        "is",
        "q1",
        "q1:",
        *["What", "is", "1+1?", "\\x1b[31m"],
    ]
    code, said = call(capsys, "ledger", "show", tmp_path / "run", "--prompts", "--json")
    shown = json.loads(said)["prompts"][1]
    assert (shown["step"], shown["prompt"], shown["answer"]) == (2, "q2", "is q2")
    assert shown["question"].startswith("What is 2+2?")
    data.unlink()
    code, said = call(capsys, "ledger", "show", tmp_path / "run", "--prompts")
    assert (code, "without --prompts their ids are shown" in said) == (2, True)
    code, said = call(capsys, "ledger", "show", tmp_path, "--prompts")
    assert (code, "--prompts shows one run" in said) == (2, True)


def test_a_question_cannot_take_over_the_terminal() -> None:
    assert one_line("a\n\tb\x1b[2Jc\u202e", 40) == "a b\\x1b[2Jc\\u202e"
    assert one_line("x" * 50, 10) == "xxxxxxx..."
