"""All purchases of a run, as its ledger's lines add up to, and the budget's rules."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from rlavr_hpc.acquisition.audit_history import AuditHistory, AuditKind
from rlavr_hpc.acquisition.ledger_lines import GENESIS, check_fields, check_hash_chain
from rlavr_hpc.acquisition.order_history import OrderHistory
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
    cost: float | None = None
    """Money over the run, with all that is in flight; None = no cap."""
    reserved: int = 0
    """Of the new labels, so many are left to kept audits of this branch, whoever they are about."""


def budget_rules(config: RunConfig) -> BudgetRules:
    """The rules of a run."""
    return BudgetRules(
        total=config.budget_total, reuse=config.reuse_labels, cost=config.budget_cost
    )


@dataclass(slots=True)
class LedgerState:
    """All purchases that count, in the order of the run."""

    decisions: dict[Step, tuple[str, ...]] = field(default_factory=dict)
    allowed: dict[Step, int] = field(default_factory=dict)
    """The quota each decision was made under."""
    purchases: dict[Step, dict[str, Purchase]] = field(default_factory=dict)
    """By the step in which they were seen, and by prompt."""
    corrected: dict[Step, dict[str, Purchase]] = field(default_factory=dict)
    """Labels corrected by their source, in the same way."""
    orders: OrderHistory = field(default_factory=OrderHistory)
    """To a live source."""
    audits: AuditHistory = field(default_factory=AuditHistory)
    lines: int = 0
    head: str = GENESIS
    """Hash of the last line."""
    _walk: BranchHistory = field(default_factory=BranchHistory, repr=False, compare=False)
    _alike: dict[Purchase, Purchase] = field(default_factory=dict, repr=False, compare=False)
    """One purchase of each kind serves all prompts: millions of them have few answers."""

    def enter(self, row: Mapping[str, Any], where: str) -> None:
        """Add one line after checking it against the chain and the lines before it.

        Raises:
            LedgerError: naming `where`, the line's file and number.
        """
        check_hash_chain(row, head=self.head, number=self.lines, where=where)
        check_fields(row, where)
        key = (row["branch"], row["step"])
        match row["kind"]:
            case "intent":
                self._enter_intent(key, tuple(row["prompts"]), row["quota"], where)
            case "commit" | "void":
                self._enter_purchase(key, key, row, where)
            case "settled":
                decided: Step = (row["decided"][0], row["decided"][1])
                self._enter_purchase(key, decided, row, where)
                self.orders.unsettled.pop((decided, row["prompt"]), None)
            case "superseded":
                self._enter_correction(key, row, where)
                self.orders.enter(key, row, where)
            case "audit" | "audited":
                self.audits.enter(key, row, where)
            case _:
                self._check_ordered(row, where)
                self.orders.enter(key, row, where)
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
        self._walk.note(key)
        self.decisions[key] = prompts
        self.purchases.setdefault(key, {})

    def _check_ordered(self, row: Mapping[str, Any], where: str) -> None:
        """An order for a label follows its intent."""
        if row["kind"] != "ordered" or row["gold"]:
            return
        decided = self.decisions.get((row["decided"][0], row["decided"][1]), ())
        if row["prompt"] not in decided:
            raise LedgerError(f"{where}: prompt {row['prompt']!r} was ordered without an intent")

    def _enter_purchase(
        self, key: Step, decided_at: Step, row: Mapping[str, Any], where: str
    ) -> None:
        prompt, decided = row["prompt"], self.decisions.get(decided_at, ())
        if prompt not in decided:
            raise LedgerError(f"{where}: prompt {prompt!r} was bought without an intent")
        if row["kind"] == "settled" and (decided_at, prompt) not in self.orders.unsettled:
            raise LedgerError(f"{where}: prompt {prompt!r} was settled twice or never ordered")
        seen = self.purchases.setdefault(key, {})
        if prompt in seen:
            raise LedgerError(f"{where}: prompt {prompt!r} was bought twice in step {key[1]}")
        purchase = Purchase(
            answer=row.get("label"),
            cost=float(row["cost"]),
            wrong=row.get("wrong"),
            why=row.get("void") or "",
            decided=None if decided_at == key else decided_at,
        )
        self._walk.note(key)
        seen[decided[decided.index(prompt)]] = self._alike.setdefault(purchase, purchase)

    def _enter_correction(self, key: Step, row: Mapping[str, Any], where: str) -> None:
        if row["key"] not in self.orders.received:
            raise LedgerError(f"{where}: a correction of what was never answered")
        self._walk.note(key)
        corrected = Purchase(answer=row["label"], cost=0.0)
        self.corrected.setdefault(key, {})[row["prompt"]] = corrected

    def before(self, step_key: StepKey) -> PurchaseHistory:
        """What a run has behind it at `step_key`; valid until the next call.

        A resumed run also finds purchases of steps it is about to do again; they do not count as
        known yet, else the step would be decided differently than it was.
        """
        return self._walk.before((step_key.branch, step_key.step), self._add_step)

    def _add_step(self, past: PurchaseHistory, key: Step) -> None:
        nothing: dict[str, Purchase] = {}
        past.add(
            self.purchases.get(key, nothing),
            ordered=self._ordered_in(key),
            corrected=self.corrected.get(key, nothing),
        )

    def _ordered_in(self, key: Step) -> list[str]:
        """Prompts of a step's intent that a live source was asked about."""
        placed = self.orders.of_intent
        return [p for p in self.decisions.get(key, ()) if (key, p) in placed] if placed else []

    def seen_late(self, step_key: StepKey) -> dict[str, Purchase]:
        """What became visible in this step of the intents of earlier ones, by prompt."""
        here = (step_key.branch, step_key.step)
        late = {p: one for p, one in self.purchases.get(here, {}).items() if one.decided}
        return {**late, **self.corrected.get(here, {})}

    def check(self, rules: BudgetRules) -> None:
        """Raise LedgerError where the purchases break the run's rules."""
        spent = sum(len(selected) for selected in self.decisions.values()) + self.audits.total
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

    def left_of(self, rules: BudgetRules, step_key: StepKey) -> int | None:
        """New labels that the cap leaves for a step's own purchases and audits; None = no cap.

        What kept audits of this branch have cost is not told: that would tell who they are about.
        """
        if rules.total is None:
            return None
        branch, step = step_key.branch, step_key.step
        kept = self.audits.count(AuditKind.kept, until=(branch, 0))
        used = self.audits.count(AuditKind.used, until=(branch, step - 1))
        return rules.total - rules.reserved - kept - used - self.before(step_key).asked

    @property
    def bought(self) -> int:
        """Labels paid for, those of audits left out."""
        return sum(p.answer is not None for step in self.purchases.values() for p in step.values())

    def bought_until(self, step_key: StepKey) -> int:
        """Labels paid for up to and with this step, also when later steps are known."""
        return self.before(step_key).bought + sum(p.answer is not None for p in self._at(step_key))

    def asked_until(self, step_key: StepKey) -> int:
        """The same with the void and the pending ones."""
        key = (step_key.branch, step_key.step)
        own = {p for p, one in self.purchases.get(key, {}).items() if one.decided is None}
        return self.before(step_key).asked + len(own.union(self._ordered_in(key)))

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
        settled = sum(p.cost for step in self.purchases.values() for p in step.values())
        return settled + self.orders.gold_cost + self.audits.cost

    @property
    def committed(self) -> float:
        """What was paid, and what may still have to be paid for orders in flight."""
        begun = sum(map(self.orders.paid_for, self.orders.unsettled))
        return self.cost + begun + self.orders.in_flight

    @property
    def open_intents(self) -> int:
        """Decisions whose outcome is not on disk: labels are pending, or a run died."""
        asked = sum(len(selected) for selected in self.decisions.values())
        return asked - sum(len(seen) for seen in self.purchases.values())
