"""The bridge over several runs: what one of them meets with is no harm to the others."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from rlavr_hpc.commands import labels
from rlavr_hpc.commands.labels_quality import read_quality
from rlavr_hpc.config.labels import LabelsConfig
from rlavr_hpc.errors import ExitCode, UserError
from rlavr_hpc.labels.bridge import Bridge, LiveRun
from rlavr_hpc.labels.mailbox import ANSWERS, AnswersIn, OrdersOut
from rlavr_hpc.labels.orders import Answer, Order
from rlavr_hpc.labels.sent import ANSWERED, CallLog
from rlavr_hpc.labels.source import LabelSource, Source, SourceError
from rlavr_hpc.overview.release_parked import wants_labels
from rlavr_hpc.runs.source_failure import read_source_failure
from rlavr_hpc.runs.states import run_state
from tests.support.label_runs import an_order
from tests.support.run_folders import beat, finish, make_plan


@dataclass(kw_only=True)
class SevenSource(Source):
    """Answers all with 7, a call each, or fails."""

    fails: str = ""
    asked: list[str] = field(default_factory=list)

    def order(self, orders: Sequence[Order], log: CallLog) -> Iterator[Answer]:
        if self.fails:
            raise SourceError(self.fails)
        for order, number in log.claim(orders):
            self.asked.append(order.key)
            log.ended(order.key, number, ANSWERED, cost=1.0)
            yield Answer(key=order.key, answer="7", cost=1.0)


@dataclass
class Study:
    """Runs below a folder, and one bridge for all of them."""

    top: Path
    names: Iterable[str] = ("a", "b")
    config: LabelsConfig = field(default_factory=lambda: LabelsConfig(name="mine", target=""))
    source: LabelSource = field(default_factory=SevenSource)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in self.names:
            self.place(name, name)
        self.bridge = Bridge(
            find=lambda: [LiveRun(run_dir=self.top / n, config=self.config) for n in self.names],
            make_source=lambda run: self.source,
            say=self.said.append,
        )

    def place(self, name: str, key: str, attempt: int = 1) -> None:
        OrdersOut(self.top / name, attempt=attempt).place([an_order(key=key)])

    def answers(self, name: str) -> dict[str, str | None]:
        found = AnswersIn(self.top / name)
        found.look()
        return {key: one.answer for key, one in found.first.items()}


def test_runs_with_a_label_bank_are_served_by_one_bridge(tmp_path: Path) -> None:
    config = LabelsConfig(name="mine", target="", bank=str(tmp_path / "bank"))
    study = Study(tmp_path, config=config)
    assert study.bridge.look() == 2
    study.place("a", "c", attempt=2)
    study.place("b", "d", attempt=2)
    assert study.bridge.look() == 2
    assert (study.answers("a"), study.answers("b")) == ({"a": "7", "c": "7"}, {"b": "7", "d": "7"})


def test_a_run_whose_folder_cannot_be_written_is_told_once_and_the_others_go_on(
    tmp_path: Path,
) -> None:
    study = Study(tmp_path)
    in_the_way = tmp_path / "a" / ANSWERS
    in_the_way.write_text("")
    assert study.bridge.look() == 1
    study.bridge.look()
    told = [line for line in study.said if line.startswith("a: ")]
    assert len(told) == 1
    assert "File exists" in told[0]
    assert study.answers("b") == {"b": "7"}
    in_the_way.unlink()
    study.bridge.look()
    assert study.bridge.troubled == {}
    assert study.answers("a") == {"a": "7"}


def test_what_a_source_failed_of_is_on_record_for_status_until_it_answers(tmp_path: Path) -> None:
    source = SevenSource(fails="no \x1b[2J network")
    study = Study(tmp_path, names=("a",), source=source)
    beat(tmp_path / "a", "parked", time=time.time(), pending=1, job=None, source="mine")
    study.bridge.look()
    reason = run_state(tmp_path / "a", queue=None).reason
    assert re.search(r"; its source failed \d+ s ago: no \[2J network", reason)
    source.fails = ""
    study.bridge.look()
    assert "its source" not in run_state(tmp_path / "a", queue=None).reason
    assert not (tmp_path / "a/labels/failure.json").exists()


def test_a_source_that_is_not_asked_any_more_is_told_as_such(tmp_path: Path) -> None:
    config = LabelsConfig(name="mine", target="", max_failures=2)
    study = Study(tmp_path, names=("a",), source=SevenSource(fails="boom"), config=config)
    beat(
        tmp_path / "a",
        "waiting",
        pending=1,
        job=None,
        time=time.time(),
        pid=os.getpid(),
        host=platform.node(),
    )
    for _ in range(3):
        study.bridge.look()
    reason = run_state(tmp_path / "a", queue=None).reason
    words = r"its source is not asked any more since it failed \d+ s ago: 2 failures in a row"
    assert re.search(words, reason)
    assert study.said == [
        "a: boom (1 in a row)",
        "a: 2 failures in a row, the last: boom; nothing more is asked until the bridge is "
        "started again",
    ]


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"version": 1, "time": "x"}', "x" * 70_000])
def test_a_record_of_failures_that_cannot_be_used_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/failure.json").write_text(text)
    assert read_source_failure(tmp_path) is None


def test_a_run_that_is_done_is_told_once_and_the_others_are_served_on(tmp_path: Path) -> None:
    study = Study(tmp_path)
    study.bridge.wanted = wants_labels
    study.bridge.look()
    assert not study.bridge.over
    beat(tmp_path / "a", "done")
    finish(tmp_path / "a")
    study.place("b", "c", attempt=2)
    study.bridge.look()
    study.bridge.look()
    assert study.said.count("a is done: nothing more is asked for it") == 1
    assert study.answers("b") == {"b": "7", "c": "7"}
    finish(tmp_path / "b")
    study.bridge.look()
    assert study.bridge.over


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of labels=command, whose program is `answer`, with one order."""
    run, program = tmp_path / "run", tmp_path / "answer"
    OrdersOut(run, attempt=1).place([an_order()])
    (run / "config.yaml").write_text("version: 1\n")
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    config = LabelsConfig(
        name="command",
        target="rlavr_hpc.labels.sources.command:CommandSource",
        command=str(program),
        max_failures=2,
    )
    monkeypatch.setattr(labels, "read_config", lambda run: SimpleNamespace(labels=config))
    return run


