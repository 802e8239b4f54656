"""Audit: labels are bought to see whether votes are right, besides those that the policy chose.

Those of *kept* prompts never leave this module: no later stage is given one. Those of *used* ones
join the step's labels, and train.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from rlavr_hpc.acquisition.audit_history import AuditKind
from rlavr_hpc.acquisition.buy import buy_audits
from rlavr_hpc.acquisition.ledger import Ledger
from rlavr_hpc.answers.verifier import Grade
from rlavr_hpc.trainer import distributed
from rlavr_hpc.trainer.stages.buy import StepPurchase
from rlavr_hpc.trainer.stages.context import StepContext
from rlavr_hpc.trainer.stages.grade import grade_share
from rlavr_hpc.trainer.vote_audits import VoteAudits
from rlavr_hpc.types import Group, Label

AUDIT = "vote_audit"
"""Stage of these grades in the record of timed-out answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLabels:
    """A step's labels for audits."""

    kept: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Prompt id -> label, of the step's prompts whose label is kept from training."""
    used: tuple[str, ...] = ()
    """Trusted prompts that were drawn, with repeats."""
    to_train: Mapping[str, Label] = field(default_factory=dict)
    """Labels of these."""
    bought: int = 0
    """Labels that were paid for."""
    total: int = 0
    """The same of the run so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedVotes:
    """What a step's audits say."""

    kept: Mapping[str, bool]
    """Prompt id -> whether its vote is right."""
    used: tuple[bool, ...]
    """Whether the trusted votes that were drawn are right."""
    used_prompts: frozenset[str]
    """Those whose label trains although no policy chose it."""
    bought: int
    total: int


def buy_audit_labels(
    step: StepContext, purchase: StepPurchase, *, drawn: Sequence[Group]
) -> AuditLabels:
    """Labels to compare the step's votes with; nothing without audits.

    Args:
        step: the step.
        purchase: what the policy chose before, and whom it trusts.
        drawn: all groups of the step: each is a visit of its prompt.

    Raises:
        LedgerError: on all ranks; no label of the step was used.
    """
    audits = step.components.audits
    if audits is None:
        return AuditLabels()
    prompts = [group.prompt.id for group in drawn]
    return distributed.on_main(partial(_buy, step, audits, purchase, prompts))


def with_used_labels(purchase: StepPurchase, audits: AuditLabels) -> StepPurchase:
    """The purchase with the labels of audits that train."""
    if not audits.to_train:
        return purchase
    return replace(purchase, labels={**purchase.labels, **audits.to_train})


def check_votes(
    step: StepContext,
    drawn: Sequence[Group],
    labels: AuditLabels,
    grades: Mapping[str, Grade],
) -> AuditedVotes:
    """Compare the audited votes with their labels.

    Args:
        step: the step.
        drawn: all groups of the step.
        labels: of its audits.
        grades: by the labels that train.
    """
    kept: dict[str, Grade] = {}
    groups = {group.prompt.id: group for group in drawn}
    if labels.kept:
        with step.clock.phase("grade"):
            kept = grade_share(
                step.components,
                [groups[prompt] for prompt in labels.kept],
                labels.kept,
                step_key=step.key,
                stage=AUDIT,
            )
    return AuditedVotes(
        kept={p: groups[p].vote.is_right(kept[p].correct) for p in labels.kept},
        used=tuple(groups[p].vote.is_right(grades[p].correct) for p in labels.used),
        used_prompts=frozenset(labels.to_train),
        bought=labels.bought,
        total=labels.total,
    )


def _buy(
    step: StepContext, audits: VoteAudits, purchase: StepPurchase, prompts: Sequence[str]
) -> AuditLabels:
    """On rank 0, which has the ledger."""
    ledger, key = step.components.ledger, step.key
    assert ledger is not None
    with step.clock.phase("buy"):
        kept = _buy_kept(step, audits, ledger, purchase, prompts)
        used, texts = buy_audits(
            _affordable(step, ledger, audits.draw.trusted(purchase.selection.trusted, key)),
            AuditKind.used,
            step_key=key,
            ledger=ledger,
            labels=audits.labels,
            known={},
        )
    cost = audits.labels.cost
    here, history = (key.branch, key.step), ledger.state.audits
    before = (key.branch, key.step - 1)
    return AuditLabels(
        kept=kept,
        used=used,
        to_train={p: Label(prompt_id=p, answer=text, cost=cost) for p, text in texts.items()},
        bought=sum(history.count(kind, after=before, until=here) for kind in AuditKind),
        total=sum(history.count(kind, until=here) for kind in AuditKind),
    )


def _buy_kept(
    step: StepContext,
    audits: VoteAudits,
    ledger: Ledger,
    purchase: StepPurchase,
    prompts: Sequence[str],
) -> dict[str, str]:
    """Labels of the step's members; what the run knows anyhow is not paid for again."""
    history, key = ledger.state.audits, step.key
    here = (key.branch, key.step)
    past = ledger.state.before(key).labels
    earlier = history.labels(AuditKind.kept, until=here)
    known = {p: one.answer for p, one in {**past, **earlier}.items() if one.answer is not None}
    known |= {p: label.answer for p, label in purchase.labels.items()}
    members = audits.draw.members(prompts)
    room = audits.reserved - history.count(AuditKind.kept, after=(key.branch, 0), until=here)
    new = [prompt for prompt in members if prompt not in known][: max(0, room)]
    _, bought = buy_audits(
        new, AuditKind.kept, step_key=key, ledger=ledger, labels=audits.labels, known={}
    )
    found = {**known, **bought}
    return {prompt: found[prompt] for prompt in members if prompt in found}


def _affordable(step: StepContext, ledger: Ledger, drawn: list[str]) -> list[str]:
    """As many draws as the cap on labels leaves room for."""
    left = ledger.state.left_of(step.components.rules, step.key)
    if left is None:
        return drawn
    decided = ledger.state.decisions.get((step.key.branch, step.key.step), ())
    return drawn[: max(0, left - len(decided))]
