"""Checked votes: labels are asked again, of first and present votes, never of their own prompt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rlavr_hpc.acquisition.policies.checked import CheckedPolicy
from rlavr_hpc.acquisition.probes.evidence import Regression, ToldAnswers, row_of
from rlavr_hpc.acquisition.probes.kernel import fit
from rlavr_hpc.errors import CheckpointError
from rlavr_hpc.trainer.acquisition_state import AcquisitionState
from rlavr_hpc.types import Group, HiddenStates, LabelledGroup, Selection, StepKey, View
from tests.support.groups import group
from tests.support.snapshots import save
from tests.support.vote_worlds import NOISE, RIGHT, WRONG, lessons_of, world


def at(view: View, step: int) -> View:
    return replace(view, step_key=StepKey(seed=1, step=step))


def surveyed(policy: CheckedPolicy, groups: Sequence[Group], view: View) -> CheckedPolicy:
    for step in range(1, policy.survey_steps + 1):
        selection = policy.choose(groups, at(view, step))
        assert selection.skip_update
        assert (selection.trusted, len(selection.selected)) == ((), view.quota)
        policy.learn(lessons_of(groups, selection.selected), at(view, step))
    return policy


def kinds(names: Sequence[str]) -> set[str]:
    return {name[:5] for name in names}


def checked(groups: Sequence[Group], step: int = 11) -> Selection:
    """What is chosen after a survey of the usual votes, when these groups come back."""
    usual, view = world(30)
    return surveyed(CheckedPolicy(random_share=0.0), usual, view).choose(groups, at(view, step))


def test_after_the_survey_votes_like_right_ones_are_trained_on_and_labels_correct_others() -> None:
    selection = checked(world(30)[0])
    assert not selection.skip_update
    assert kinds(selection.trusted) == {RIGHT}
    assert selection.pseudo == dict.fromkeys(selection.trusted, "1")
    assert kinds(selection.selected) == {WRONG}  # noise has no right response to learn from
    assert all(selection.scores[name] == 1.0 for name in selection.trusted)


def test_a_right_first_vote_that_was_lost_is_trained_on_again() -> None:
    changed, _ = world(30, flip=[0, 3])
    selection = checked(changed)
    assert selection.pseudo["right0"] == selection.pseudo["right3"] == "1"


def test_a_vote_that_labels_turned_is_trusted_where_the_first_was_wrong() -> None:
    """All misbelieved prompts vote 5 now, as the labels say; nobody bought a label again."""
    turned, view = world(30, flip=range(1, 30, 3), answer="5")
    usual, _ = world(30)
    policy = surveyed(CheckedPolicy(random_share=0.0, half_life=2.0), usual, view)
    for step in range(11, 17):
        selection = policy.choose(turned, at(view, step))
    wrong = {g.prompt.id for g in turned if g.prompt.id[:5] == WRONG}
    assert wrong <= set(selection.trusted)
    assert {selection.pseudo[name] for name in wrong} == {"5"}


def test_a_vote_that_breaks_is_no_longer_trusted_because_old_labels_are_asked_again() -> None:
    """The present votes of all misbelieved prompts were right, and are not any more."""
    usual, view = world(30)
    turned, _ = world(30, flip=range(1, 30, 3), answer="5")
    broken, _ = world(30, flip=range(1, 30, 3), answer="4")
    policy = surveyed(CheckedPolicy(random_share=0.0, half_life=2.0), usual, view)
    for step in range(11, 17):
        before = policy.choose(turned, at(view, step))
    for step in range(17, 23):
        after = policy.choose(broken, at(view, step))
    assert WRONG in kinds(before.trusted)
    assert WRONG not in kinds(after.trusted)


def test_a_label_does_not_vouch_for_its_own_prompt() -> None:
    groups, view = world(30)
    odd = groups[1].prompt.id
    policy = CheckedPolicy(survey_steps=1, ridge=1e-3)
    policy.choose(groups, view)
    lessons = lessons_of(groups, [g.prompt.id for g in groups if g.prompt.id[:5] == WRONG])
    policy.learn([*lessons, *lessons_of(groups, ["right0", "right3"])], view)
    own = next(lesson for lesson in lessons if lesson.group.prompt.id == odd)
    policy.learn([replace(own, correct=tuple(a == "4" for a in own.group.vote.answers))], view)
    for step in (2, 3):
        assert odd not in policy.choose(groups, at(view, step)).trusted


def test_a_share_of_the_labels_goes_to_random_votes_also_to_trusted_ones() -> None:
    groups, view = world(30)
    policy = surveyed(CheckedPolicy(random_share=1.0), groups, view)
    bought = [policy.choose(groups, at(view, step)) for step in range(11, 16)]
    assert {RIGHT, WRONG} == set().union(*(kinds(selection.selected) for selection in bought))
    assert not any(set(one.selected) & set(one.trusted) for one in bought)
    assert all(len(set(one.selected)) == view.quota for one in bought)


def test_what_is_known_of_answers() -> None:
    asked = group(["1"] * 4 + ["2"] * 2 + [None, "3"], name="p")
    known = ToldAnswers()
    assert known.is_right("p", "1") is None
    known.learn(LabelledGroup(group=asked, correct=(False,) * 4 + (True,) * 2 + (False,) * 2))
    assert [known.is_right("p", a) for a in ("1", "2", "9", None)] == [False, True, None, False]
    assert known.gain(asked, all_known=True) == pytest.approx(math.sqrt(0.25 * 0.75))
    assert known.gain(group(["2"] * 8, name="p"), all_known=False) == 0.0
    assert known.gain(group(["9"] * 8, name="p"), all_known=False) is None


def test_without_a_known_right_answer_a_later_gain_is_not_known() -> None:
    asked = group(["1"] * 8, name="p")
    known = ToldAnswers()
    known.learn(LabelledGroup(group=asked, correct=(False,) * 8))
    assert known.gain(asked, all_known=True) == 0.0
    assert known.gain(group(["1"] * 5 + ["2"] * 3, name="p"), all_known=False) is None


def test_a_verdict_tells_of_the_responses_it_judged_only() -> None:
    known = ToldAnswers()
    asked = group(["1"] * 5 + ["2"] * 3, name="p")
    known.learn(LabelledGroup(group=asked, correct=(False,) * 8, unknown=(5, 6, 7)))
    assert (known.is_right("p", "1"), known.is_right("p", "2")) == (False, None)


def test_older_examples_count_less_and_only_the_newest_are_kept() -> None:
    row = np.array([1.0, 0.0, 0.0, 0.0], dtype=np.float32)
    far = np.array([-1.0, 0.0, 0.0, 0.0], dtype=np.float32)
    one = Regression(kept=2, ridge=1.0, half_life=5.0, centre=0.5)
    for step, name, target in ((1, "a", 1.0), (2, "b", 1.0), (40, "c", 0.0)):
        one.add(name, step, row, target)
    assert one.predict({"new": row, "far": far}, step=40)["new"] < 0.4
    assert [key[0] for key in one.state()["keys"]] == ["b", "c"]
    assert one.predict({"c": row, "far": far}, step=40)["c"] >= 0.5  # its own label left out


def test_predictions_without_some_examples_are_those_of_a_fit_without_them() -> None:
    rng = np.random.default_rng(0)
    rows, targets = rng.standard_normal((12, 4)), rng.integers(0, 2, 12).astype(float)
    noise, new = rng.uniform(0.2, 2.0, 12), rng.standard_normal((3, 4))
    left_out = [[], [3], [0, 5, 11]]
    found = fit(rows, targets, ridge=noise, centre=0.5).predict_without(new, left_out)
    for n, out in enumerate(left_out):
        rest = [i for i in range(12) if i not in out]
        without = fit(rows[rest], targets[rest], ridge=noise[rest], centre=0.5)
        assert found[n] == pytest.approx(without.predict(new[[n]])[0])


def test_wide_states_are_projected() -> None:
    states = HiddenStates(
        prompt_D=np.ones(900, dtype=np.float32), responses_GD=np.ones((8, 900), dtype=np.float32)
    )
    assert row_of(group(["1"] * 8), states, directions=256).shape == (2 * 256 + 3,)


def test_a_policy_from_a_checkpoint_goes_on_as_before(tmp_path: Path) -> None:
    groups, view = world(30)
    policy = surveyed(CheckedPolicy(), groups, view)
    save(AcquisitionState(name="checked", policy=policy), tmp_path)
    resumed = CheckedPolicy()
    AcquisitionState(name="checked", policy=resumed).load(tmp_path, seed=1, allowed=())
    for step in (11, 12):
        assert resumed.choose(groups, at(view, step)) == policy.choose(groups, at(view, step))
        policy.learn(lessons_of(groups, ["wrong1"]), at(view, step))
        resumed.learn(lessons_of(groups, ["wrong1"]), at(view, step))


def test_evidence_that_does_not_fit_is_refused() -> None:
    groups, view = world(3)
    policy = surveyed(CheckedPolicy(), groups, replace(view, quota=2))
    policy.load(
        surveyed(CheckedPolicy(projection=4), groups, replace(view, quota=2)).state(), seed=1
    )
    with pytest.raises(CheckpointError, match="11 features"):
        policy.choose(groups, at(view, 11))
    with pytest.raises(CheckpointError, match="does not fit"):
        policy.load({"known": {"a": {}}}, seed=1)


def test_a_step_without_candidates_buys_nothing_and_noise_is_never_surveyed() -> None:
    groups, view = world(30)
    policy = CheckedPolicy()
    assert policy.choose([], view).selected == ()
    assert NOISE not in kinds(policy.choose(groups, view).selected)


@pytest.mark.parametrize(
    "settings",
    [
        {"survey_steps": -1},
        {"ridge": 0.0},
        {"half_life": 0},
        {"random_share": 1.5},
        {"threshold": 1.01},
        {"min_ratio": 25},
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        CheckedPolicy(**settings)  # type: ignore[arg-type]
