"""Anchored votes: what is surveyed, what is trusted, and that no label vouches for itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rlavr_hpc.acquisition.policies.anchored import AnchoredPolicy, possible_cag
from rlavr_hpc.acquisition.probes.kernel import fit
from rlavr_hpc.errors import CheckpointError
from rlavr_hpc.trainer.acquisition_state import AcquisitionState
from rlavr_hpc.types import Group, StepKey, View
from tests.support.groups import group
from tests.support.snapshots import save
from tests.support.vote_worlds import NOISE, RIGHT, WRONG, lessons_of, world


def surveyed(policy: AnchoredPolicy, groups: Sequence[Group], view: View) -> AnchoredPolicy:
    for step in range(1, policy.survey_steps + 1):
        now = replace(view, step_key=StepKey(seed=1, step=step))
        selection = policy.choose(groups, now)
        assert selection.skip_update
        assert selection.trusted == ()
        policy.learn(lessons_of(groups, selection.selected), now)
    return policy


def test_the_survey_holds_the_model_and_buys_at_random_where_votes_are_clear() -> None:
    groups, view = world(30)
    selection = AnchoredPolicy().choose(groups, view)
    assert selection.skip_update
    assert len(selection.selected) == 6
    assert not any(name.startswith(NOISE) for name in selection.selected)
    other = AnchoredPolicy().choose(groups, replace(view, step_key=StepKey(seed=2, step=1)))
    assert other.selected != selection.selected


def test_after_the_survey_first_votes_like_confirmed_ones_are_trained_on() -> None:
    groups, view = world(30)
    policy = surveyed(AnchoredPolicy(), groups, view)
    selection = policy.choose(groups, replace(view, step_key=StepKey(seed=1, step=11)))
    assert not selection.skip_update
    assert {name[:5] for name in selection.trusted} == {RIGHT}
    assert len(selection.trusted) == 10
    assert selection.pseudo == dict.fromkeys(selection.trusted, "1")
    assert {name[:5] for name in selection.selected} == {WRONG}
    assert all(selection.scores[name] > 1.0 for name in selection.trusted)  # weight 1


def test_a_step_without_candidates_buys_nothing() -> None:
    groups, view = world(30)
    policy = surveyed(AnchoredPolicy(), groups, view)
    assert policy.choose([], replace(view, step_key=StepKey(seed=1, step=11))).selected == ()


def test_a_survey_takes_place_also_where_another_policy_came_before() -> None:
    groups, view = world(30)
    policy = AnchoredPolicy(survey_steps=2)
    steps = [
        policy.choose(groups, replace(view, step_key=StepKey(seed=1, step=s))) for s in (60, 61, 62)
    ]
    assert [selection.skip_update for selection in steps] == [True, True, False]


def test_a_vote_that_changes_later_does_not_move_its_anchor() -> None:
    groups, view = world(30)
    policy = surveyed(AnchoredPolicy(), groups, view)
    changed, _ = world(30, flip=[0, 3])
    selection = policy.choose(changed, replace(view, step_key=StepKey(seed=1, step=11)))
    assert selection.pseudo["right0"] == selection.pseudo["right3"] == "1"


def test_a_label_does_not_vouch_for_its_own_prompt() -> None:
    """A right vote amid wrong ones: its own label alone would have it trusted."""
    groups, view = world(30)
    odd = groups[1].prompt.id
    policy = AnchoredPolicy(survey_steps=1, ridge=1e-3)
    policy.choose(groups, view)
    labelled_groups = lessons_of(groups, [g.prompt.id for g in groups if g.prompt.id[:5] == WRONG])
    policy.learn([*labelled_groups, *lessons_of(groups, ["right0", "right3"])], view)
    own = next(x for x in labelled_groups if x.group.prompt.id == odd)
    policy.learn([replace(own, correct=tuple(a == "4" for a in own.group.vote.answers))], view)
    selection = policy.choose(groups, replace(view, step_key=StepKey(seed=1, step=2)))
    assert odd not in selection.trusted


def test_left_out_predictions_are_those_of_a_fit_without_the_example() -> None:
    rng = np.random.default_rng(0)
    rows, targets = rng.standard_normal((12, 4)), rng.integers(0, 2, 12).astype(float)
    whole = fit(rows, targets, ridge=0.7, centre=0.5)
    for i in range(12):
        others = [j for j in range(12) if j != i]
        without = fit(rows[others], targets[others], ridge=0.7, centre=0.5)
        assert whole.left_out()[i] == pytest.approx(without.predict(rows[[i]])[0])


def test_far_from_every_label_nothing_is_believed() -> None:
    fitted = fit(np.eye(3), np.ones(3), ridge=1e9, centre=0.5)
    assert fitted.predict(np.zeros((1, 3)))[0] == pytest.approx(0.5, abs=1e-6)
    groups, view = world(9)
    policy = AnchoredPolicy(survey_steps=0)
    assert policy.choose(groups, view).trusted == ()


def test_an_answer_nobody_gave_again_says_nothing_of_the_anchor() -> None:
    groups, view = world(30)
    policy = AnchoredPolicy()
    policy.choose(groups, view)
    changed, _ = world(30, flip=[0])
    policy.learn(lessons_of(changed, ["right0", "right3"]), view)
    assert policy.state()["right"] == {"right3": 1.0}


def test_the_possible_gap_is_that_of_majority_and_runner_up() -> None:
    assert possible_cag(group(["1"] * 5 + ["2"] * 3)) == pytest.approx(5.656854)
    assert possible_cag(group(["1"] * 8)) == 0.0
    assert possible_cag(group([None] * 8)) == 0.0


def test_a_policy_from_a_checkpoint_goes_on_as_before(tmp_path: Path) -> None:
    groups, view = world(30)
    policy = surveyed(AnchoredPolicy(), groups, view)
    save(AcquisitionState(name="anchored", policy=policy), tmp_path)
    resumed = AnchoredPolicy()
    AcquisitionState(name="anchored", policy=resumed).load(tmp_path, seed=1, allowed=())
    later = replace(view, step_key=StepKey(seed=1, step=11))
    assert resumed.choose(groups, later) == policy.choose(groups, later)


def test_anchors_of_another_model_are_refused(tmp_path: Path) -> None:
    groups, view = world(3)
    policy = surveyed(AnchoredPolicy(projection=4), groups, view)
    save(AcquisitionState(name="anchored", policy=policy), tmp_path)
    resumed = AnchoredPolicy()
    AcquisitionState(name="anchored", policy=resumed).load(tmp_path, seed=1, allowed=())
    more, wide = world(6)
    with pytest.raises(CheckpointError, match="4 features"):
        resumed.choose(more, wide)
    with pytest.raises(CheckpointError, match="do not fit"):
        resumed.load({"names": ["a"]}, seed=1)


@pytest.mark.parametrize(
    "settings", [{"survey_steps": -1}, {"ridge": 0.0}, {"labels_kept": 0}, {"min_ratio": 30}]
)
def test_impossible_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        AnchoredPolicy(**settings)  # type: ignore[arg-type]
