from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rlavr_hpc.acquisition.buy import Bought, Candidates, buy_labels, find_candidates
from rlavr_hpc.acquisition.gold_orders import GoldOrders
from rlavr_hpc.acquisition.ledger import Ledger, read_ledger
from rlavr_hpc.acquisition.ledger_state import BudgetRules
from rlavr_hpc.acquisition.order_book import Mailbox, OrderBook
from rlavr_hpc.acquisition.order_maker import OrderMaker
from rlavr_hpc.config.labels import Ask, LabelsConfig, Show
from rlavr_hpc.labels.line_files import LinesOut
from rlavr_hpc.labels.mailbox import ANSWERS, ORDERS, AnswersIn, OrdersIn, OrdersOut
from rlavr_hpc.labels.orders import Order, SourceIdentity
from rlavr_hpc.labels.resolve import by_text
from rlavr_hpc.labels.sent import CallsIn
from rlavr_hpc.labels.source import Source
from rlavr_hpc.learning.advantages import compute_advantages
from rlavr_hpc.learning.reward_shaping import Shaping
from rlavr_hpc.learning.rewards import VoteReward, assign_rewards
from rlavr_hpc.runs.attempts import segment
from rlavr_hpc.telemetry.reduce import as_row
from rlavr_hpc.telemetry.step_metrics import StepSpend, label_metrics
from rlavr_hpc.types import LabelledGroup, Question, Selection, SelfRewardInputs, StepKey
from tests.support.attempts import begin_attempt
from tests.support.groups import group

GROUPS = [group(["1", "2", "1"], name=f"p{i}") for i in range(6)]
QUESTIONS = {
    f"p{i}": Question(id=f"p{i}", messages=(), text=f"What is {i}?", task="math") for i in range(8)
}
RULES = BudgetRules(total=None, reuse=True)


class NoWords:
    """Takes every text but words for an answer."""

    def fault(self, question: Question, text: str) -> str:
        return "a word" if text.isalpha() else ""

    def clusters(self, question: Question, texts: Sequence[str]) -> Sequence[Sequence[int]]:
        return by_text(texts)


@dataclass(kw_only=True)
class Nobody(Source):
    """Is never asked in these tests."""


@dataclass
class Run:
    """One run's ledger and mailbox; `again` starts its next attempt."""

    run_dir: Path
    config: LabelsConfig = field(default_factory=lambda: LabelsConfig(name="people"))
    rules: BudgetRules = RULES
    gold: tuple[str, ...] = ()
    ledger: Ledger = field(init=False)
    book: OrderBook = field(init=False)
    answered: int = 0

    def __post_init__(self) -> None:
        self.again()

    def again(self) -> None:
        attempt = begin_attempt(self.run_dir, resumed_from=0)
        self.ledger = Ledger(self.run_dir, attempt.number, fence=lambda: None)
        self.book = OrderBook(
            config=self.config,
            maker=OrderMaker(
                config=self.config,
                source=Nobody(),
                identity=SourceIdentity(name="people", version="1"),
                questions=QUESTIONS,
            ),
            mailbox=Mailbox(
                out=OrdersOut(self.run_dir, attempt.number),
                answers=AnswersIn(self.run_dir),
                calls=CallsIn(self.run_dir),
            ),
            rules=NoWords(),
            cap=self.rules.cost,
            gold=GoldOrders(config=self.config, prompts=self.gold),
        )

    def offer(self, step: int, *, quota: int = 2) -> Candidates:
        return find_candidates(
            GROUPS,
            step_key=StepKey(seed=1, step=step),
            ledger=self.ledger,
            rules=self.rules,
            quota=quota,
            market=self.book,
        )

    def buy(self, step: int, *prompts: str, offer: Candidates | None = None) -> Bought:
        return buy_labels(
            Selection(selected=prompts),
            offer=offer or self.offer(step),
            step_key=StepKey(seed=1, step=step),
            ledger=self.ledger,
            market=self.book,
        )

    def orders(self) -> dict[str, list[Order]]:
        """All orders by prompt."""
        seen = OrdersIn(self.run_dir)
        found: dict[str, list[Order]] = {}
        for order in seen.look():
            found.setdefault(order.prompt_id, []).append(order)
        return found

    def key(self, prompt: str, copy: int = 0) -> str:
        return self.orders()[prompt][copy].key

    def say(self, *rows: dict[str, Any]) -> None:
        """Rows of one start of a bridge."""
        self.answered += 1
        LinesOut(self.run_dir / ANSWERS, f"{self.answered:03d}").append(rows)

    def kinds(self, attempt: int = 1) -> list[str]:
        return [
            json.loads(line)["kind"] for line in segment(self.run_dir, "ledger", attempt).open()
        ]


