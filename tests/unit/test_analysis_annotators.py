from __future__ import annotations

from pathlib import Path

from analysis.load.annotators import read_annotators
from analysis.load.segments import Notes
from rlavr_hpc.acquisition.ledger import Ledger
from rlavr_hpc.acquisition.order_lines import ordered_line, received_line
from rlavr_hpc.config.labels import Ask
from rlavr_hpc.labels.orders import Answer, Order
from rlavr_hpc.runs.attempts import read_attempts
from rlavr_hpc.types import StepKey
from tests.support.attempts import begin_attempt

HERE = StepKey(seed=1, step=1)


def test_answers_are_told_by_who_gave_them_with_their_time_and_money(tmp_path: Path) -> None:
    attempt = begin_attempt(tmp_path, resumed_from=0)
    ledger = Ledger(tmp_path, attempt.number, fence=lambda: None)
    ledger.decide(HERE, ["a", "b", "c"], quota=3)
    said = [
        Answer(key="a", answer="1", annotator="ann\x1b[2J", seconds=4.0),
        Answer(key="b", void="cannot say", annotator="ann\x1b[2J", seconds=8.0),
        Answer(key="c", answer="2"),
    ]
    orders = [
        Order(key=k, prompt_id=k, messages=(), ask=Ask.answer, task="math", price=1.0)
        for k in "abc"
    ]
    ledger.record(HERE, [ordered_line(order, (0, 1)) for order in orders])
    ledger.record(HERE, [received_line(one, 0.5) for one in said])
    ann, nobody = read_annotators(tmp_path, read_attempts(tmp_path), Notes())
    assert (ann.annotator, ann.answers, ann.voids) == ("ann?[2J", 1, 1)
    assert (ann.median_seconds, ann.cost) == (6.0, 1.0)
    assert (nobody.annotator, nobody.answers, nobody.median_seconds) == ("unnamed", 1, None)
