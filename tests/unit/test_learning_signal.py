"""Steps that teach nothing: what is said of them, where, and what never leaves the run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rlavr_hpc.runs.heartbeat import Heartbeat, read_heartbeat
from rlavr_hpc.runs.states import run_state
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.collapse.early_warning import EarlyWarning, agreement_rise
from rlavr_hpc.telemetry.learning_signal import (
    GradingKeys,
    SignalLoss,
    choose_endings,
    describe_lost,
    losses_of,
    lost_signal,
    mend,
    visible_ending,
)
from rlavr_hpc.trainer.hooks.first_step import grading_keys
from tests.support.configs import composed

FINE = {
    names.COLLAPSE_UNPARSABLE: 0.5,
    names.COLLAPSE_TRUNCATED: 0.25,
    names.COLLAPSE_ZERO_ADVANTAGE: 0.75,
    names.COLLAPSE_UNANIMOUS: 0.75,
    names.TRAIN_ALL_RIGHT: 0.5,
    names.TRAIN_ALL_WRONG: 0.25,
}
UNREAD = FINE | {names.COLLAPSE_UNPARSABLE: 1.0, names.COLLAPSE_ZERO_ADVANTAGE: 1.0}
KEYS = GradingKeys(extract="boxed", max_response_tokens=64)


def rows(*steps: dict[str, float]) -> list[dict[str, float]]:
    """A run's rows, with the evaluation before step 1."""
    return [{"step": 0}, *({"step": n, **row} for n, row in enumerate(steps, start=1))]


@pytest.mark.parametrize(
    ("changed", "losses"),
    [
        ({}, ()),
        ({names.COLLAPSE_UNPARSABLE: 1.0}, (SignalLoss.unparsable,)),
        ({names.COLLAPSE_UNPARSABLE: 0.999}, ()),
        ({names.COLLAPSE_TRUNCATED: 1.0}, (SignalLoss.truncated,)),
        (
            {names.COLLAPSE_UNPARSABLE: 1.0, names.COLLAPSE_TRUNCATED: 1.0},
            (SignalLoss.unparsable, SignalLoss.truncated),
        ),
        (
            {names.COLLAPSE_ZERO_ADVANTAGE: 1.0, names.COLLAPSE_UNANIMOUS: 1.0},
            (SignalLoss.unanimous,),
        ),
        ({names.COLLAPSE_UNANIMOUS: 1.0}, ()),
        (
            {names.COLLAPSE_ZERO_ADVANTAGE: 1.0, names.TRAIN_ALL_RIGHT: 1.0},
            (SignalLoss.all_right,),
        ),
        (
            {names.COLLAPSE_ZERO_ADVANTAGE: 1.0, names.TRAIN_ALL_WRONG: 1.0},
            (SignalLoss.all_wrong,),
        ),
        ({names.COLLAPSE_ZERO_ADVANTAGE: 1.0}, (SignalLoss.equal_rewards,)),
    ],
)
def test_only_what_holds_for_all_responses_of_a_step_is_a_loss(
    changed: dict[str, float], losses: tuple[SignalLoss, ...]
) -> None:
    assert losses_of(FINE | changed) == losses


def test_a_row_without_figures_says_nothing() -> None:
    assert losses_of({"step": 3.0, names.COLLAPSE_UNANIMOUS: 1.0}) == ()


def test_a_run_that_read_nothing_says_so_throughout() -> None:
    lost = lost_signal(rows(*[UNREAD] * 20))
    assert lost is not None
    assert (lost.first_step, lost.steps, lost.of, lost.nothing_learnt) == (1, 20, 20, True)
    assert describe_lost(lost) == "no response could be read in any of its 20 steps"


def test_a_run_that_recovers_tells_of_its_first_steps_only() -> None:
    lost = lost_signal(rows(UNREAD, UNREAD, FINE, UNREAD))
    assert lost is not None
    assert (lost.steps, lost.nothing_learnt) == (2, False)
    assert describe_lost(lost) == "no response could be read in steps 1 to 2 of 4"


def test_a_run_that_lost_its_signal_later_is_no_matter_of_the_first_step() -> None:
    assert lost_signal(rows(FINE, UNREAD, UNREAD)) is None
    assert lost_signal(rows()) is None


def test_responses_that_are_all_cut_off_may_still_teach_something() -> None:
    lost = lost_signal(rows(*[FINE | {names.COLLAPSE_TRUNCATED: 1.0}] * 3))
    assert lost is not None
    assert not lost.nothing_learnt
    assert describe_lost(lost) == "all responses were cut off at their limit in every step"


