"""What graders gave up on: recorded by place, replayed, and nobody tried without end."""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from rlavr_hpc.answers.equivalence import Equality
from rlavr_hpc.answers.recorded_verifier import RecordedVerifier
from rlavr_hpc.answers.sandbox.pool import GraderPool
from rlavr_hpc.answers.sandbox.process import Limits, Outcome, Request
from rlavr_hpc.answers.sandbox.protocol import GAVE_UP, LATEX, SAME
from rlavr_hpc.answers.sandbox.timeouts import Pair
from rlavr_hpc.answers.timed_out_answers import TimedOutAnswers, answer_id, read_timed_out
from rlavr_hpc.answers.verifier import Verifier
from rlavr_hpc.errors import FencedError, RlavrError
from rlavr_hpc.types import StepKey
from tests.support.attempts import begin_attempt
from tests.support.groups import PLACE, group, prompt, rollout

LATER = StepKey(seed=1, step=2)


def nothing() -> None:
    """A fence that lets everybody pass."""


def opened(run_dir: Path, *, fence: Callable[[], None] | None = nothing) -> TimedOutAnswers:
    """The record as the next attempt opens it."""
    number = begin_attempt(run_dir, resumed_from=0).number
    return TimedOutAnswers(run_dir, number, fence=fence, answer_ids=read_timed_out(run_dir))