def test_an_order_is_on_the_ledger_and_in_the_mailbox_and_its_answer_becomes_the_label(
    tmp_path: Path,
) -> None:
    run = Run(tmp_path)
    offer = run.offer(1)
    assert run.buy(1, "p3", "p1", offer=offer).pending == ("p3", "p1")
    line = json.loads((tmp_path / ORDERS / "1.jsonl").read_text().splitlines()[0])
    key = line.pop("key")
    assert line == {
        "prompt_id": "p3",
        "messages": [{"role": "user", "content": "What is 3?"}],
        "ask": "answer",
        "task": "math",
        "price": 1.0,
    }
    run.say({"key": key, "answer": "3", "annotator": "ann", "seconds": 4.5, "cost": 0.5})
    bought = run.buy(1, "p3", "p1", offer=offer)
    assert (bought.labels["p3"].answer, bought.labels["p3"].cost) == ("3", 0.5)
    assert bought.pending == ("p1",)
    assert run.kinds() == ["seen", "intent", "ordered", "ordered", "received", "settled"]
    state = read_ledger(tmp_path)
    assert (state.bought, state.cost, state.open_intents, state.committed) == (1, 0.5, 1, 1.5)
    assert state.orders.received[key].annotator == "ann"


def test_a_key_says_what_is_asked_and_not_when_or_where(tmp_path: Path) -> None:
    one, other = Run(tmp_path / "a"), Run(tmp_path / "b")
    one.buy(1, "p3")
    other.buy(2, "p1", "p3")
    assert one.key("p3") == other.key("p3")
    assert other.key("p1") != other.key("p3")


def test_a_killed_run_orders_nothing_twice_and_finds_what_came_meanwhile(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.buy(1, "p3", "p1")
    run.say({"key": run.key("p3"), "answer": "3"})
    run.again()
    bought = run.buy(1, "p5")  # a step decided before keeps its decision
    assert ({p: label.answer for p, label in bought.labels.items()}, bought.pending) == (
        {"p3": "3"},
        ("p1",),
    )
    assert [len(orders) for orders in run.orders().values()] == [1, 1]


def test_an_order_that_only_the_ledger_knows_is_placed_by_the_next_attempt(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.buy(1, "p3")
    (tmp_path / ORDERS / "1.jsonl").unlink()
    run.again()
    run.buy(1, "p3")
    assert list(run.orders()) == ["p3"]


def test_a_late_label_counts_from_the_step_that_saw_it_also_after_a_kill(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.buy(1, "p3", "p1")
    run.book.close(StepKey(seed=1, step=1), run.ledger)
    second = run.offer(2)
    assert {g.prompt.id for g in second.candidates} == {"p0", "p2", "p4", "p5"}, "they are pending"
    run.say({"key": run.key("p3"), "answer": "3"}, {"key": run.key("p1"), "void": "cannot say"})
    assert run.buy(1, "p3", "p1", offer=run.offer(1)).pending == ("p3", "p1"), "step 1 is closed"
    third = run.offer(3)
    assert (third.owned["p3"].answer, third.owned["p3"].cost) == ("3", 0.0)
    assert {g.prompt.id for g in third.candidates} == {"p0", "p2", "p4", "p5"}, "p1 has no label"
    run.again()
    assert run.offer(2).owned == {}
    assert run.offer(3).owned == third.owned
    state = run.ledger.state
    assert [state.bought_until(StepKey(seed=1, step=step)) for step in (1, 2, 3)] == [0, 0, 1]
    assert [state.asked_until(StepKey(seed=1, step=step)) for step in (1, 2, 3)] == [2, 2, 2]


def test_a_step_that_is_done_again_sees_no_more_than_it_saw(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.buy(1, "p3", "p1")
    run.book.close(StepKey(seed=1, step=1), run.ledger)
    run.say({"key": run.key("p3"), "answer": "3"})
    assert set(run.offer(2).owned) == {"p3"}
    run.say({"key": run.key("p1"), "answer": "1"})
    run.again()
    assert set(run.offer(2).owned) == {"p3"}
    assert set(run.offer(3).owned) == {"p3", "p1"}


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"void": "refusal"}, "refusal"),
        ({"answer": "sorry"}, "a word"),
        ({"verdict": "right"}, "an answer of the other kind than was asked for"),
    ],
)
def test_what_is_no_answer_is_void_and_never_a_label(
    tmp_path: Path, row: dict[str, str], why: str
) -> None:
    run = Run(tmp_path)
    offer = run.offer(1)
    run.buy(1, "p3", offer=offer)
    run.say({"key": run.key("p3"), **row})
    bought = run.buy(1, "p3", offer=offer)
    assert (bought.labels, bought.pending) == ({}, ())
    assert next(iter(run.ledger.state.purchases[0, 1].values())).why == why
    assert "p3" not in {g.prompt.id for g in run.offer(2).candidates}


