"""The recommendation: what it names, what it never names, and what it admits."""

from __future__ import annotations

from analysis.compare.contrasts import compare
from analysis.run_findings import CollapseVerdict
from analysis.study_findings import Comparison, Standing
from tests.support.analysis_findings import make_findings, seeds

FULL = (0.80, 0.81, 0.79, 0.80, 0.82)
GOOD = (0.79, 0.80, 0.78, 0.79, 0.81)
FAIR = (0.60, 0.62, 0.61, 0.60, 0.59)
BAD = (0.10, 0.12, 0.11, 0.10, 0.09)


def standing(found: Comparison) -> dict[str, Standing]:
    return {advice.condition: advice.standing for advice in found.advice}


def words(found: Comparison, condition: str) -> str:
    (one,) = [advice.text for advice in found.advice if advice.condition == condition]
    return one


def test_the_fewest_labels_that_keep_most_of_the_gain_are_recommended() -> None:
    runs = [
        *seeds("full", *FULL, labels=9600, budget=1.0),
        *seeds("anchored", *GOOD, labels=1950),
        *seeds("anchored budget=0.1", *FAIR, labels=1050, budget=0.1),
        *seeds("care", *FAIR, labels=1950),
        *seeds("none", *BAD, labels=0, collapsed=True),
    ]
    found = compare(runs)
    assert standing(found) == {
        "anchored": Standing.recommended,
        "full": Standing.alternative,
        "anchored budget=0.1": Standing.alternative,
        "care": Standing.dominated,
        "none": Standing.avoid,
    }
    assert [advice.rank for advice in found.advice] == [1, 2, 3, 4, 5]
    assert {one.start.mean for one in found.conditions if one.start} == {0.4}
    # 0.4 before; full gains 0.404, anchored 0.394
    assert "98% of what full gains, for 20% of its labels" in words(found, "anchored")
    assert "leads care, the next best policy with this budget, by 0.190" in words(found, "anchored")
    assert "on 5 of 5 seeds; the difference is significant" in words(found, "anchored")
    assert "+0.010 for 4.9 times the labels" in words(found, "full")
    assert "Where labels are scarcer" in words(found, "anchored budget=0.1")
    assert "52% of its gain" in words(found, "anchored budget=0.1")
    assert found.recommendation.startswith(
        "Use anchored next: held-out accuracy 0.794 with 1,950 labels"
    )
    assert "Runs collapsed under none." in found.recommendation


def test_neither_an_oracle_nor_an_condition_with_a_collapsed_seed_is_recommended() -> None:
    collapsed = CollapseVerdict(collapsed=True, onset=30)
    runs = [
        *seeds("cag_oracle", *FULL, uses_oracle=True),
        *seeds("care", *GOOD[:4]),
        make_findings("care", 0.7, seed=5, verdict=collapsed),
        *seeds("random", *FAIR),
    ]
    found = compare(runs)
    assert standing(found) == {
        "random": Standing.recommended,
        "care": Standing.avoid,
        "cag_oracle": Standing.upper_bound,
    }
    assert "1 of 5 runs collapsed (median onset: step 30)" in words(found, "care")
    assert "reads labels that nobody bought" in words(found, "cag_oracle")


def test_an_condition_that_did_not_improve_is_not_recommended() -> None:
    found = compare([*seeds("care", 0.35, 0.38), *seeds("random", 0.41, 0.43)])
    assert standing(found) == {"random": Standing.recommended, "care": Standing.no_gain}
    assert "did not collapse and gained nothing" in words(found, "care")


def test_a_run_that_neither_collapsed_nor_gained_is_not_called_one_to_avoid() -> None:
    found = compare(seeds("care", 0.3))
    assert standing(found) == {"care": Standing.no_gain}
    assert "No condition can be recommended yet: nothing collapsed" in found.recommendation


def test_where_every_condition_failed_nothing_is_recommended_and_a_way_out_is_named() -> None:
    found = compare([*seeds("care", *BAD, collapsed=True), *seeds("random", 0.3)])
    assert standing(found) == {"care": Standing.avoid, "random": Standing.no_gain}
    assert "No condition can be recommended" in found.recommendation
    assert "acquisition=full" in found.recommendation
    ceiling = compare(seeds("full", *BAD, collapsed=True))
    assert "learning rate" in ceiling.recommendation


def test_where_no_response_was_ever_right_no_further_labels_are_advised() -> None:
    found = compare(seeds("care", 0.0, start=0.0))
    assert found.recommendation.startswith(
        "Nothing was learnt: no held-out response was ever right"
    )
    assert "Buy more labels" not in found.recommendation