@pytest.mark.parametrize(
    ("losses", "key"),
    [
        ((SignalLoss.unparsable,), "grading.extract (now boxed)"),
        ((SignalLoss.unparsable, SignalLoss.truncated), "max_response_tokens (now 64)"),
        ((SignalLoss.truncated,), "rollout.stop_token_ids="),
        ((SignalLoss.unanimous,), "rollout.temperature"),
        ((SignalLoss.all_right,), "harder prompts"),
        ((SignalLoss.all_wrong,), "rlavr grade"),
        ((SignalLoss.all_wrong,), "the task and grading.extract (now boxed) decide that"),
    ],
)
def test_each_loss_names_the_key_that_mends_it(losses: tuple[SignalLoss, ...], key: str) -> None:
    assert key in mend(losses, KEYS)


def test_where_every_place_is_read_already_the_prompts_have_to_ask() -> None:
    told = mend((SignalLoss.unparsable,), GradingKeys(extract="auto"))
    assert "set grading.extract" not in told
    assert "data.system_prompt" in told


@pytest.mark.parametrize("loss", [SignalLoss.unparsable, SignalLoss.all_wrong])
def test_puzzles_are_told_of_no_key_that_has_no_effect_on_them(loss: SignalLoss) -> None:
    told = mend((loss,), grading_keys(composed("data=knights")))
    assert "grading.extract" not in told
    assert "task" not in told
    assert ("<answer>...</answer>, in the prompts" in told) == (loss is SignalLoss.unparsable)


def test_what_a_task_reads_is_named_where_it_is_known() -> None:
    assert grading_keys(composed("data=knights")).reads == ("<answer>...</answer>",)
    assert "\\boxed{...}" in grading_keys(composed("task=math", "grading.extract=auto")).reads
    for own in ((), ("task.name=mine", "task.target=mine:Mine")):
        assert grading_keys(composed("data=jsonl", "data.path=f", *own)).reads == ()


def test_endings_are_harmless_on_a_terminal() -> None:
    hostile = "x" * 200 + "\x1b[2J\u202e\nThe answer:\t4\ud800"
    shown = visible_ending(hostile)
    assert shown.startswith("…xxx")
    assert shown.endswith("x?[2J?\\nThe answer:?4?")
    assert shown.isprintable()
    assert len(shown) < 110


def test_endings_of_prompts_with_a_label_are_shown_only_where_nothing_could_be_read() -> None:
    responses = [("one", True), ("two", False), ("three", True), ("four", False), ("five", False)]
    assert choose_endings(responses, (SignalLoss.unparsable,)) == ["one", "two", "three"]
    assert choose_endings(responses, (SignalLoss.all_right,)) == ["two", "four", "five"]
    assert choose_endings([("one", True)], (SignalLoss.all_wrong,)) == []


@pytest.mark.parametrize(
    "constant", [(0.0, 0.0, 0.0), (1.0, 0.0, 1.0), (0.25, 1.386, 4.0)], ids=str
)
def test_constant_agreement_is_no_early_warning(constant: tuple[float, float, float]) -> None:
    assert agreement_rise([constant] * 30) == 0.0
    watch = EarlyWarning()
    ratio, entropy, distinct = constant
    row = {
        names.COLLAPSE_MAJORITY_RATIO: ratio,
        names.COLLAPSE_ANSWER_ENTROPY: entropy,
        names.COLLAPSE_DISTINCT_ANSWERS: distinct,
    }
    alarms = [watch.observe(row) for _ in range(30)]
    assert {(alarm.risk, alarm.reason) for alarm in alarms} == {(0.0, "")}


def test_the_heartbeat_keeps_its_note_until_a_step_is_fine(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("name: s\n")
    beat = Heartbeat(tmp_path, attempt=1, steps=3)
    beat.beat("running", step=1, note="no response could be read in step 1")
    beat.beat("done", step=1)
    assert "could be read" in read(tmp_path)
    assert run_state(tmp_path, queue=None).note.startswith("no response")
    again = Heartbeat(tmp_path, attempt=2, steps=3)
    again.beat("starting", step=1)
    assert "could be read" in read(tmp_path)
    again.beat("stopped", step=2, note="")
    assert read(tmp_path) == ""
    assert "note" not in json.loads((tmp_path / "status.json").read_text())


def read(run_dir: Path) -> str:
    heartbeat = read_heartbeat(run_dir).heartbeat
    assert heartbeat is not None
    return heartbeat.note
