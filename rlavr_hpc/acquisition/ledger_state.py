"""All purchases of a run, as its ledger's lines add up to, and the budget's rules."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from rlavr_hpc.acquisition.ledger_lines import GENESIS, check_fields, check_hash_chain
from rlavr_hpc.acquisition.purchase_history import BranchHistory, Purchase, PurchaseHistory, Step
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.errors import LedgerError
from rlavr_hpc.types import StepKey


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRules:
    """What a run's config allows besides the quota, which stands in every decision."""

    total: int | None
    """New labels over the run; None = no cap."""
    reuse: bool
    """Whether a label bought once is free afterwards."""


def budget_rules(config: RunConfig) -> BudgetRules:
    """The rules of a run."""
    return BudgetRules(total=config.budget_total, reuse=config.reuse_labels)


@dataclass(slots=True)
class LedgerState:
    """All purchases that count, in the order of the run."""

    decisions: dict[Step, tuple[str, ...]] = field(default_factory=dict)
    allowed: dict[Step, int] = field(default_factory=dict)
    """The quota each decision was made under."""
    purchases: dict[Step, dict[str, Purchase]] = field(default_factory=dict)
    lines: int = 0
    head: str = GENESIS
    """Hash of the last line."""
    _walk: BranchHistory = field(default_factory=BranchHistory, repr=False, compare=False)
    _alike: dict[tuple[str | None, float], Purchase] = field(
        default_factory=dict, repr=False, compare=False
    )
    """One purchase of each kind serves all prompts: millions of them have few answers."""

    def enter(self, row: Mapping[str, Any], where: str) -> None:
        """Add one line after checking it against the chain and the lines before it.

        Raises:
            LedgerError: naming `where`, the line's file and number.
        """
        check_hash_chain(row, head=self.head, number=self.lines, where=where)
        check_fields(row, where)
        key = (row["branch"], row["step"])
        if row["kind"] == "intent":
            self._enter_intent(key, tuple(row["prompts"]), row["quota"], where)
        else:
            self._enter_purchase(key, row, where)
        self.head = row["hash"]
        self.lines += 1

    def _enter_intent(self, key: Step, prompts: tuple[str, ...], quota: int, where: str) -> None:
        if key in self.decisions:
            raise LedgerError(f"{where}: step {key[1]} of branch {key[0]} was decided twice")
        if len(set(prompts)) != len(prompts):
            raise LedgerError(f"{where}: a prompt stands twice in one decision")
        if len(prompts) > quota:
            raise LedgerError(f"{where}: {len(prompts)} labels wanted, {quota} allowed")
        self.allowed[key] = quota
        self._walk.decided(key)
        self.decisions[key] = prompts
        self.purchases[key] = {}

    def _enter_purchase(self, key: Step, row: Mapping[str, Any], where: str) -> None:
        prompt, decided = row["prompt"], self.decisions.get(key, ())
        if prompt not in decided:
            raise LedgerError(f"{where}: prompt {prompt!r} was bought without an intent")
        if prompt in self.purchases[key]:
            raise LedgerError(f"{where}: prompt {prompt!r} was bought twice in step {key[1]}")
        answer = row["label"] if row["kind"] == "commit" else None
        terms = (answer, float(row["cost"]))
        purchase = self._alike.setdefault(terms, Purchase(answer=answer, cost=terms[1]))
        self._walk.changed(key)
        self.purchases[key][decided[decided.index(prompt)]] = purchase  # one text, not two alike

    def before(self, step_key: StepKey) -> PurchaseHistory:
        """What a run has behind it at `step_key`; valid until the next call.

        A resumed run also finds purchases of steps it is about to do again; they do not count as
        known yet, else the step would be decided differently than it was.
        """
        return self._walk.before((step_key.branch, step_key.step), self.purchases)

    def check(self, rules: BudgetRules) -> None:
        """Raise LedgerError where the purchases break the run's rules."""
        spent = sum(len(selected) for selected in self.decisions.values())
        if rules.total is not None and spent > rules.total:
            raise LedgerError(f"{spent} labels asked for, budget_total={rules.total}")
        if rules.reuse:
            self._check_once()

    def _check_once(self) -> None:
        seen: dict[str, Step] = {}
        for key in sorted(self.purchases):
            for prompt in self.purchases[key]:
                if prompt in seen:
                    raise LedgerError(
                        f"prompt {prompt!r} was bought twice, in step {seen[prompt][1]} and again "
                        f"in step {key[1]}, although reuse_labels=true"
                    )
                seen[prompt] = key

    @property
    def bought(self) -> int:
        """Labels paid for."""
        return sum(p.answer is not None for step in self.purchases.values() for p in step.values())

    def bought_until(self, step_key: StepKey) -> int:
        """Labels paid for up to and with this step, also when later steps are known."""
        return self.before(step_key).bought + sum(p.answer is not None for p in self._at(step_key))

    def asked_until(self, step_key: StepKey) -> int:
        """The same with the void ones."""
        return self.before(step_key).asked + len(self._at(step_key))

    def _at(self, step_key: StepKey) -> Collection[Purchase]:
        return self.purchases.get((step_key.branch, step_key.step), {}).values()

    def until(self, step_key: StepKey) -> LedgerState:
        """Purchases up to and with the step at `step_key`; to be counted, not to be continued."""
        here = (step_key.branch, step_key.step)
        return LedgerState(purchases={key: p for key, p in self.purchases.items() if key <= here})

    @property
    def void(self) -> int:
        """Intents that met no label."""
        return sum(p.answer is None for step in self.purchases.values() for p in step.values())

    @property
    def cost(self) -> float:
        """Sum of what was paid."""
        return sum(p.cost for step in self.purchases.values() for p in step.values())

    @property
    def open_intents(self) -> int:
        """Decisions whose outcome is not on disk: a run died between the two."""
        return sum(len(self.decisions[key]) - len(self.purchases[key]) for key in self.decisions)