def test_marks_are_found_again_at_their_place_and_stage_only(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.record(["b", "a", "a"], step_key=PLACE, stage="train")
    first.record([], step_key=LATER, stage="train")
    again = opened(tmp_path)
    assert again.at(PLACE, "train") == {"a", "b"}
    assert again.at(PLACE, "eval/held_out") == again.at(LATER, "train") == frozenset()
    assert again.at(StepKey(seed=1, step=1, branch=1), "train") == frozenset()
    again.record(["c"], step_key=PLACE, stage="train")
    assert opened(tmp_path).at(PLACE, "train") == {"a", "b", "c"}
    assert sorted(p.name for p in (tmp_path / "ungradable").iterdir()) == ["1.jsonl", "2.jsonl"]


def test_ranks_that_do_not_write_only_read(tmp_path: Path) -> None:
    opened(tmp_path, fence=None).record(["a"], step_key=PLACE, stage="train")
    assert not (tmp_path / "ungradable").exists()


def test_a_superseded_attempt_records_nothing(tmp_path: Path) -> None:
    def fence() -> None:
        raise FencedError("a newer attempt owns this run")

    with pytest.raises(FencedError):
        opened(tmp_path, fence=fence).record(["a"], step_key=PLACE, stage="train")
    assert not (tmp_path / "ungradable").exists()


@pytest.mark.parametrize(
    "line",
    [
        '{"v":2}',
        '{"v":1,"step":1}',
        "[1]",
        "{",
        '{"v":1,"mark":3}',
        "[" * 99_999,
        '{"v":1,"branch":null,"step":1,"stage":"train","mark":"a"}',
        '{"v":1,"branch":0,"step":1e999,"stage":"train","mark":"a"}',
    ],
)
def test_a_damaged_or_newer_record_is_an_error_that_names_the_file(
    tmp_path: Path, line: str
) -> None:
    begin_attempt(tmp_path, resumed_from=0)
    (tmp_path / "ungradable").mkdir()
    (tmp_path / "ungradable/1.jsonl").write_text(line + "\n")
    with pytest.raises(RlavrError, match=r"ungradable/1\.jsonl:1"):
        opened(tmp_path)


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    opened(tmp_path).record(["a"], step_key=PLACE, stage="train")
    with (tmp_path / "ungradable/1.jsonl").open("a") as file:
        file.write('{"v":1,"ma')
    assert opened(tmp_path).at(PLACE, "train") == {"a"}


def test_verdicts_given_up_once_are_given_up_again_without_asking(tmp_path: Path) -> None:
    rollouts = [rollout(rf"\boxed{{{a}}}", sample=i) for i, a in enumerate("778")]
    opened(tmp_path).record([answer_id(rollouts[2])], step_key=PLACE, stage="train")
    opened(tmp_path).record([answer_id(rollouts[0])], step_key=LATER, stage="train/label")
    verifier = RecordedVerifier(Verifier(), opened(tmp_path))
    [voted] = verifier.vote([prompt()], [rollouts], step_key=PLACE, stage="train")
    assert voted.vote.ungradable == (2,)
    assert verifier.vote([prompt()], [rollouts], step_key=LATER, stage="train")[
        0
    ].vote.clusters == (
        (0, 1),
        (2,),
    )
    grade = verifier.grade([voted], {"p1": "7"}, step_key=LATER, stage="train")["p1"]
    assert (grade.correct, grade.ungradable) == ((False, False, False), (0, 1))
    verifier.record_grade_timeouts([voted], {"p1": grade}, step_key=LATER, stage="train")
    verifier.record_timeouts([voted], step_key=LATER, stage="other")
    rows = [json.loads(x) for x in (tmp_path / "ungradable/3.jsonl").read_text().splitlines()]
    assert [(r["stage"], r["mark"]) for r in rows] == [
        ("train/label", answer_id(rollouts[0])),
        ("other", answer_id(rollouts[2])),
    ]


BOMB = r"\int_0^1 bomb dx"
"""A text that needs a grader."""


class FakePool(GraderPool):
    """Gives up on every comparison with a text that holds "bomb"; counts what it is asked."""

    def __init__(self, *, seconds: float = 0.0) -> None:
        self.asked: list[Request] = []
        self.limits, self.seconds = Limits(cpu_seconds=2.0), seconds

    def run(self, requests: Sequence[Request]) -> list[Outcome]:
        self.asked += requests
        return [
            (GAVE_UP, 2.0) if "bomb" in str(request) else (False, self.seconds)
            for request in requests
        ]

    def close(self) -> None:
        """Nothing runs."""


def pairs_of(texts: Sequence[str]) -> list[Pair]:
    raw_answers = [(LATEX, text) for text in sorted(texts)]
    return [(SAME, a, b) for i, a in enumerate(raw_answers) for b in raw_answers[i + 1 :]]


def test_one_bomb_among_many_numbers_is_tried_once() -> None:
    pool = FakePool()
    told = Equality(lambda: pool).same(pairs_of([BOMB, *map(str, range(20))]))
    bombs = [pair for pair in told if "bomb" in str(pair)]
    assert len(bombs) == 20
    assert all(told[pair] is None for pair in bombs)
    assert sum("bomb" in str(request) for request in pool.asked) == 1
    assert all(equal is False for pair, equal in told.items() if pair not in bombs)


def test_bombs_among_texts_that_need_a_grader_are_tried_a_few_times() -> None:
    pool = FakePool()
    others = [rf"\sin {n}" for n in range(20)]
    told = Equality(lambda: pool).same(pairs_of([BOMB, *others]))
    assert 3 <= sum("bomb" in str(request) for request in pool.asked) <= 7
    is_exact = [pair for pair in told if "bomb" not in str(pair)]
    assert all(told[pair] is False for pair in is_exact)


def test_answers_that_are_costly_to_compare_run_out_of_their_budget() -> None:
    pool = FakePool(seconds=1.5)
    costly = [rf"\sin {n}" for n in range(40)]
    told = Equality(lambda: pool).same(pairs_of(costly))
    assert len(told) == 40 * 39 // 2
    assert len(pool.asked) < 40 * 30, "each may use five times the limit of two seconds"
    assert None in told.values()
    assert False in told.values()


def test_what_is_remembered_changes_no_outcome() -> None:
    equality = Equality(FakePool)
    few, all_pairs = (
        pairs_of([BOMB, "1", "2"]),
        pairs_of([BOMB, *"123456"]),
    )
    equality.same(few)
    assert equality.same(all_pairs) == Equality(FakePool).same(all_pairs)
    assert equality.same(all_pairs) == Equality(FakePool).same(all_pairs)


def test_an_ungradable_share_is_a_metric_of_its_own() -> None:
    from rlavr_hpc.telemetry import names
    from rlavr_hpc.telemetry.reduce import as_row
    from rlavr_hpc.telemetry.response_metrics import group_metrics

    rollouts = [rollout(text, sample=i) for i, text in enumerate([r"\boxed{7}", "none", "x"])]
    [lost] = Verifier().vote([prompt()], [rollouts], timed_out={answer_id(rollouts[2])})
    row = as_row(group_metrics([lost, group(["1", "1", "1"])], []))
    assert row[names.GRADE_UNGRADABLE] == pytest.approx(1 / 6)
    assert row[names.COLLAPSE_UNPARSABLE] == pytest.approx(1 / 6)


def test_a_vote_begun_beside_other_work_is_the_vote(tmp_path: Path) -> None:
    """In a thread of the verifier's own, which outlives this run's part of it."""
    rollouts, judge = group(["7", "8", "7"]).rollouts, Verifier()
    verifier = RecordedVerifier(judge, opened(tmp_path))
    beside = verifier.begin_vote([prompt()], [rollouts], step_key=PLACE, stage="train")
    assert beside.result() == verifier.vote([prompt()], [rollouts], step_key=PLACE, stage="train")
    [thread] = [t for t in threading.enumerate() if t in judge.beside._threads]
    del verifier
    gc.collect()
    assert thread.is_alive()
    judge.close()
    assert not thread.is_alive()
