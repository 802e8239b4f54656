"""A parked run goes on when enough of its labels are there, and Slurm is asked only then."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rlavr_hpc.acquisition.answered_orders import answered_orders
from rlavr_hpc.cluster.slurm import commands
from rlavr_hpc.commands.labels_desk import PeopleRuns
from rlavr_hpc.config.labels import LabelsConfig
from rlavr_hpc.labels.bridge import Bridge, LiveRun
from rlavr_hpc.labels.mailbox import OrdersOut
from rlavr_hpc.labels.orders import Answer, Order
from rlavr_hpc.labels.sent import CallLog
from rlavr_hpc.labels.served_run import ServedRun
from rlavr_hpc.labels.source import Source
from rlavr_hpc.labels.sources.people import PeopleSource
from rlavr_hpc.overview.parked_runs import ParkedRuns
from rlavr_hpc.overview.release_parked import release_enough, wants_labels
from rlavr_hpc.runs.cancelled_wait import cancel_wait
from rlavr_hpc.runs.stops import CANCELLATION, Cause
from tests.support.configs import composed
from tests.support.fake_slurm import FakeSlurm
from tests.support.label_runs import an_order
from tests.support.live_runs import LiveFolder
from tests.support.run_folders import beat, finish, queued, stop

PEOPLE = ("acquisition=random", "budget=0.5", "steps=20", "reuse_labels=true")
PROMPTS = ("f0-a2-b0", "f0-a3-b0", "f0-a4-b0", "f0-a5-b0")
HELD = queued("12_0", reason="job requeued in held state")


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    fake = FakeSlurm(tmp_path / "bin")
    monkeypatch.setenv("PATH", fake.environment["PATH"])
    return fake


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Parked 100 s ago in job 12_0 with ten labels pending."""
    beat(tmp_path / "a1", "parked", time=time.time() - 100, pending=10, exit_code=76)
    return tmp_path / "a1"


def told(slurm: FakeSlurm) -> list[str]:
    """The programs that were run."""
    return [line.split(" -")[0] for line in slurm.asked]


@pytest.mark.parametrize(
    ("enough", "still_open", "released"),
    [(1.0, 1, False), (1.0, 0, True), (0.8, 3, False), (0.8, 2, True), (0.0, 10, True)],
)
def test_it_is_released_when_enough_answers_have_come_and_slurm_is_asked_once(
    run: Path, slurm: FakeSlurm, enough: float, still_open: int, released: bool
) -> None:
    slurm.has(HELD)
    assert release_enough(run, still_open, LabelsConfig(enough=enough)) is released
    assert told(slurm) == (["squeue", "scontrol release 12_0"] if released else [])
    slurm.has(HELD)
    assert not release_enough(run, 0 if released else still_open, LabelsConfig(enough=enough))
    assert len(slurm.asked) == 2 * released


def test_a_job_that_was_released_or_started_meanwhile_is_left_alone(
    run: Path, slurm: FakeSlurm
) -> None:
    slurm.has(queued("12_0", reason="Priority"))
    assert not release_enough(run, 0, LabelsConfig())
    assert not release_enough(run, 0, LabelsConfig())
    assert told(slurm) == ["squeue"]


def test_a_job_that_is_about_to_be_held_is_looked_at_again(run: Path, slurm: FakeSlurm) -> None:
    slurm.has(queued("12_0", "COMPLETING"))
    assert not release_enough(run, 0, LabelsConfig())
    slurm.has(HELD)
    assert release_enough(run, 0, LabelsConfig())


def test_a_slurm_that_refuses_is_told_and_asked_again_at_the_next_look(
    run: Path, slurm: FakeSlurm
) -> None:
    slurm.has(HELD)
    slurm.says("scontrol", "no", code=1)
    said: list[str] = []
    assert not release_enough(run, 0, LabelsConfig(), said.append)
    assert said == ["a1: job 12_0 is not released: scontrol: no"]
    slurm.says("scontrol", "")
    assert release_enough(run, 0, LabelsConfig(), said.append)
    assert said[1:] == ["a1: enough labels are there: job 12_0 is released"]


