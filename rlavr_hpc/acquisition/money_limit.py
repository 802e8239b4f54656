"""What `budget_cost` kept a run from ordering."""

from __future__ import annotations

from rlavr_hpc.acquisition.ledger_state import LedgerState
from rlavr_hpc.config.run import RunConfig


def labels_unaffordable(config: RunConfig, ledger_state: LedgerState) -> int:
    """Labels that steps were allowed, and whose orders the money did not pay for.

    A step counts in which the policy chose as many as it could.
    """
    if config.budget_cost is None:
        return 0
    lacking = asked = 0
    for key in sorted(ledger_state.decisions):
        chosen, wanted = len(ledger_state.decisions[key]), config.quota
        if config.budget_total is not None:
            wanted = min(wanted, max(0, config.budget_total - asked))
        allowed = ledger_state.allowed.get(key, wanted)
        if chosen >= allowed:
            lacking += max(0, wanted - allowed)
        asked += chosen
    return lacking


def money_notes(config: RunConfig, ledger_state: LedgerState) -> list[str]:
    """The same for people; [] where the money stopped nothing."""
    count = labels_unaffordable(config, ledger_state)
    return [money_note(config, count)] if count else []


def money_note(config: RunConfig, count: int) -> str:
    """A sentence for people.

    Args:
        config: of the run.
        count: as `labels_unaffordable` has it.
    """
    return (
        f"budget_cost={config.budget_cost:g} left nothing for {count} more "
        f"label{'s' * (count != 1)} that the budget allows"
    )
