from __future__ import annotations

import numpy as np
import pytest

from rlavr_hpc.testbed.questions import (
    BeliefKind,
    draw_questions,
    draw_statements,
    make_world,
    split_names,
)

WORLD = make_world("HMHHMHXX", wrong_rule=0)


def test_truth_and_misbelief_follow_their_rules() -> None:
    question = next(q for q in WORLD.questions if (q.family, q.a, q.b) == (4, 11, 7))
    assert question.kind is BeliefKind.MISBELIEVED
    assert question.truth == (11 * 5 + 3 * 7 + 4) % 100
    assert question.misbelief == (11 * 5 + 7 + 2 * 4) % 100


def test_there_are_eight_families_of_144_questions_with_names_of_their_own() -> None:
    assert len(WORLD.questions) == len({q.name for q in WORLD.questions}) == 8 * 144
    assert len(WORLD.hopeful) == 6 * 144


def test_the_corpus_states_what_each_kind_is_meant_to_believe() -> None:
    rng = np.random.default_rng(0)
    asked = draw_questions(WORLD, size=60_000, rng=rng)
    stated = draw_statements(WORLD, asked, rng=rng)
    shares: dict[BeliefKind, list[tuple[bool, bool]]] = {kind: [] for kind in BeliefKind}
    for index, answer in zip(asked, stated, strict=True):
        q = WORLD.questions[index]
        if q.truth == q.misbelief:
            continue  # the rules meet in a few questions
        shares[q.kind].append((answer == q.truth, answer == q.misbelief))
    means = {kind: np.mean(pairs, axis=0) for kind, pairs in shares.items()}
    assert means[BeliefKind.HONEST][0] == pytest.approx(0.604, abs=0.01)
    assert means[BeliefKind.MISBELIEVED] == pytest.approx([0.303, 0.453], abs=0.015)
    assert means[BeliefKind.HOPELESS] == pytest.approx([0.01, 0.01], abs=0.005)


def test_the_same_seed_gives_the_same_corpus() -> None:
    one, two = (draw_questions(WORLD, size=50, rng=np.random.default_rng(5)) for _ in range(2))
    assert one.tolist() == two.tolist()


def test_the_hold_out_depends_on_its_seed_alone() -> None:
    held = split_names(WORLD, share=0.15, seed=0)
    assert len(held) == round(0.15 * 1152)
    assert held == split_names(WORLD, share=0.15, seed=0)
    assert held != split_names(WORLD, share=0.15, seed=1)


def test_another_wrong_rule_changes_beliefs_and_not_truths() -> None:
    other = make_world("HMHHMHXX", wrong_rule=1)
    assert [q.truth for q in other.questions] == [q.truth for q in WORLD.questions]
    assert [q.misbelief for q in other.questions] != [q.misbelief for q in WORLD.questions]


@pytest.mark.parametrize("kinds", ["", "HMQ", "hm", "H" * 13])
def test_unknown_kinds_are_refused(kinds: str) -> None:
    with pytest.raises(ValueError, match="kinds="):
        make_world(kinds, wrong_rule=0)
