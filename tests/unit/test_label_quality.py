"""What is known of annotators and of the money, from ledgers and mailboxes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from rlavr_hpc.cli import call
from rlavr_hpc.commands.labels_quality import read_quality
from rlavr_hpc.errors import UserError
from rlavr_hpc.labels.bank import Bank
from rlavr_hpc.labels.line_files import LinesOut
from rlavr_hpc.labels.mailbox import SENT
from rlavr_hpc.labels.orders import Answer
from rlavr_hpc.labels.paid import payments
from rlavr_hpc.labels.quality import (
    Said,
    Share,
    agreement,
    annotator_figures,
    by_stripped,
    clopper_pearson,
    void_reasons,
)
from rlavr_hpc.spending.annotator_report import quality_text, quality_values
from tests.support.configs import composed
from tests.support.live_runs import LiveFolder

PEOPLE = ("labels=people", "acquisition=random", "budget=0.1", "steps=20", "reuse_labels=true")


def said(question: str, annotator: str, text: str | None = "7", **more: object) -> Said:
    key = f"{question}/{annotator}/{text}/{len(more)}"
    return Said(key=key, question=question, annotator=annotator, text=text, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [(0, 20, 0.0, 0.168), (20, 20, 0.832, 1.0), (1, 10, 0.0025, 0.445), (0, 0, 0.0, 1.0)],
)
def test_an_interval_of_a_share_is_the_exact_one(
    count: int, of: int, low: float, high: float
) -> None:
    assert clopper_pearson(count, of) == pytest.approx((low, high), abs=1e-3)


def test_agreement_counts_pairs_with_others_and_not_with_oneself() -> None:
    answers = [said("q1", "ann", "7"), said("q1", "bob", " 7"), said("q1", "cid", "8")]
    answers += [said("q2", "ann", "1"), said("q2", "ann", "2"), said("q3", "bob", "5")]
    assert agreement(answers, by_stripped) == {
        "ann": Share(count=1, of=2),
        "bob": Share(count=1, of=2),
        "cid": Share(count=0, of=2),
    }


def test_answers_without_a_name_are_those_of_different_people() -> None:
    unnamed = [said("q1", "", "7"), said("q1", "", "8"), said("q1", "", "7", seconds=1.0)]
    assert agreement(unnamed, by_stripped) == {"": Share(count=2, of=6)}


def test_answers_are_compared_by_the_grader_and_verdicts_only_with_verdicts() -> None:
    asked: list[tuple[str, list[str]]] = []

    def grader(question: str, texts: Sequence[str]) -> list[list[int]]:
        asked.append((question, list(texts)))
        return [[0, 1]]  # the third cannot be compared

    answers = [said("q1", "ann", "1/2"), said("q1", "bob", "0.5"), said("q1", "cid", "half")]
    verdicts = [said("q1", "ann", "right", verdict=True), said("q1", "bob", "right", verdict=True)]
    assert agreement([*answers, *verdicts], grader) == {
        "ann": Share(count=2, of=3),
        "bob": Share(count=2, of=3),
        "cid": Share(count=0, of=2),
    }
    assert asked == [("q1", ["1/2", "0.5", "half"])]


def test_each_annotator_has_a_row_and_an_answer_seen_in_two_runs_counts_once() -> None:
    mine = said("q1", "ann", "7", seconds=4.0, cost=0.5, gold=True, right=False)
    more = [
        said("q2", "ann", "3", seconds=10.0, cost=0.5, right=True),
        said("q3", "ann", None, why="cannot say", cost=0.25),
        said("q1", "bob", "7"),
    ]
    first, second = annotator_figures([mine, mine, *more], by_stripped)
    assert (first.annotator, first.answers, first.voids, first.cost) == ("ann", 2, 1, 1.25)
    assert (first.gold_wrong, first.other_wrong) == (Share(count=1, of=1), Share(count=0, of=1))
    assert (first.median_seconds, first.agreement) == (7.0, Share(count=1, of=1))
    assert (second.annotator, second.median_seconds) == ("bob", None)
    assert second.gold_wrong.value is None


def test_reasons_of_void_answers_stand_by_their_number() -> None:
    voids = [said(f"q{i}", "ann", None, why="cannot say") for i in range(2)]
    assert void_reasons([said("q", "bob", None, why="refusal"), *voids, said("r", "ann")]) == {
        "cannot say": 2,
        "refusal": 1,
    }


def call_log(folder: Path, start: str, *rows: dict[str, object]) -> None:
    LinesOut(folder / SENT, start).append({"at": 1.0, **row} for row in rows)


def test_calls_and_answers_without_a_call_are_paid_once_each(tmp_path: Path) -> None:
    call_log(
        tmp_path,
        "s1",
        {"key": "a", "try": 1, "price": 2.0},
        {"key": "a", "try": 1, "ended": "failed: x", "cost": 0.5},
        {"key": "a", "try": 2, "price": 2.0},  # nobody knows how it ended
        {"key": "b", "nonsense": True},
    )
    answers = LinesOut(tmp_path / "labels/answers", "s2")
    answers.append([{"key": "a", "answer": "1", "cost": 9.0}, {"key": "b", "answer": "1"}])
    answers.append([{"key": "b", "answer": "2", "cost": 5.0}, {"key": "c", "void": "no"}, {"x": 1}])
    paid = payments(tmp_path, {"b": 1.5})
    assert paid == {
        ("s1", "a", 1): 0.5,
        ("s1", "a", 2): 2.0,
        ("s2", "b", 0): 1.5,
        ("s2", "c", 0): 0.0,
    }
    copied = Path(shutil.copytree(tmp_path / "labels", tmp_path / "copy/labels")).parent
    assert payments(copied, {"b": 1.5}) == paid


def test_a_banks_payments_are_what_the_bank_says_it_has_spent(tmp_path: Path) -> None:
    bank = Bank(tmp_path, start="s1")
    call_log(tmp_path, "s1", {"key": "a", "try": 1, "price": 2.0})
    bank.put(Answer(key="a", answer="1", cost=2.0))
    bank.put(Answer(key="b", answer="1", cost=0.25))
    paid = payments(tmp_path, {})
    assert sum(paid.values()) == bank.spent() == 2.25
    assert ("s1", "b", 0) in paid


@pytest.fixture
def live(tmp_path: Path) -> LiveFolder:
    """f0-a0-b0 (truth 0) is answered by two and disagreed on, f0-a1-b0 by one of two."""
    config = composed(*PEOPLE, "labels.redundancy=2", "labels.max_redundancy=2", "labels.gold=0.3")
    run = LiveFolder(tmp_path / "study/run", config, gold=("f0-a2-b0",))
    run.buy(1, "f0-a0-b0", "f0-a1-b0")
    orders = run.orders()
    assert {prompt: len(placed) for prompt, placed in orders.items()} == {
        "f0-a0-b0": 2,
        "f0-a1-b0": 2,
        "f0-a2-b0": 1,
    }
    (one, two), (three, _), (gold,) = orders.values()
    run.say(
        "s1",
        {"key": one.key, "answer": "0.0", "annotator": "ann", "cost": 0.5, "seconds": 3},
        {"key": two.key, "answer": "1", "annotator": "bob\x1b[31m"},
        {"key": three.key, "void": "cannot say", "annotator": "ann", "cost": 1.0},
        {"key": gold.key, "answer": "9", "annotator": "ann", "cost": 0.5, "seconds": 5},
    )
    run.buy(1, "f0-a0-b0", "f0-a1-b0")
    run.buy(2, "f0-a5-b0")
    return run


def test_the_quality_of_a_run_is_read_from_its_ledger_and_mailbox(live: LiveFolder) -> None:
    report = read_quality(live.folder.parent)
    ann, bob = report.annotators
    assert (ann.annotator, ann.answers, ann.voids, ann.cost) == ("ann", 2, 1, 2.0)
    assert (ann.agreement, ann.gold_wrong) == (Share(count=0, of=1), Share(count=1, of=1))
    assert ann.other_wrong == Share(count=0, of=1), "0.0 is 0"
    assert (bob.other_wrong, bob.median_seconds) == (Share(count=1, of=1), None)
    assert (report.ordered, report.answered, report.pending) == (7, 3, 3)
    assert report.void_answers == {"cannot say": 1}
    assert report.void_labels == {"2 answers disagree": 1}
    assert report.labels == 0
    assert (report.charged, report.paid) == (2.0, 3.0), "an open question is paid, not charged"
    values = json.dumps(quality_values(report))
    assert json.loads(values)["annotators"][0]["gold_interval"][1] == 1.0
    text = "\n".join(quality_text(report))
    assert "cannot say" in text
    assert "\x1b" not in text


def test_a_copy_of_a_run_costs_nothing_and_says_nothing_new(live: LiveFolder) -> None:
    shutil.copytree(live.folder, live.folder.parent / "copy")
    report = read_quality(live.folder.parent)
    assert (report.runs, report.charged, report.paid) == (2, 4.0, 3.0)
    assert report.annotators == read_quality(live.folder).annotators


def test_without_the_data_answers_are_compared_by_their_text(
    live: LiveFolder, tmp_path: Path
) -> None:
    path = live.folder / "config.yaml"
    text = path.read_text()
    path.write_text(text.replace("kinds: HMHHMHXX", "kinds: Q"))
    assert path.read_text() != text
    report = read_quality(live.folder)
    assert "cannot be read" in report.remarks[0]
    assert report.annotators[0].gold_wrong.of == 0


def test_a_folder_without_a_live_run_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="labels=command"):
        read_quality(tmp_path)


def test_the_ledger_shows_orders_and_what_was_paid_beside_what_is_charged(
    live: LiveFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(live.folder, live.folder.parent / "copy")
    assert call(["ledger", "show", str(live.folder), "--json"]) == 0
    one = json.loads(capsys.readouterr().out)
    facts = ("labels_ordered", "labels_pending", "cost", "cost_paid")
    assert tuple(one[fact] for fact in facts) == (7, 3, 2.0, 3.0)
    assert call(["ledger", "show", str(live.folder.parent), "--json"]) == 0
    both = json.loads(capsys.readouterr().out)
    assert tuple(both[fact] for fact in facts) == (14, 6, 4.0, 3.0)
    assert call(["ledger", "show", str(live.folder)]) == 0
    assert "charged 2, really paid 3" in capsys.readouterr().out
    assert call(["ledger", "show", str(live.folder.parent)]) == 0
    assert "14 answers ordered, 6 pending, really paid 3" in capsys.readouterr().out


def test_a_run_with_the_datas_labels_shows_no_orders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from rlavr_hpc.runs.folder import open_run_folder
    from tests.support.attempts import begin_attempt

    open_run_folder(tmp_path / "run", composed("acquisition=random", "budget=0.1", "steps=20"))
    begin_attempt(tmp_path / "run", resumed_from=0)
    call(["ledger", "show", str(tmp_path / "run"), "--json"])
    assert "labels_ordered" not in json.loads(capsys.readouterr().out)
