"""The annotator that errs on purpose."""

from __future__ import annotations

import importlib.util
import io
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "examples/annotators/noisy.py"
ANSWERS = {f"p{i}": str(i) for i in range(200)}

Ask = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def noisy() -> ModuleType:
    spec = importlib.util.spec_from_file_location("noisy", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def order(prompt: str, copy: int = 0, **shown: Any) -> dict[str, Any]:  # noqa: ANN401
    key = f"{prompt}.{copy}.{shown}"
    return {"key": key, "prompt_id": prompt, "ask": "answer", "price": 1.0, "messages": [], **shown}


@pytest.fixture
def ask(
    noisy: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Ask:
    """Calls the program's main function."""
    known = tmp_path / "answers.json"
    known.write_text(json.dumps(ANSWERS))

    def call(orders: list[dict[str, Any]], *options: str) -> list[dict[str, Any]]:
        lines = "".join(json.dumps(one) + "\n" for one in orders)
        monkeypatch.setattr(sys, "argv", ["noisy.py", "--answers", str(known), *options])
        monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
        assert noisy.main() == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return call


def test_it_needs_no_package_and_answers_on_its_output(tmp_path: Path) -> None:
    known = tmp_path / "answers.json"
    known.write_text(json.dumps(ANSWERS))
    done = subprocess.run(
        [sys.executable, "-S", str(PROGRAM), "--answers", str(known)],
        input=json.dumps(order("p3")) + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["answer"] == "3"


def wrong(replies: list[dict[str, Any]]) -> set[str]:
    """Prompts with a wrong answer."""
    prompts = [(one["key"].partition(".")[0], one) for one in replies]
    return {prompt for prompt, one in prompts if one["answer"] != ANSWERS[prompt]}


def test_errors_are_a_share_of_the_prompts_and_the_same_each_time(ask: Ask) -> None:
    orders = [order(prompt) for prompt in ANSWERS]
    first = wrong(ask(orders, "--error", "0.1"))
    assert 10 <= len(first) <= 30
    assert wrong(ask(orders[::-1], "--error", "0.1")) == first
    assert wrong(ask(orders, "--error", "0.1", "--seed", "2")) != first
    assert first < wrong(ask(orders, "--error", "0.3")), "more errors add some and mend none"
    assert wrong(ask(orders)) == set()


def test_copies_of_a_question_are_answered_by_others_who_err_apart(ask: Ask) -> None:
    orders = [order(prompt, copy) for prompt in ANSWERS for copy in range(3)]
    replies = ask(orders, "--error", "0.3", "--price", "0.25")
    assert {(one["annotator"], one["cost"]) for one in replies} == {
        ("noisy-1", 0.25),
        ("noisy-2", 0.25),
        ("noisy-3", 0.25),
    }
    each = [wrong(replies[number::3]) for number in range(3)]
    assert 5 <= len(each[0] & each[1]) <= 35, "9% of 200 by chance"
    together = ask(orders, "--error", "0.3", "--shared-errors")
    assert wrong(together[0::3]) == wrong(together[1::3]) == wrong(together[2::3])


def test_a_further_copy_that_comes_later_goes_to_another_annotator(
    ask: Ask, tmp_path: Path
) -> None:
    state = ("--state", str(tmp_path / "state.json"))
    assert ask([order("p1"), order("p1", 1)], *state)[1]["annotator"] == "noisy-2"
    again = ask([order("p1", 2), order("p1", 1)], *state)
    assert [one["annotator"] for one in again] == ["noisy-3", "noisy-2"]


def test_errors_like_the_vote_hit_the_same_prompts_and_say_the_vote_where_it_is_wrong(
    ask: Ask,
) -> None:
    votes = {
        prompt: "7" if number % 2 else ANSWERS[prompt] for number, prompt in enumerate(ANSWERS)
    }
    orders = [order(prompt, vote=vote) for prompt, vote in votes.items()]
    alike = ask(orders, "--error", "0.3", "--like-vote")
    assert wrong(alike) == wrong(ask(orders, "--error", "0.3"))
    said = {one["key"].partition(".")[0]: one["answer"] for one in alike}
    assert {said[p] for p in wrong(alike) if votes[p] != ANSWERS[p]} == {"7"}
    changed = [order(prompt, vote="8") for prompt in ANSWERS if prompt != "p8"]
    assert wrong(alike) - {"p8"} == wrong(ask(changed, "--error", "0.3", "--like-vote")), (
        "another vote is another key, and the same mistake"
    )


def test_verdicts_err_too(ask: Ask) -> None:
    orders = [{**order(prompt, vote="7"), "ask": "verdict"} for prompt in ANSWERS]
    right = ask(orders)
    assert [one["verdict"] for one in right].count("right") == 1
    errs = sum(
        one["verdict"] != good["verdict"]
        for one, good in zip(ask(orders, "--error", "0.3"), right, strict=True)
    )
    assert 40 <= errs <= 80


def test_some_cannot_say_and_a_spammer_says_the_same(ask: Ask) -> None:
    orders = [order(prompt) for prompt in (*ANSWERS, "unknown")]
    replies = ask(orders, "--cannot-say", "0.2")
    assert 25 <= sum(one.get("void") == "cannot say" for one in replies) <= 55
    assert replies[-1]["void"] == "its answer is not in the file"
    spam = ask(orders, "--spam", "42", "--error", "0.5")
    assert {(one["answer"], one["annotator"]) for one in spam} == {("42", "spammer")}


def test_an_answer_waits_until_its_time_has_come(ask: Ask, tmp_path: Path) -> None:
    late = ("--state", str(tmp_path / "state.json"), "--minutes", "500")
    orders = [order(prompt) for prompt in ANSWERS]
    assert ask(orders, *late) == []
    state = json.loads((tmp_path / "state.json").read_text())
    state["start"] -= 500 * 60  # so long ago the orders came
    for one in state["orders"].values():
        one["at"] -= 500 * 60
    (tmp_path / "state.json").write_text(json.dumps(state))
    came = ask(orders, *late)
    assert 60 <= len(came) <= 140, "half of them at the median"
    assert all(0 < one["seconds"] <= 500 * 60 for one in came)
    assert len(ask(orders, *late, "--speed", "1000")) == 200


def test_nobody_works_at_night(noisy: ModuleType) -> None:
    def at(day: int, hour: int, minute: int = 0) -> float:
        return datetime(2026, 6, day, hour, minute).astimezone().timestamp()

    assert noisy.due(at(1, 12), 60, nights=True) == at(1, 13)
    assert noisy.due(at(1, 19, 30), 60, nights=True) == at(2, 8, 30)
    assert noisy.due(at(1, 23), 30, nights=True) == at(2, 8, 30)
    assert noisy.due(at(1, 3), 30, nights=True) == at(1, 8, 30)
    assert noisy.due(at(1, 19), 14 * 60, nights=True) == at(3, 9)
    assert noisy.due(at(1, 23), 30, nights=False) == at(1, 23, 30)


def test_delays_need_a_state_file(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        ask([], "--minutes", "3")
    assert "--state" in capsys.readouterr().err