def test_one_look_fails_when_a_source_failed_in_it(folder: Path) -> None:
    assert labels.serve(folder, once=True, poll=None) == ExitCode.FAILED
    (folder.parent / "answer").write_text("#!/bin/sh\n")
    assert labels.serve(folder, once=True, poll=None) == ExitCode.DONE


def test_a_bridge_ends_when_no_source_may_be_asked_any_more(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert labels.serve(folder, once=False, poll=0.2) == ExitCode.FAILED
    said = capsys.readouterr().err
    assert "serving 1 run, 1 order is open" in said
    assert "no source may be asked any more" in said


@pytest.mark.parametrize("sweep", [False, True])
def test_a_bridge_ends_when_its_run_or_sweep_is_done(folder: Path, *, sweep: bool) -> None:
    finish(folder)
    top = folder.parent if sweep else folder
    if sweep:
        make_plan(top, "run", "second")
        live = labels.LiveRuns(top)
        list(live())
        assert not live.complete, "the second one has not begun"
        finish(top / "second")
    assert labels.serve(top, once=False, poll=0.2) == ExitCode.DONE


def test_a_folder_that_is_not_there_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing is no folder"):
        labels.serve(tmp_path / "nothing", once=True, poll=None)
    with pytest.raises(UserError, match="nothing is no folder"):
        read_quality(tmp_path / "nothing")
