"""What a larger draw may and may not do to a step's purchase."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from rlavr_hpc.acquisition.label_source import DatasetLabels
from rlavr_hpc.acquisition.ledger import rules_of
from rlavr_hpc.acquisition.policies.random import RandomPolicy
from rlavr_hpc.answers.given_up import mark_of, read_marks
from rlavr_hpc.answers.recorded import RecordedReferee
from rlavr_hpc.answers.referee import Referee
from rlavr_hpc.learning.draw import keep_split
from rlavr_hpc.telemetry.clock import StepClock
from rlavr_hpc.trainer.parts import Parts
from rlavr_hpc.trainer.purchase import TRAIN, acquire
from rlavr_hpc.trainer.response_scores import Scored
from rlavr_hpc.types import Group
from tests.support.configs import composed
from tests.support.groups import PLACE, group
from tests.support.ledgers import Worker, write_run


def drawn_prompts() -> list[Group]:
    """Two split ones last; of the first, which is silent, a grader gave up on a response."""
    silent = group([None, None], name="silent")
    silent = replace(silent, vote=replace(silent.vote, ungradable=(1,)))
    return [silent, group(["1", "1"], name="agreed"), group(["1", "2"], name="p"),
            group(["3", "4"], name="q")]  # fmt: skip


def parts_of(worker: Worker) -> Parts:
    config = composed("algorithm.oversample=2", "acquisition=random")
    answers = dict.fromkeys(("silent", "agreed", "p", "q"), "1")
    return cast(
        Parts,
        SimpleNamespace(
            config=config, ledger=worker.ledger, rules=rules_of(config), oracle=None,
            labels=DatasetLabels(answers=answers), acquisition=RandomPolicy(),
            referee=RecordedReferee(Referee(), worker.given_up),
        ),
    )  # fmt: skip


def test_labels_are_bought_among_the_kept_and_every_vote_that_decided_is_on_record(
    tmp_path: Path,
) -> None:
    [worker] = write_run(tmp_path / "run", composed(), {})
    drawn = drawn_prompts()
    kept = keep_split(drawn, batch=2)
    bought = acquire(parts_of(worker), kept, drawn, Scored(), PLACE, 2, StepClock())
    assert set(bought.labels) == {"p", "q"}
    assert bought.spend.total == 2
    marks = read_marks(tmp_path / "run")
    assert marks == {(0, 1, TRAIN): {mark_of(drawn[0].rollouts[1])}}
