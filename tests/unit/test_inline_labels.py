"""A run whose own first process asks its label source (`labels.inline`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch.distributed as dist

from rlavr_hpc.config.labels import LabelsConfig, Pending
from rlavr_hpc.errors import ExitCode, LabelsStoppedError, UserError
from rlavr_hpc.labels.inline_bridge import InlineBridge
from rlavr_hpc.labels.mailbox import OrdersOut
from rlavr_hpc.labels.sources.command import CommandSource
from rlavr_hpc.trainer.inputs import check_inline_source
from rlavr_hpc.trainer.stages.buy import StepPurchase
from rlavr_hpc.trainer.stages.context import StepContext
from rlavr_hpc.trainer.stages.wait_for_labels import wait_for_labels
from rlavr_hpc.types import StepKey
from tests.support.configs import composed
from tests.support.label_runs import an_order


@pytest.fixture(scope="module", autouse=True)
def one_rank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    store = tmp_path_factory.mktemp("store") / "s"
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def a_step(stopped: Callable[[], str], closed: list[str], **labels: Any) -> StepContext:  # noqa: ANN401
    """A step whose run asks its source itself."""
    config = LabelsConfig(name="command", command="x", inline=True, **labels)
    market = SimpleNamespace(stopped=stopped, close=lambda key, ledger: closed.append("closed"))
    components = SimpleNamespace(
        config=SimpleNamespace(labels=config), market=market, ledger=object(), heartbeat=None
    )
    return cast(StepContext, SimpleNamespace(components=components, key=StepKey(seed=1, step=3)))


def pending(*prompts: str) -> StepPurchase:
    nothing = cast(Any, None)
    return StepPurchase(selection=nothing, spend=nothing, labels={}, pending=prompts)


@pytest.mark.parametrize("rule", [Pending.wait, Pending.park])
def test_a_run_whose_own_source_has_stopped_for_good_ends_its_wait_at_once(rule: Pending) -> None:
    step = a_step(lambda: "no such program", [], pending=rule, poll=600.0)
    begun = time.monotonic()
    with pytest.raises(LabelsStoppedError, match="2 labels of step 3 will not come: no such") as e:
        wait_for_labels(step, pending("p", "q"), lambda: pending("p", "q"))
    assert time.monotonic() - begun < 30
    assert e.value.exit_code == ExitCode.MISTAKE


def test_answers_that_came_before_it_stopped_are_seen_first() -> None:
    step = a_step(lambda: "no such program", [])
    assert wait_for_labels(step, pending("p"), pending).pending == ()


def test_a_run_that_goes_on_without_labels_does_so_at_once() -> None:
    closed = list[str]()
    step = a_step(lambda: "no such program", closed, then=Pending.go_on)
    assert wait_for_labels(step, pending("p"), lambda: pending("p")).pending == ("p",)
    assert closed == ["closed"]


def test_a_source_that_cannot_be_started_is_told_to_the_run_that_asks_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    OrdersOut(tmp_path, attempt=1).place([an_order()])
    config = LabelsConfig(name="command", command="nosuchprogram --x", inline=True)
    bridge = InlineBridge(
        tmp_path,
        config,
        CommandSource(command=config.command),
        watch=lambda run: None,
        settled=lambda run: frozenset(),
    )
    ends = time.monotonic() + 60
    while not bridge.stopped and time.monotonic() < ends:
        time.sleep(0.02)
    assert "'nosuchprogram --x' cannot be started" in bridge.stopped
    assert "nothing more is asked until the run is started again" in caplog.text
    assert "bridge" not in caplog.messages[0]


def test_a_program_or_a_key_that_is_not_there_is_refused_before_a_model_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "answer").write_text("#!/bin/sh\n")
    for command in ("nosuchprogram --x", "./answer"):
        with pytest.raises(UserError, match="cannot be started"):
            check_inline_source(composed("labels=command", f"labels.command='{command}'"))
    (tmp_path / "answer").chmod(0o755)
    check_inline_source(composed("labels=command", "labels.command=./answer"))
    judge = ("labels=judge", "labels.base_url=http://h/v1", "labels.model=m")
    inline = composed(*judge, "labels.inline=true", "labels.key_variable=NO_SUCH_KEY")
    with pytest.raises(UserError, match="NO_SUCH_KEY"):
        check_inline_source(inline)
    elsewhere = composed("labels=command", "labels.command=nosuchprogram", "labels.inline=false")
    check_inline_source(elsewhere)
