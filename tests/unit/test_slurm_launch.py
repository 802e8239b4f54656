"""What happens with the runs of a sweep that is started, perhaps again."""

from __future__ import annotations

import os
import platform
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from rlavr_hpc.cluster.launcher import Job
from rlavr_hpc.cluster.slurm.launch import choose, for_site, freeze
from rlavr_hpc.cluster.slurm.settings import read_settings
from rlavr_hpc.cluster.slurm.site import Site
from rlavr_hpc.cluster.slurm.states import RunState, State
from rlavr_hpc.config import RunConfig
from rlavr_hpc.errors import ExitCode, UserError
from rlavr_hpc.io import write_record
from rlavr_hpc.overview import waiting
from rlavr_hpc.run_folder import open_run_folder, read_config
from tests.support.configs import composed
from tests.support.run_folders import beat, finish, make_plan

SITE = Site(grace_seconds=12, warning_seconds=90, max_array=10, gpus=True)


@pytest.fixture
def config() -> RunConfig:
    return composed("steps=10")


def job(folder: Path, config: RunConfig, *, begun: bool = True) -> Job:
    if begun:
        open_run_folder(folder, config)
    return Job(overrides=("seed=1",), config=config, folder=folder)


def seen(folder: Path, state: State, name: str | None = "7_0") -> RunState:
    return RunState(
        run=folder, name="a", overrides=(), state=state, step=0, steps=None, eta_seconds=None,
        labels_bought=None, labels_allowed=None, accuracy=None, risk=None, attempts=0, node=None,
        job=name, reason="", heartbeat_age=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("state", "submit", "words"),
    [
        (State.planned, True, "submitted to continue"),
        (State.stopped, True, "submitted to continue"),
        (State.queued, False, "queued as 7_0: left alone"),
        (State.running, False, "running as 7_0: left alone"),
        (State.preempted, False, "preempted as 7_0: left alone"),
        (State.requeued, False, "requeued as 7_0: left alone"),
        (State.stalled, False, "stalled as 7_0: left alone"),
        (State.zombie, False, "zombie as 7_0: left alone"),
        (State.failed, False, "failed: left; retry_failed=true submits it again"),
        (State.cancelled, False, "cancelled: left; retry_failed=true submits it again"),
    ],
)
def test_what_waits_or_runs_is_left_and_what_stopped_is_submitted(
    tmp_path: Path, config: RunConfig, state: State, submit: bool, words: str
) -> None:
    folder = tmp_path / "a"
    choice = choose(job(folder, config), seen(folder, state))
    assert (choice.submit, choice.words) == (submit, words)


@pytest.mark.parametrize("state", [State.failed, State.cancelled])
def test_what_failed_is_repeated_when_that_is_asked_for(
    tmp_path: Path, config: RunConfig, state: State
) -> None:
    folder = tmp_path / "a"
    choice = choose(job(folder, replace(config, retry_failed=True)), seen(folder, state))
    assert choice.submit


def test_a_new_run_is_submitted(tmp_path: Path, config: RunConfig) -> None:
    choice = choose(job(tmp_path / "a", config, begun=False), None)
    assert (choice.submit, choice.words) == (True, "submitted")


def test_a_finished_run_is_skipped_until_more_steps_are_asked_for(
    tmp_path: Path, config: RunConfig
) -> None:
    folder = tmp_path / "a"
    done = job(folder, config)
    write_record(folder / "DONE.json", 1, {"steps": 10})
    assert not choose(done, seen(folder, State.done)).submit
    longer = Job(overrides=(), config=replace(config, steps=20), folder=folder)
    assert choose(longer, seen(folder, State.done)).submit


def test_a_folder_with_other_settings_is_refused(tmp_path: Path, config: RunConfig) -> None:
    folder = tmp_path / "a"
    job(folder, config)
    other = Job(overrides=(), config=replace(config, seed=9), folder=folder)
    with pytest.raises(UserError, match="seed: 1 -> 9"):
        choose(other, None)


def test_the_frozen_config_knows_the_clusters_grace_and_its_user_wins(
    tmp_path: Path, config: RunConfig
) -> None:
    frozen = freeze(replace(config, retry_failed=True), SITE)
    assert (frozen.cluster.grace, frozen.cluster.warning) == (12, 90)
    assert not frozen.retry_failed
    mine = replace(config, cluster=replace(config.cluster, grace_seconds=3, warning_seconds=4))
    assert (freeze(mine, SITE).cluster.grace, freeze(mine, SITE).cluster.warning) == (3, 4)
    open_run_folder(tmp_path / "a", frozen)
    assert read_config(tmp_path / "a") == frozen


def test_a_rank_gets_a_gpu_where_there_are_any() -> None:
    settings = read_settings({"tasks_per_node": 4})
    assert for_site(settings, SITE).gpus_per_node == 4
    assert for_site(settings, replace(SITE, gpus=False)).gpus_per_node is None
    assert for_site(read_settings({"gpus_per_node": 2}), SITE).gpus_per_node == 2


def test_waiting_ends_when_nothing_moves_any_more_and_tells_how_each_run_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")  # no Slurm: the folders decide
    [run] = make_plan(tmp_path / "s", "a1")
    beat(run, "running", time=time.time(), pid=os.getpid(), host=platform.node())
    threading.Timer(0.5, finish, [run]).start()
    assert waiting.wait([tmp_path / "s"], seconds=0.1) == [ExitCode.DONE]
    said = capsys.readouterr().out.splitlines()
    assert ["running" in said[0], "done" in said[-1], len(said)] == [True, True, 2]
