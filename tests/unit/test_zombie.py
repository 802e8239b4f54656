"""A process that lost its run without knowing: it buys nothing, and what it writes never counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rlavr_hpc.acquisition.ledger import read_ledger
from rlavr_hpc.answers.timed_out_answers import read_timed_out
from rlavr_hpc.errors import FencedError, RlavrError
from rlavr_hpc.runs.attempts import read_attempts
from rlavr_hpc.spending.uncounted_lines import (
    UncountedLines,
    UncountedReason,
    uncounted_lines,
)
from rlavr_hpc.spending.verify_ledger import prove
from rlavr_hpc.telemetry.sinks import read_metrics
from rlavr_hpc.types import StepKey
from tests.support.attempts import begin_attempt
from tests.support.configs import composed
from tests.support.groups import PLACE
from tests.support.ledgers import Worker, write_run

LATER = StepKey(seed=1, step=2)


def test_a_superseded_process_writes_nothing_that_it_checks_for(tmp_path: Path) -> None:
    zombie, _ = Worker(tmp_path), Worker(tmp_path)
    with pytest.raises(FencedError, match="attempt 1 was superseded"):
        zombie.buy(1, "p0")
    with pytest.raises(FencedError, match="attempt 1 was superseded"):
        zombie.tell(1, 1)
    with pytest.raises(FencedError, match="attempt 1 was superseded"):
        zombie.timed_out.record(["a"], step_key=PLACE, stage="train")
    assert (tmp_path / "ledger/1.jsonl").read_bytes() == b""
    assert (tmp_path / "metrics/1.jsonl").read_bytes() == b""
    assert not (tmp_path / "ungradable/1.jsonl").exists()


def test_what_slips_through_between_check_and_write_is_no_purchase_but_an_orphan(
    tmp_path: Path,
) -> None:
    config = composed("reuse_labels=false", "data=testbed")
    [zombie] = write_run(tmp_path, config, {1: ["p0"]})
    successor = Worker(tmp_path)
    zombie.stalled = True
    zombie.buy(2, "p1", "void1", "p2", tell=False)
    successor.buy(2, "p3")
    third = Worker(tmp_path)
    zombie.buy(3, "p4", tell=False)
    third.buy(3, "p5")
    ledger_state = read_ledger(tmp_path)
    assert [list(step) for step in ledger_state.purchases.values()] == [["p0"], ["p3"], ["p5"]]
    proof = prove(tmp_path, config)
    assert proof.ledger_state.bought == 3
    assert proof.uncounted_lines == (
        UncountedLines(
            file="ledger/1.jsonl",
            why=UncountedReason.late,
            lines=6,
            labels=3,
            cost=3.0,
            size=(tmp_path / "ledger/1.jsonl").stat().st_size
            - read_attempts(tmp_path)[1].seals["ledger"].size,
        ),
    )
    assert str(proof.uncounted_lines[0]).startswith(
        "ledger/1.jsonl: orphans: 6 lines, 3 labels for 3 behind the seal"
    )


def test_a_zombies_metrics_do_not_replace_its_successors(tmp_path: Path) -> None:
    config = composed()
    [zombie] = write_run(tmp_path, config, {1: ["p0"]})
    successor = Worker(tmp_path)
    successor.buy(2, "p1")
    zombie.stalled = True
    zombie.tell(2, 7)
    Worker(tmp_path)
    assert [(row["step"], row["labels/bought"]) for row in read_metrics(tmp_path)] == [
        (1, 1.0),
        (2, 1.0),
    ]
    [late] = prove(tmp_path, config).uncounted_lines
    assert (late.file, late.why, late.lines, late.labels) == (
        "metrics/1.jsonl",
        UncountedReason.late,
        1,
        0,
    )


@pytest.mark.parametrize("before", [[], ["a"]], ids=["no file yet", "a file"])
def test_a_zombies_late_verdicts_are_not_believed(tmp_path: Path, before: list[str]) -> None:
    zombie = Worker(tmp_path)
    zombie.timed_out.record(before, step_key=PLACE, stage="train")
    successor = Worker(tmp_path)
    zombie.stalled = True
    zombie.timed_out.record(["z"], step_key=PLACE, stage="train")
    successor.timed_out.record(["b"], step_key=LATER, stage="train")
    third = Worker(tmp_path)
    assert third.timed_out.at(PLACE, "train") == set(before)
    assert third.timed_out.at(LATER, "train") == {"b"}
    [late] = uncounted_lines(tmp_path)
    assert (late.file, late.why, late.lines) == ("ungradable/1.jsonl", UncountedReason.late, 1)


def test_an_edit_of_the_graders_record_before_its_seal_is_an_error(tmp_path: Path) -> None:
    Worker(tmp_path).timed_out.record(["a", "b"], step_key=PLACE, stage="train")
    begin_attempt(tmp_path, resumed_from=0)
    path = tmp_path / "ungradable/1.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"a"', b'"x"'))
    with pytest.raises(RlavrError, match=r"ungradable/1\.jsonl:2: .* not those that the next"):
        read_timed_out(tmp_path)
    path.unlink()
    with pytest.raises(RlavrError, match=r"ungradable/1\.jsonl:1: .* cut short or deleted"):
        read_timed_out(tmp_path)


def without_seal(run_dir: Path, folder: str) -> None:
    """Attempt 2's token as a version wrote it that did not seal `folder`."""
    path = run_dir / "attempts/2.json"
    token = json.loads(path.read_text())
    del token["seals"][folder]
    path.write_text(json.dumps(token))


def test_a_record_of_graders_from_before_it_was_sealed_counts_whole(tmp_path: Path) -> None:
    first = Worker(tmp_path)
    first.timed_out.record(["a"], step_key=PLACE, stage="train")
    Worker(tmp_path).timed_out.record(["b"], step_key=PLACE, stage="train")
    without_seal(tmp_path, "ungradable")
    assert Worker(tmp_path).timed_out.at(PLACE, "train") == {"a", "b"}
    assert uncounted_lines(tmp_path) == []


@pytest.mark.parametrize("folder", ["ledger", "metrics"])
def test_a_token_that_lost_a_seal_is_an_error(tmp_path: Path, folder: str) -> None:
    Worker(tmp_path)
    Worker(tmp_path)
    without_seal(tmp_path, folder)
    with pytest.raises(RlavrError, match=rf"attempts/2\.json holds no seal of {folder}/1\.jsonl"):
        uncounted_lines(tmp_path)


@pytest.mark.parametrize(
    "seals",
    [
        [],
        None,
        {"ledger": 1},
        {"ledger": {"size": 1}},
        {"ledger": {"size": "1", "sha256": ""}},
        "x",
    ],
)
def test_a_damaged_token_is_one_error_that_names_it(tmp_path: Path, seals: object) -> None:
    Worker(tmp_path)
    Worker(tmp_path)
    path = tmp_path / "attempts/2.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "seals": seals}))
    with pytest.raises(RlavrError, match=r"attempts/2\.json"):
        read_ledger(tmp_path)