def test_without_slurm_it_is_said_once_that_the_command_goes_on(
    tmp_path: Path, slurm: FakeSlurm
) -> None:
    said: list[str] = []
    run = tmp_path / "r"
    beat(run, "parked", time=time.time(), pending=10, job=None, restart=None)
    assert release_enough(run, 0, LabelsConfig(), said.append)
    assert not release_enough(run, 0, LabelsConfig(), said.append)
    assert said == [f"r: enough labels are there: start the command of {run} again, it goes on"]
    assert slurm.asked == []
    beat(run, "parked", time=time.time(), pending=4, job=None, restart=None, attempt=2)
    assert release_enough(run, 0, LabelsConfig()), "it has parked again"


def test_where_slurm_is_not_installed_the_user_is_told_to_release_it(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    said: list[str] = []
    assert release_enough(run, 0, LabelsConfig(), said.append)
    assert f"rlavr start-now {run}" in said[0]


def test_a_job_that_is_gone_is_told_unless_it_was_cancelled(run: Path, slurm: FakeSlurm) -> None:
    said: list[str] = []
    assert release_enough(run, 0, LabelsConfig(), said.append)
    assert "job 12_0 is gone: the sweep's command goes on" in said[0]
    (run / "labels/enough/1.json").unlink()
    stop(run, Cause.cancelled, restart=CANCELLATION)
    assert not release_enough(run, 0, LabelsConfig(), said.append)
    assert len(said) == 1


@pytest.mark.parametrize("state", ["running", "waiting", "starting", "stopped", "done"])
def test_a_run_that_is_not_parked_is_left_alone(
    tmp_path: Path, slurm: FakeSlurm, state: str
) -> None:
    beat(tmp_path / "r", state, time=time.time(), pending=10)
    assert not release_enough(tmp_path / "r", 0, LabelsConfig())
    assert not release_enough(tmp_path / "nothing", 0, LabelsConfig())
    assert slurm.asked == []


def test_a_run_that_is_done_or_cancelled_wants_no_labels(run: Path, tmp_path: Path) -> None:
    assert wants_labels(run)
    assert wants_labels(tmp_path / "new")
    stop(run, Cause.cancelled, restart=CANCELLATION)
    assert not wants_labels(run)
    beat(tmp_path / "r", "done")
    finish(tmp_path / "r")
    assert not wants_labels(tmp_path / "r")


def test_releasing_a_job_that_has_started_meanwhile_is_fine(slurm: FakeSlurm) -> None:
    slurm.runs("scontrol", 'echo "Job is no longer pending execution" >&2; exit 1')
    commands.release("12_0")
    slurm.runs("scontrol", 'echo "scontrol: error: Access/permission denied" >&2; exit 1')
    with pytest.raises(commands.SlurmError, match="denied"):
        commands.release("12_0")
    assert os.environ["PATH"].startswith(str(slurm.folder))


def test_a_bridge_asks_nothing_for_a_cancelled_run_until_it_is_started_again(
    tmp_path: Path,
) -> None:
    asked = Asked()
    OrdersOut(tmp_path / "r", 1).place([an_order()])
    bridge = Bridge(
        find=lambda: [LiveRun(run_dir=tmp_path / "r", config=LabelsConfig(name="mine"))],
        make_source=lambda _: asked,
        say=print,
        wanted=wants_labels,
    )
    beat(tmp_path / "r", "parked", time=time.time(), pending=1, job=None)
    cancel_wait(tmp_path / "r", attempt=1)
    bridge.look()
    assert (asked.keys, bridge.open) == ([], 0)
    beat(tmp_path / "r", "waiting", time=time.time(), pending=1, job=None, attempt=2)
    bridge.look()
    assert (asked.keys, bridge.open) == (["k"], 1)


@dataclass(kw_only=True)
class Asked(Source):
    """Notes what it is asked, and says nothing."""

    keys: list[str] = field(default_factory=list)

    def order(self, orders: Sequence[Order], log: CallLog) -> Iterator[Answer]:
        self.keys += [order.key for order in orders]
        yield from ()


def parked_with_orders(folder: Path, *settings: str, gold: tuple[str, ...] = ()) -> LiveFolder:
    """Parked while the labels of four prompts are pending."""
    live = LiveFolder(folder, composed("labels=people", *PEOPLE, *settings), gold=gold)
    live.buy(1, *PROMPTS)
    beat(folder, "parked", time=time.time(), pending=len(PROMPTS), job=None, restart=None)
    return live


def answered(live: LiveFolder, *copies: tuple[str, int, str]) -> ServedRun:
    """The run as a bridge sees it, with answers to (prompt, copy) in its mailbox."""
    placed = live.orders()
    live.say("1", *({"key": placed[p][copy].key, "answer": text} for p, copy, text in copies))
    run = ServedRun(
        run_dir=live.folder,
        config=live.config.labels,
        source=PeopleSource(),
        say=print,
        start="1",
    )
    run.look()
    return run


@pytest.mark.parametrize(
    ("answers", "lacking", "enough"),
    [((3, 2, 2, 2), 1, False), ((3, 3, 0, 0), 0, True), ((3, 1, 0, 0), 2, False)],
)
def test_enough_is_a_share_of_the_labels_and_not_of_their_answers(
    tmp_path: Path, answers: Sequence[int], lacking: int, enough: bool
) -> None:
    live = parked_with_orders(tmp_path / "r", "labels.redundancy=3", "labels.enough=0.5")
    came = [(p, copy, "7") for p, n in zip(PROMPTS, answers, strict=True) for copy in range(n)]
    run, parked = answered(live, *came), ParkedRuns()
    assert parked.answers_lacking(run) == lacking
    parked.release(run)
    assert released(run) is enough


def test_the_first_answer_settles_a_label_where_the_first_counts(tmp_path: Path) -> None:
    live = parked_with_orders(tmp_path / "r", "labels.redundancy=3", "labels.resolve=first")
    run, parked = answered(live, *((prompt, 1, "7") for prompt in PROMPTS[:3])), ParkedRuns()
    assert parked.answers_lacking(run) == 1
    live.say("2", {"key": live.orders()[PROMPTS[3]][0].key, "void": "cannot say"})
    run.look()
    assert parked.answers_lacking(run) == 1, "a void answer settles nothing"
    live.say("3", {"key": live.orders()[PROMPTS[3]][1].key, "answer": "7"})
    run.look()
    parked.release(run)
    assert released(run)


def test_questions_with_a_known_answer_are_no_labels_that_a_run_waits_for(tmp_path: Path) -> None:
    gold = ("f0-a6-b0", "f0-a7-b0")
    live = parked_with_orders(tmp_path / "r", "labels.gold=0.3", gold=gold)
    assert set(live.orders()) > set(PROMPTS), "gold is among the orders"
    run = answered(live, *((prompt, 0, "7") for prompt in PROMPTS))
    ParkedRuns().release(run)
    assert run.open
    assert released(run)


def test_without_a_ledger_every_question_counts(tmp_path: Path) -> None:
    live = parked_with_orders(tmp_path / "r", "labels.redundancy=2", "labels.enough=0.5")
    shutil.rmtree(tmp_path / "r/ledger")
    run, parked = answered(live, (PROMPTS[0], 0, "7"), (PROMPTS[0], 1, "7")), ParkedRuns()
    assert parked.answers_lacking(run) == 2
    live.say("2", *({"key": live.orders()[PROMPTS[1]][n].key, "answer": "7"} for n in (0, 1)))
    run.look()
    parked.release(run)
    assert released(run)


def released(run: ServedRun) -> bool:
    return (run.run_dir / "labels/enough/1.json").exists()


def test_a_label_that_is_on_the_ledger_is_asked_for_by_nobody_whatever_became_of_its_answer(
    tmp_path: Path,
) -> None:
    live = LiveFolder(tmp_path / "r", composed("labels=people", *PEOPLE))
    live.buy(1, *PROMPTS[:2])
    placed = live.orders()
    live.say("1", {"key": placed[PROMPTS[0]][0].key, "answer": "7"})
    live.buy(1, *PROMPTS[:2])
    shutil.rmtree(tmp_path / "r/labels/answers")
    asked = Asked()
    bridge = Bridge(
        find=lambda: [LiveRun(run_dir=tmp_path / "r", config=live.config.labels)],
        make_source=lambda _: asked,
        say=print,
        settled=answered_orders,
    )
    bridge.look()
    assert asked.keys == [placed[PROMPTS[1]][0].key]
    [run] = PeopleRuns(tmp_path, "2", lambda _: live.config.labels, print)()
    run.look()
    assert [order.key for order in run.open] == asked.keys