def test_strange_lines_are_told_and_never_labels(tmp_path: Path) -> None:
    run = Run(tmp_path)
    offer = run.offer(1)
    run.buy(1, "p3", offer=offer)
    key = run.key("p3")
    (tmp_path / ANSWERS).mkdir()
    rows = [
        b"no json",
        b"[1]",
        b"{}",
        b'{"key": "unknown", "answer": "9"}',
        json.dumps({"key": key, "answer": "8", "void": "both"}).encode(),
        json.dumps({"key": key, "answer": 7}).encode(),
        json.dumps({"key": key, "verdict": "maybe"}).encode(),
        json.dumps({"key": key, "answer": "3", "cost": -1}).encode(),
        json.dumps({"key": key, "answer": "3"}).encode(),
        json.dumps({"key": key, "answer": "4"}).encode(),
    ]
    torn = json.dumps({"key": key, "answer": "5"}).encode()
    (tmp_path / ANSWERS / "1.jsonl").write_bytes(b"\n".join([*rows, torn]))
    assert run.buy(1, "p3", offer=offer).labels["p3"].answer == "3"
    assert {r.where for r in run.book.mailbox.answers.refused} == {
        f"answers/1.jsonl:{number}" for number in (1, 2, 3, 5, 6, 7, 8)
    }
    assert [a.answer for a in run.book.mailbox.answers.later[key]] == ["4"]


def test_three_answers_make_a_majority_and_a_tie_asks_once_more(tmp_path: Path) -> None:
    run = Run(tmp_path, LabelsConfig(name="people", redundancy=3, max_redundancy=4))
    offer = run.offer(1)
    run.buy(1, "p3", "p1", offer=offer)
    assert [len(orders) for orders in run.orders().values()] == [3, 3]
    run.say(*({"key": run.key("p3", i), "answer": a} for i, a in enumerate(["3", "4", "3"])))
    run.say(*({"key": run.key("p1", i), "answer": a} for i, a in enumerate(["1", "2", "7"])))
    bought = run.buy(1, "p3", "p1", offer=offer)
    assert (bought.labels["p3"].answer, bought.labels["p3"].cost) == ("3", 3.0)
    assert bought.pending == ("p1",)
    assert len(run.orders()["p1"]) == 4
    run.say({"key": run.key("p1", 3), "answer": "8"})
    assert run.buy(1, "p3", "p1", offer=offer).pending == ()
    assert run.ledger.state.purchases[0, 1]["p1"].why == "4 answers disagree"
    assert run.ledger.state.cost == 7.0


