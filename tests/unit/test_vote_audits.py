"""Audits of votes: who is audited, what it costs, and that training is told of used ones alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch.distributed as dist

from rlavr_hpc.acquisition.audit_history import AuditKind
from rlavr_hpc.acquisition.buy import buy_audits, find_candidates
from rlavr_hpc.acquisition.ledger import Ledger, read_ledger
from rlavr_hpc.acquisition.ledger_state import BudgetRules
from rlavr_hpc.acquisition.market import DatasetMarket
from rlavr_hpc.acquisition.vote_audit import AuditDraw, audits_of, usual_share
from rlavr_hpc.answers.recorded_verifier import RecordedVerifier
from rlavr_hpc.answers.verifier import Verifier
from rlavr_hpc.data.stream import PromptStream
from rlavr_hpc.errors import LedgerError, UserError
from rlavr_hpc.labels.dataset import DatasetLabels
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.clock import StepClock
from rlavr_hpc.telemetry.collapse.alarm.plan import AlarmBound, RaisedAlarm
from rlavr_hpc.telemetry.reduce import as_row
from rlavr_hpc.telemetry.step_metrics import StepSpend
from rlavr_hpc.trainer.components import Components
from rlavr_hpc.trainer.hooks.vote_audit import observe_audits
from rlavr_hpc.trainer.reporting.memory import FreeMemory
from rlavr_hpc.trainer.stages.audit import (
    AuditedVotes,
    AuditLabels,
    buy_audit_labels,
    check_votes,
    with_used_labels,
)
from rlavr_hpc.trainer.stages.buy import StepPurchase
from rlavr_hpc.trainer.stages.context import StepContext
from rlavr_hpc.trainer.stages.grade import grade_share
from rlavr_hpc.trainer.vote_audits import VoteAudits, build_audits, leaves_room
from rlavr_hpc.types import Label, Selection, StepKey
from tests.support.configs import composed
from tests.support.groups import group, prompt
from tests.support.ledgers import Worker, write_run
from tests.unit.test_checkpoints import STATE

NAMES = tuple(f"p{i}" for i in range(2000))
STREAM = PromptStream(prompts=[prompt(name) for name in NAMES], batch=64)
ANSWERS = dict.fromkeys(NAMES, "1")
TRUSTING = ("acquisition=care", "warning.audit=both", "seed=3")


@pytest.fixture(scope="module", autouse=True)
def one_rank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    store = tmp_path_factory.mktemp("ranks") / "store"
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def draw(*, branch: int = 0, kept: float = 0.1, used: float = 1.0) -> AuditDraw:
    return AuditDraw(
        seed=3, branch=branch, kept_share=kept, used_per_step=used, population=frozenset(NAMES)
    )


def at(step: int, branch: int = 0) -> StepKey:
    return StepKey(seed=3, step=step, branch=branch)


def test_members_are_a_fixed_random_share_and_others_on_another_branch() -> None:
    members, later = draw().members(NAMES), draw(branch=1).members(NAMES)

    assert 150 <= len(members) <= 250
    assert draw().members(NAMES[:100]) == [name for name in members if name in NAMES[:100]]
    assert len({*members} & {*later}) <= 50


def test_nobody_without_a_label_is_a_member_or_drawn() -> None:
    few = replace(draw(kept=1.0), population=frozenset({"p1", "p2"}))

    assert few.members(["p0", "p1", "p2"]) == ["p1", "p2"]
    assert {*few.trusted(["p0", "p2"], at(1))} == {"p2"}
    assert few.trusted(["p0"], at(1)) == []


def test_draws_among_trusted_votes_depend_on_the_step_alone() -> None:
    twenty = replace(draw(), used_per_step=20.0)

    again = [twenty.trusted(NAMES[:10], at(step)) for step in (5, 5, 6)]

    assert again[0] == again[1] != again[2]
    assert len(again[0]) == 20 > len({*again[0]}), "with replacement"
    assert twenty.trusted(NAMES[:10], at(5, branch=1)) != again[0]


def test_half_an_audit_a_step_comes_in_every_second_one() -> None:
    assert [audits_of(step, 0.5) for step in range(1, 7)] == [0, 1, 0, 1, 0, 1]
    assert sum(audits_of(step, 0.3) for step in range(1, 11)) == 3


def test_the_usual_share_is_a_member_a_step_and_a_hundred_in_all() -> None:
    assert usual_share(batch=64, prompts=1000) == 0.1
    assert usual_share(batch=8, prompts=10000) == 0.125
    assert usual_share(batch=8, prompts=50) == 1.0


def test_what_is_set_aside_is_enough_for_the_members() -> None:
    reserves = [draw(branch=branch).reserve() for branch in range(50)]
    members = [len(draw(branch=branch).members(NAMES)) for branch in range(50)]

    assert max(members) < min(reserves) < 300


class Source:
    """Labels that are counted when they are uncovered."""

    cost = 2.0

    def __init__(self) -> None:
        self.asked: list[str] = []

    def reveal(self, prompt_ids: Any) -> Mapping[str, str]:  # noqa: ANN401
        wanted = list(prompt_ids)
        self.asked += wanted
        return {p: "1" for p in wanted if not p.startswith("void")}


def audit(
    ledger: Ledger, *wanted: str, step: int = 1, use: AuditKind = AuditKind.kept, **known: str
) -> tuple[tuple[str, ...], dict[str, str], list[str]]:
    source = Source()
    audited, labels = buy_audits(
        wanted, use, step_key=at(step), ledger=ledger, labels=source, known=known
    )
    return audited, labels, source.asked


def worker_of(folder: Path, **bought: list[str]) -> Worker:
    steps = {int(step.removeprefix("step_")): prompts for step, prompts in bought.items()}
    [worker] = write_run(folder, composed(), steps)
    return worker


def test_an_audit_is_on_disk_says_what_it_is_and_is_paid_once(tmp_path: Path) -> None:
    ledger = worker_of(tmp_path).ledger

    first = audit(ledger, "p1", "p2", "p1", use=AuditKind.used)
    again = audit(ledger, "p9", use=AuditKind.used)

    assert first == (("p1", "p2", "p1"), {"p1": "1", "p2": "1"}, ["p1", "p2"])
    assert again == (*first[:2], []), "a step on record keeps its draws"
    state = read_ledger(tmp_path)
    assert state.audits.total == 2
    assert (state.bought, state.cost) == (0, 4.0)
    text = (tmp_path / "ledger/1.jsonl").read_text()
    assert '"kind":"audited","label":"1"' in text
    assert '"use":"used","v":3' in text


def test_known_labels_are_free_and_missing_ones_no_evidence(tmp_path: Path) -> None:
    ledger = worker_of(tmp_path).ledger

    assert audit(ledger, "p1", "void1", p1="7") == (("p1",), {"p1": "7"}, ["void1"])


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"kind": "audited", "prompt": "p", "label": "1", "cost": 1}], "without an intent"),
        ([{"kind": "audit", "prompts": ["p"]}] * 2, "drawn twice"),
        (
            [
                {"kind": "audit", "prompts": ["p", "p"]},
                *[{"kind": "audited", "prompt": "p", "label": "1", "cost": 1}] * 2,
            ],
            "audited twice",
        ),
        ([{"kind": "audit", "prompts": ["p"], "use": "train"}], "use='train' cannot be right"),
    ],
)
def test_a_ledger_whose_audits_contradict_each_other_is_refused(
    tmp_path: Path, rows: list[dict[str, Any]], words: str
) -> None:
    ledger = worker_of(tmp_path).ledger

    with pytest.raises(LedgerError, match=words):
        ledger.record(at(1), [{"use": "kept", **row} for row in rows])


def offered(ledger: Ledger, *, total: int | None, reserved: int = 0) -> tuple[list[str], int]:
    """Candidates among five prompts at step 9, and the quota."""
    offer = find_candidates(
        [group(["1", "2"], name=f"p{i}") for i in range(5)],
        step_key=at(9),
        ledger=ledger,
        rules=BudgetRules(total=total, reuse=True, reserved=reserved),
        quota=4,
        market=DatasetMarket(labels=DatasetLabels(answers=ANSWERS)),
    )
    return [one.prompt.id for one in offer.candidates], offer.quota


def test_the_policy_cannot_tell_whose_label_was_kept(tmp_path: Path) -> None:
    few, many = worker_of(tmp_path / "few").ledger, worker_of(tmp_path / "many").ledger
    audit(many, "p1", "p2", "p3", step=2)

    assert offered(few, total=12, reserved=10) == offered(many, total=12, reserved=10)
    assert offered(few, total=12, reserved=10)[1] == 2


def test_a_used_audit_is_owned_afterwards_and_counts_under_the_cap(tmp_path: Path) -> None:
    ledger = worker_of(tmp_path).ledger
    audit(ledger, "p1", "p2", step=2, use=AuditKind.used)

    assert offered(ledger, total=5) == (["p0", "p3", "p4"], 3)


def test_audits_of_later_steps_are_not_known_yet(tmp_path: Path) -> None:
    ledger = worker_of(tmp_path).ledger
    audit(ledger, "p1", step=9, use=AuditKind.used)

    assert offered(ledger, total=5) == (["p0", "p1", "p2", "p3", "p4"], 4)


def test_the_cap_counts_audits(tmp_path: Path) -> None:
    ledger = worker_of(tmp_path, step_1=["a", "b"]).ledger
    audit(ledger, "p1", step=2)

    ledger.state.check(BudgetRules(total=3, reuse=True))
    with pytest.raises(LedgerError, match="budget_total=2"):
        ledger.state.check(BudgetRules(total=2, reuse=True))


def step_of(
    worker: Worker,
    *,
    step: int = 2,
    draws: AuditDraw | None = None,
    total: int | None = None,
) -> StepContext:
    """A step on rank 0 whose members are all prompts, with a draw among trusted ones."""
    config = composed(*TRUSTING, f"budget_total={total}" if total else "budget_total=null")
    audits = build_audits(config, STREAM, ANSWERS, state=STATE, enough=True)
    assert audits is not None
    audits = replace(audits, draw=draws or draw(kept=1.0), reserved=5)
    components = SimpleNamespace(
        config=config,
        ledger=worker.ledger,
        rules=BudgetRules(total=total, reuse=True, reserved=0),
        audits=audits,
        verifier=RecordedVerifier(Verifier(), worker.timed_out),
        engine=SimpleNamespace(replica=0, replicas=1, is_leader=True),
    )
    return StepContext(
        components=cast(Components, components),
        key=at(step),
        quota=1,
        clock=StepClock(),
        free_memory=FreeMemory(),
    )


def bought(*trusted: str, **labels: str) -> StepPurchase:
    spend = StepSpend(quota=1, bought=1, cost=1.0, void=0, total=1, asked=1, cap=None)
    return StepPurchase(
        labels={p: Label(prompt_id=p, answer=a, cost=1.0) for p, a in labels.items()},
        selection=Selection(selected=tuple(labels), trusted=trusted),
        spend=spend,
    )


DRAWN = [group(["1", "1"], name="p1"), group(["2", "2"], name="p2"), group(["1", "2"], name="p3")]


def votes_of(step: StepContext, purchase: StepPurchase, labels: AuditLabels) -> AuditedVotes:
    """What the stages between the purchase and the check do."""
    answers = with_used_labels(purchase, labels).answers
    grades = grade_share(step.components, DRAWN, answers, step_key=step.key, stage="train")
    return check_votes(step, DRAWN, labels, grades)


def test_kept_labels_are_evidence_and_train_nothing(tmp_path: Path) -> None:
    worker, purchase = worker_of(tmp_path), bought(p3="1")
    step = step_of(worker, draws=draw(kept=1.0, used=0.0))

    labels = buy_audit_labels(step, purchase, drawn=DRAWN)
    audited = votes_of(step, purchase, labels)

    assert with_used_labels(purchase, labels) is purchase
    assert audited.kept == {"p1": True, "p2": False, "p3": True}
    assert (labels.bought, audited.used_prompts) == (2, frozenset()), "p3 is known anyhow"
    later = buy_audit_labels(step_of(worker, step=5), bought(), drawn=DRAWN[:2])
    assert later.kept == {"p1": "1", "p2": "1"}
    assert (later.bought, later.total) == (0, 2), "a member is paid for once"


def test_a_policy_that_buys_a_member_pays_as_ever(tmp_path: Path) -> None:
    worker = worker_of(tmp_path)
    buy_audit_labels(step_of(worker, draws=draw(kept=1.0)), bought(), drawn=DRAWN)

    candidates, quota = offered(worker.ledger, total=None)

    assert ("p1" in candidates, quota) == (True, 4)


def test_used_labels_train_and_are_evidence_as_often_as_they_were_drawn(tmp_path: Path) -> None:
    worker, purchase = worker_of(tmp_path), bought("p1", "p2")
    step = step_of(worker, draws=draw(kept=0.0, used=6.0))

    labels = buy_audit_labels(step, purchase, drawn=DRAWN)
    audited = votes_of(step, purchase, labels)

    assert set(with_used_labels(purchase, labels).labels) == {"p1", "p2"} == audited.used_prompts
    assert audited.used == tuple(name == "p1" for name in labels.used)
    assert len(audited.used) == 6
    assert not audited.kept


def test_no_more_is_audited_than_the_cap_allows(tmp_path: Path) -> None:
    worker = worker_of(tmp_path, step_1=["x"], step_2=["y"])
    purchase, step = bought("p1", "p2"), step_of(worker, draws=draw(kept=1.0, used=6.0), total=3)

    labels = buy_audit_labels(step, purchase, drawn=DRAWN)

    assert len(labels.used) == 1, "what the policy chose in the step counts, too"


def test_without_audits_nothing_is_bought_or_said(tmp_path: Path) -> None:
    step = step_of(worker_of(tmp_path))
    without = replace(step, components=cast(Components, SimpleNamespace(audits=None)))

    labels = buy_audit_labels(without, bought(), drawn=DRAWN)

    assert labels == AuditLabels()
    assert observe_audits(None, check_votes(without, DRAWN, labels, {}), at(2)) == {}


def test_the_alarm_hears_a_step_and_says_how_it_stands(tmp_path: Path) -> None:
    audits = step_of(worker_of(tmp_path)).components.audits
    assert audits is not None
    votes = AuditedVotes(
        kept={"p1": True, "p2": False}, used=(True,), used_prompts=frozenset(), bought=2, total=9
    )

    found = as_row(observe_audits(audits, votes, at(2)))

    assert found[names.LABELS_KEPT_RIGHT] == 0.5
    assert found[names.LABELS_USED_RIGHT] == 1.0
    assert (found[names.LABELS_AUDITS], found[names.LABELS_AUDITS_TOTAL]) == (2.0, 9.0)
    assert (found[names.COLLAPSE_ALARM], found[names.COLLAPSE_ALARM_EVIDENCE]) == (0.0, 0.0)
    assert audits.alarm.certificate.audits == 1
    assert audits.report()["alarm"] is None


def build(state_of: VoteAudits | None, *, branch: int, step: int, config: str = "") -> VoteAudits:
    state = replace(STATE, step=step, branch=branch, alarm=state_of.state() if state_of else None)
    overrides = (*TRUSTING, *([config] if config else []))
    audits = build_audits(composed(*overrides), STREAM, ANSWERS, state=state, enough=True)
    assert audits is not None
    return audits


def test_a_resumed_branch_goes_on_and_a_new_one_begins_anew_at_half_the_rate() -> None:
    first = build(None, branch=0, step=0)
    for step in range(1, 30):
        first.alarm.observe(step, kept={f"p{step}": True}, used=[True])

    resumed, rolled_back = build(first, branch=0, step=29), build(first, branch=1, step=20)

    assert resumed.alarm.state() == first.alarm.state()
    assert resumed.draw == first.draw
    assert rolled_back.alarm.certificate.audits == 0
    assert rolled_back.alarm.plan.false_alarm == first.alarm.plan.false_alarm / 2 == 0.025
    assert rolled_back.alarm.plan.begin == 20
    assert rolled_back.draw.members(NAMES) != first.draw.members(NAMES)


def test_more_steps_change_no_promise_and_another_floor_is_a_new_one() -> None:
    first = build(None, branch=0, step=0)
    first.alarm.observe(1, kept={}, used=[True])

    assert build(first, branch=0, step=1, config="steps=900").alarm.plan == first.alarm.plan
    other = build(first, branch=0, step=1, config="warning.trust_floor=0.7")
    assert other.alarm.certificate.audits == 0


def test_a_raised_alarm_is_reported_with_its_bound() -> None:
    audits = build(None, branch=0, step=0)
    audits.alarm.raised = RaisedAlarm(step=7, bound=AlarmBound.pairs, reason="fewer are right")

    assert audits.report()["alarm"] == {"step": 7, "bound": "pairs", "reason": "fewer are right"}
    again = build(audits, branch=0, step=9)
    assert again.alarm.raised == audits.alarm.raised
    assert again.alarm.status == "collapse alarm at step 7: fewer are right"


def test_a_cap_that_kept_labels_would_use_up_is_refused_or_keeps_none(tmp_path: Path) -> None:
    config = composed("acquisition=random", "warning.audit=kept", "budget_total=100")
    ledger = worker_of(tmp_path).ledger

    with pytest.raises(UserError, match=r"sets \d+ labels aside, and budget_total=100 allows"):
        leaves_room(config, STREAM, ANSWERS, state=STATE, ledger=ledger)
    branch = replace(STATE, branch=1)
    assert not leaves_room(config, STREAM, ANSWERS, state=branch, ledger=ledger)
    enough = replace(config, budget_total=600)
    assert leaves_room(enough, STREAM, ANSWERS, state=branch, ledger=ledger)


def test_no_audits_where_none_are_asked_for() -> None:
    assert build_audits(composed(), STREAM, ANSWERS, state=STATE, enough=True) is None