def test_before_any_run_has_finished_nothing_is_recommended() -> None:
    found = compare(seeds("care", 0.6, 0.7, state="running", steps=10))
    assert found.advice == ()
    assert "Nothing can be recommended yet" in found.recommendation


def test_one_seed_is_called_thin_evidence_and_decides_nothing_between_policies() -> None:
    assert "One seed is thin evidence" in words(compare([make_findings("care", 0.7)]), "care")
    found = compare([make_findings("care", 0.7), make_findings("random", 0.5)])
    assert standing(found)["care"] is Standing.undecided
    assert "One seed does not show that noise: run at least three" in words(found, "care")
    assert found.recommendation.startswith("Nothing is decided yet. care is ahead of random")
    assert "One seed only: care, random" in " ".join(found.cautions)


def test_one_condition_alone_is_recommended_with_the_next_smaller_budget_to_try() -> None:
    found = compare(seeds("care", *GOOD, budget=0.2))
    assert standing(found) == {"care": Standing.undecided}
    assert "budget=0.1 is worth a run" in words(found, "care")
    assert "Use it next" not in words(found, "care")
    assert found.recommendation == "There is nothing to compare care with."


def test_the_lead_that_counts_is_over_another_policy() -> None:
    runs = [
        *seeds("care", *GOOD),
        *seeds("care soft", 0.7, 0.71, 0.69, 0.7, 0.72),
        *seeds("random", *FAIR),
    ]
    assert "leads random, the next best policy" in words(compare(runs), "care")


def test_a_lead_within_the_noise_is_no_advice_and_the_seeds_that_would_settle_it_are_told() -> None:
    runs = [
        *seeds("care", 0.56, 0.52, 0.55, 0.53, 0.54),
        *seeds("random", 0.53, 0.55, 0.52, 0.54, 0.55),
    ]
    found = compare(runs)
    assert standing(found)["care"] is Standing.undecided
    assert "which is within the noise between seeds" in words(found, "care")
    # differences .03 -.03 .03 -.01 -.01: mean 0.002, spread 0.0268
    assert "take them as equal" in words(found, "care")
    assert "Use care next" not in found.recommendation
    wider = compare([*seeds("care", 0.60, 0.52, 0.61), *seeds("random", 0.53, 0.55, 0.52)])
    # .07 -.03 .09: mean 0.0433, spread 0.0643, (2.80 * 1.483)^2 = 17.3
    assert "About 18 seeds of each would settle it." in words(wider, "care")


def test_a_smaller_budget_that_collapsed_is_not_suggested_again() -> None:
    runs = [
        *seeds("care budget=0.2", *GOOD, labels=200),
        *seeds("care budget=0.1", *BAD, labels=100, budget=0.1, collapsed=True),
    ]
    told = words(compare(runs), "care budget=0.2")
    assert "With fewer labels, care budget=0.1 collapsed." in told
    assert "worth a run" not in told


def test_a_collapsed_run_that_was_stopped_is_told_though_it_has_no_final_accuracy() -> None:
    runs = [
        *seeds("care", *GOOD),
        *seeds("none", *BAD, state="stopped", steps=40, collapsed=True),
    ]
    found = compare(runs)
    assert "5 of 5 runs collapsed; none of its runs is finished" in words(found, "none")
    assert "these conditions have no accuracy" in " ".join(found.cautions)


def test_many_failed_conditions_are_summed_up() -> None:
    runs = [
        run
        for condition in range(11)
        for run in seeds(f"p{condition}", 0.1 + condition / 100, collapsed=True)
    ]
    found = compare(runs)
    assert len(found.advice) == 8
    assert found.advice[-1].text.endswith("3 more conditions did no better.")


def test_every_task_has_its_own_advice() -> None:
    puzzles = {"data.kind": "knights"}
    runs = [*seeds("care", *FAIR), *seeds("full p", *FULL, settings=puzzles)]
    found = compare(runs)
    assert standing(found) == {"care": Standing.undecided, "full p": Standing.undecided}
    assert words(found, "full p").startswith("[data.kind=knights] There is nothing to compare")
    assert [advice.rank for advice in found.advice] == [1, 2]


def test_runs_of_different_length_and_runs_that_cannot_be_judged_are_cautioned() -> None:
    runs = [*seeds("care", *FAIR, collapsed=None), *seeds("random", *BAD, steps=300)]
    said = " ".join(compare(runs).cautions)
    assert "between 150 and 300 steps" in said
    assert "Whether runs of care collapsed cannot be judged" in said