def test_the_cap_on_money_holds_with_all_that_is_in_flight(tmp_path: Path) -> None:
    run = Run(
        tmp_path,
        LabelsConfig(name="people", price=2.0),
        BudgetRules(total=None, reuse=True, cost=7.0),
    )
    assert run.offer(1, quota=2).quota == 2
    run.buy(1, "p3", "p1")
    run.book.close(StepKey(seed=1, step=1), run.ledger)
    assert run.offer(2, quota=2).quota == 1
    run.buy(2, "p5", offer=run.offer(2))
    run.say(*({"key": run.key(p), "answer": "3", "cost": 0.5} for p in ("p3", "p1", "p5")))
    assert run.offer(3).quota == 2
    run.again()
    assert run.offer(2).quota == 1, "a step that is done again was allowed as much"


def test_a_step_that_money_allowed_nothing_is_allowed_nothing_again(tmp_path: Path) -> None:
    run = Run(tmp_path, rules=BudgetRules(total=None, reuse=True, cost=1.0))
    run.buy(1, "p3")
    run.book.close(StepKey(seed=1, step=1), run.ledger)
    assert run.buy(2, offer=run.offer(2)).pending == ()
    run.say({"key": run.key("p3"), "answer": "3", "cost": 0.0})
    assert run.offer(3).quota == 1
    run.again()
    assert run.offer(2).quota == 0


def test_a_disagreement_that_the_money_does_not_settle_is_void(tmp_path: Path) -> None:
    run = Run(
        tmp_path,
        LabelsConfig(name="people", redundancy=2, max_redundancy=3),
        BudgetRules(total=None, reuse=True, cost=3.0),
    )
    offer = run.offer(1)
    assert offer.quota == 1
    run.buy(1, "p3", offer=offer)
    run.say({"key": run.key("p3", 0), "answer": "1", "cost": 1.5})
    run.say({"key": run.key("p3", 1), "answer": "2", "cost": 1.5})
    assert run.buy(1, "p3", offer=offer).pending == ()
    assert "budget_cost" in run.ledger.state.purchases[0, 1]["p3"].why


def test_a_verdict_makes_the_vote_the_label_or_says_that_it_is_wrong(tmp_path: Path) -> None:
    run = Run(tmp_path, LabelsConfig(name="people", ask=Ask.verdict))
    offer = run.offer(1)
    run.buy(1, "p3", "p1", offer=offer)
    orders = [order for (order,) in run.orders().values()]
    assert {(order.ask, order.vote, order.clusters) for order in orders} == {
        (Ask.verdict, "1", None)
    }
    run.say({"key": run.key("p3"), "verdict": "right"}, {"key": run.key("p1"), "verdict": "wrong"})
    bought = run.buy(1, "p3", "p1", offer=offer)
    assert {p: label.answer for p, label in bought.labels.items()} == {"p3": "1"}
    assert bought.wrong == {"p1": "1"}


def test_votes_are_shown_only_where_the_run_says_so_and_are_on_record(tmp_path: Path) -> None:
    run = Run(tmp_path, LabelsConfig(name="people", show=Show.votes))
    run.buy(1, "p3")
    (order,) = run.orders()["p3"]
    assert (order.vote, set(order.clusters or ())) == ("1", {"1", "2"})
    (placed,) = run.ledger.state.orders.of_intent[(0, 1), "p3"]
    assert placed.shown == {"vote": "1", "clusters": list(order.clusters or ())}


def test_known_answers_are_mixed_in_look_alike_and_are_no_labels(tmp_path: Path) -> None:
    run = Run(tmp_path, LabelsConfig(name="people", gold=0.5), gold=("p6", "p7"))
    offer = run.offer(1)
    run.buy(1, "p3", "p1", offer=offer)
    assert set(run.orders()) == {"p3", "p1", "p6", "p7"}
    assert "gold" not in (tmp_path / ORDERS / "1.jsonl").read_text()
    run.say(*({"key": run.key(p), "answer": "3"} for p in run.orders()))
    assert set(run.buy(1, "p3", "p1", offer=offer).labels) == {"p3", "p1"}
    run.offer(2)
    assert run.ledger.state.orders.gold_cost == 2.0
    assert run.ledger.state.bought == 2


