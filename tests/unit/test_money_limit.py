"""What `budget_cost` kept a run from ordering, and how messages call a label source."""

from __future__ import annotations

from typing import Any

import pytest

from rlavr_hpc.acquisition.ledger_state import LedgerState
from rlavr_hpc.acquisition.money_limit import labels_unaffordable, money_note
from rlavr_hpc.errors import UserError
from rlavr_hpc.labels.load import load_source
from rlavr_hpc.trainer.reporting.summary import fault_note
from tests.support.configs import composed

LIVE = ("rollout=hf", "labels=command", "labels.command=x", "acquisition=random")


def state(*steps: tuple[int, int]) -> LedgerState:
    """(chosen, allowed) of each step."""
    found = LedgerState()
    for number, (chosen, allowed) in enumerate(steps, start=1):
        found.decisions[0, number] = tuple(f"p{number}-{n}" for n in range(chosen))
        found.allowed[0, number] = allowed
    return found


def test_labels_that_the_money_did_not_pay_for_are_counted() -> None:
    config = composed(*LIVE, "budget=0.25", "algorithm.batch=16", "budget_cost=6")
    assert config.quota == 4
    assert labels_unaffordable(config, state((4, 4), (2, 2), (0, 0))) == 6
    assert labels_unaffordable(config, state((4, 4), (1, 2))) == 0, "the policy wanted no more"
    assert money_note(config, 1).startswith("budget_cost=6 left nothing for 1 more label that")


def test_the_last_heartbeat_tells_of_spent_money_beside_the_faults() -> None:
    summary: dict[str, Any] = {"faults": [], "lost_signal": None, "labels_unaffordable": 2}
    assert fault_note(summary) == "budget_cost left nothing for 2 more labels"
    assert fault_note({**summary, "labels_unaffordable": 0}) == ""


def test_what_the_cap_on_labels_stops_was_not_stopped_by_money() -> None:
    config = composed(*LIVE, "budget=0.25", "algorithm.batch=16", "budget_cost=6", "budget_total=5")
    assert labels_unaffordable(config, state((4, 4), (1, 1), (0, 0))) == 0
    free = composed(*LIVE, "budget=0.25", "algorithm.batch=16")
    assert labels_unaffordable(free, state((0, 0))) == 0


def test_a_message_of_a_label_source_names_it_as_the_user_did() -> None:
    config = composed("rollout=hf", "labels=judge")
    with pytest.raises(UserError) as raised:
        load_source(config.labels)
    assert str(raised.value).startswith("labels=judge: labels.")
    assert "rlavr_hpc" not in str(raised.value)
