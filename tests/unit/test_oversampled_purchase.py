"""What a larger draw may and may not do to a step's purchase."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import torch.distributed as dist

from rlavr_hpc.acquisition.ledger_state import budget_rules
from rlavr_hpc.acquisition.market import DatasetMarket
from rlavr_hpc.acquisition.policies.random import RandomPolicy
from rlavr_hpc.answers.recorded_verifier import RecordedVerifier
from rlavr_hpc.answers.timed_out_answers import answer_id, read_timed_out
from rlavr_hpc.answers.verifier import Verifier
from rlavr_hpc.labels.dataset import DatasetLabels
from rlavr_hpc.learning.dynamic_sampling import filter_informative_groups
from rlavr_hpc.telemetry.clock import StepClock
from rlavr_hpc.trainer.components import Components
from rlavr_hpc.trainer.reporting.memory import FreeMemory
from rlavr_hpc.trainer.stages.buy import acquire_labels
from rlavr_hpc.trainer.stages.context import TRAIN, StepContext
from rlavr_hpc.trainer.stages.score import ScoringResult
from rlavr_hpc.types import Group
from tests.support.configs import composed
from tests.support.groups import PLACE, group
from tests.support.ledgers import Worker, write_run


@pytest.fixture(scope="module", autouse=True)
def one_rank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    store = tmp_path_factory.mktemp("ranks") / "store"
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def drawn_prompts() -> list[Group]:
    """Two split ones last; of the first, which is silent, a grader gave up on a response."""
    silent = group([None, None], name="silent")
    silent = replace(silent, vote=replace(silent.vote, ungradable=(1,)))
    return [
        silent,
        group(["1", "1"], name="agreed"),
        group(["1", "2"], name="p"),
        group(["3", "4"], name="q"),
    ]


def components_of(worker: Worker) -> Components:
    config = composed("algorithm.oversample=2", "acquisition=random")
    answers = dict.fromkeys(("silent", "agreed", "p", "q"), "1")
    return cast(
        Components,
        SimpleNamespace(
            config=config,
            ledger=worker.ledger,
            rules=budget_rules(config),
            oracle=None,
            market=DatasetMarket(labels=DatasetLabels(answers=answers)),
            buyable=None,
            acquisition=RandomPolicy(),
            verifier=RecordedVerifier(Verifier(), worker.timed_out),
        ),
    )


def test_labels_are_bought_among_the_kept_and_every_vote_that_decided_is_on_record(
    tmp_path: Path,
) -> None:
    [worker] = write_run(tmp_path / "run", composed(), {})
    drawn = drawn_prompts()
    kept = filter_informative_groups(drawn, batch=2)
    step = StepContext(
        components=components_of(worker),
        key=PLACE,
        quota=2,
        clock=StepClock(),
        free_memory=FreeMemory(),
    )
    purchase = acquire_labels(step, kept, ScoringResult(), drawn=drawn)
    assert set(purchase.labels) == {"p", "q"}
    assert purchase.spend.total == 2
    marks = read_timed_out(tmp_path / "run")
    assert marks == {(0, 1, TRAIN): {answer_id(drawn[0].rollouts[1])}}
