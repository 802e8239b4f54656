"""The benchmark that kills jobs and bridges: whom, when, and what it finds wrong."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

from benchmarks.live_check import CAP, asked_too_often, orders_in_flight, unlike_in_money
from benchmarks.live_kills import as_text, draw_moment, most_trials, summarize
from benchmarks.live_trial import (
    BOTH,
    BRIDGE,
    JOB,
    LIVE,
    OVERRIDES,
    PROGRAM,
    KilledAt,
    LiveTrial,
    Moment,
)
from rlavr_hpc.cluster.effects import Asked, idle_of
from rlavr_hpc.labels.line_files import LinesOut
from rlavr_hpc.labels.mailbox import ANSWERS, ORDERS
from tests.support.configs import composed


def order(key: str) -> dict[str, object]:
    return {
        "key": key,
        "prompt_id": "p1",
        "messages": [],
        "ask": "answer",
        "task": "math",
        "price": 1.0,
    }


def test_moments_are_the_same_for_a_seed_and_hit_everybody() -> None:
    first, again = ([draw_moment(rng) for _ in range(60)] for rng in map(random.Random, (1, 1)))
    assert first == again
    assert {moment.target for moment in first} == {JOB, BRIDGE, BOTH}
    assert {moment.in_flight for moment in first} == {True, False}
    assert all(moment.delay >= 0 for moment in first)
    assert most_trials(50) > 5


def test_no_key_of_its_runs_is_idle() -> None:
    for given in (OVERRIDES, (*OVERRIDES, *LIVE, "labels.command=x")):
        assert idle_of(Asked(config=composed(*given), overrides=given, exists=False)) == []


def test_a_key_asked_more_often_than_is_on_record_is_told() -> None:
    assert asked_too_often({"a": 2, "b": 1}, {"a": 2, "b": 3}, "the ledger") == []
    assert asked_too_often({"a": 2, "b": 1}, {"a": 1}, "the ledger") == [
        "a was asked 2 times, the ledger says 1",
        "b was asked 1 times, the ledger says 0",
    ]


def test_money_differs_where_a_label_is_charged_twice_or_the_cap_is_passed() -> None:
    assert unlike_in_money(12.0, 12.0, committed=CAP) == []
    assert unlike_in_money(13.0, 12.0, committed=13.0) == ["13 charged, undisturbed 12"]
    assert len(unlike_in_money(12.0, 12.0, committed=CAP + 1)) == 1


def test_orders_without_an_answer_are_in_flight(tmp_path: Path) -> None:
    assert orders_in_flight(tmp_path) == 0
    LinesOut(tmp_path / ORDERS, "1").append([order("a"), order("b")])
    LinesOut(tmp_path / ANSWERS, "1").append([{"key": "b", "answer": "1"}])
    assert orders_in_flight(tmp_path) == 1


def test_the_program_counts_all_that_it_is_asked_and_answers_every_other_order(
    tmp_path: Path,
) -> None:
    (tmp_path / "known").write_text(json.dumps({"p1": "7"}))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "known"), str(tmp_path / "asked")],
        input="".join(json.dumps(order(key)) + "\n" for key in "abc"),
        capture_output=True,
        text=True,
        check=True,
    )
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert said == [{"key": "a", "answer": "7"}, {"key": "c", "answer": "7"}]
    assert (tmp_path / "asked").read_text().split() == ["a", "b", "c"]


def test_the_report_says_who_was_killed_where_and_what_is_wrong(tmp_path: Path) -> None:
    good, bad = (LiveTrial(folder=tmp_path / name, reference=tmp_path) for name in ("r0", "r1"))
    good.killed = [
        KilledAt(target=JOB, place="waiting", step=3, in_flight=2),
        KilledAt(target=BOTH, place="running", step=4, in_flight=0),
    ]
    good.facts = {"keys": 70, "calls": 90, "calls_on_record": 91, "labels": 70}
    bad.wrong = ["hung for 600 s"]
    result = summarize([good, bad], seed=3)
    assert (result["kills"], result["with_orders_in_flight"]) == (2, 1)
    assert (result["by_target"], result["by_place"]["waiting"]) == ({JOB: 1, BOTH: 1}, 1)
    text = as_text(result)
    assert "2 kills in 2 runs, 1 of which" in text
    assert "job at waiting, step 3, 2 in flight" in text
    assert "| 70 | 90 | 91 | 70 |" in text
    assert "hung for 600 s" in text


def test_a_kill_in_flight_waits_for_open_orders_and_for_the_jobs_attempt(tmp_path: Path) -> None:
    trial = LiveTrial(folder=tmp_path, reference=tmp_path)
    (tmp_path / "attempts").mkdir()
    now, flying = (Moment(target=JOB, in_flight=f, delay=0.0) for f in (False, True))
    assert trial._ready(now)
    assert not trial._ready(flying)
    LinesOut(tmp_path / ORDERS, "1").append([order("a")])
    assert not trial._ready(flying), "the job's attempt has not begun"
    (tmp_path / "attempts/1.json").touch()
    assert trial._ready(flying)
    assert not trial._ready(Moment(target=BRIDGE, in_flight=True, delay=0.0)), "there is no bridge"