def test_a_correction_is_a_new_line_and_counts_from_then_on(tmp_path: Path) -> None:
    run = Run(tmp_path)
    offer = run.offer(1)
    run.buy(1, "p3", offer=offer)
    run.say({"key": run.key("p3"), "answer": "4"})
    run.buy(1, "p3", offer=offer)
    run.say({"key": run.key("p3"), "answer": "3", "corrects": True})
    assert run.offer(2).owned["p3"].answer == "3"
    run.again()
    assert run.offer(2).owned["p3"].answer == "3"
    assert run.ledger.state.bought == 1


def test_a_void_order_is_in_no_mean_no_spread_and_no_count(tmp_path: Path) -> None:
    asked, never = Run(tmp_path / "asked"), Run(tmp_path / "never")
    known: list[tuple[list[tuple[float, ...]], dict[str, float]]] = []
    for run, prompts in ((asked, ("p3", "p1")), (never, ("p3",))):
        offer = run.offer(1)
        run.buy(1, *prompts, offer=offer)
        run.say({"key": run.key("p3"), "answer": "1"})
        run.say(*({"key": run.key(p), "void": "refusal"} for p in prompts if p != "p3"))
        known.append(learnt(run, run.buy(1, *prompts, offer=offer)))
    assert known[0] == known[1]
    states = [run.ledger.state for run in (asked, never)]
    assert [(s.bought, s.cost) for s in states] == [(1, 1.0), (1, 1.0)]
    assert [s.asked_until(StepKey(seed=1, step=1)) for s in states] == [2, 1], "its quota is spent"


def learnt(run: Run, bought: Bought) -> tuple[list[tuple[float, ...]], dict[str, float]]:
    """The advantages of a step with these labels, and its figures of labels and votes."""
    correct = {
        p: tuple(answer == label.answer for answer in votes.answers)
        for p, label in bought.labels.items()
        for votes in (g.vote for g in GROUPS if g.prompt.id == p)
    }
    training = assign_rewards(
        GROUPS,
        by_label={p: [float(one) for one in right] for p, right in correct.items()},
        by_vote={g.prompt.id: (1.0, 0.0, 1.0) for g in GROUPS},
        pseudo=VoteReward(),
        own={g.prompt.id: SelfRewardInputs() for g in GROUPS},
        trust={g.prompt.id: 0.0 if g.prompt.id in bought.wrong else 1.0 for g in GROUPS},
    )
    labelled = [
        LabelledGroup(group=g, correct=correct[g.prompt.id])
        for g in GROUPS
        if g.prompt.id in correct
    ]
    seen = run.ledger.state.purchases[0, 1].values()
    spend = StepSpend(
        quota=2,
        bought=sum(one.answer is not None for one in seen),
        cost=sum(one.cost for one in seen),
        void=0,
        total=run.ledger.state.bought,
        asked=0,
        cap=None,
    )
    metrics = as_row(label_metrics(bought.labels, labelled, spend))
    return compute_advantages(training, Shaping()), metrics


def test_a_model_that_changed_behind_its_name_is_another_source_also_after_a_kill(
    tmp_path: Path,
) -> None:
    keys = {}
    for name, models in {"same": ("m-1 fp", "m-1 fp"), "changed": ("m-1 fp", "m-2 fp")}.items():
        run = Run(tmp_path / name, LabelsConfig(name="judge", base_url="http://h/v1", model="m"))
        offer = run.offer(1)
        run.buy(1, "p3", "p1", offer=offer)
        for prompt, model in zip(("p3", "p1"), models, strict=True):
            run.say({"key": run.key(prompt), "answer": "3", "model": model})
            run.buy(1, "p3", "p1", offer=offer)
        run.again()
        run.buy(2, "p5", "p2")
        keys[name] = (run.key("p3"), run.key("p5"))
        assert [one.model for one in run.ledger.state.orders.received.values()] == list(models)
    assert keys["same"][0] == keys["changed"][0]
    assert keys["same"][1] != keys["changed"][1], "what m-2 says is bought anew"
