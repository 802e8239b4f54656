"""What happens with the runs of a sweep that is started, perhaps again."""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from rlavr_hpc.cluster.slurm.choose_runs import choose, states_by_name
from rlavr_hpc.cluster.slurm.launch import with_site_settings
from rlavr_hpc.cluster.slurm.settings import read_settings
from rlavr_hpc.cluster.slurm.site import Site
from rlavr_hpc.cluster.slurm.submit import for_site
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.errors import ExitCode, RlavrError
from rlavr_hpc.io import write_record
from rlavr_hpc.overview import wait_for_end
from rlavr_hpc.runs.folder import open_run_folder, read_config
from rlavr_hpc.runs.state_types import WaitsIn
from rlavr_hpc.runs.states import RunState, State
from rlavr_hpc.runs.sweep_plan import PlannedRun, write_plan
from tests.support.configs import composed
from tests.support.run_folders import beat, finish, make_plan

SITE = Site(grace_seconds=12, warning_seconds=90, max_array=10, gpus=True)


@pytest.fixture
def config() -> RunConfig:
    return composed("steps=10")


def job(folder: Path, config: RunConfig, *, begun: bool = True) -> PlannedRun:
    if begun:
        open_run_folder(folder, config)
    return PlannedRun(overrides=("seed=1",), config=config, folder=folder)


def seen(folder: Path, state: State, name: str | None = "7_0") -> RunState:
    return RunState(
        run=folder,
        name="a",
        overrides=(),
        state=state,
        step=0,
        steps=None,
        eta_seconds=None,
        labels_bought=None,
        labels_allowed=None,
        accuracy=None,
        risk=None,
        attempts=0,
        node=None,
        job=name,
        reason="",
        heartbeat_age=None,
    )


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
    assert (choice.submit, choice.message) == (submit, words)


@pytest.mark.parametrize(
    ("where", "name", "submit", "words"),
    [
        (WaitsIn.queue, "7_0", False, "waiting for labels as 7_0: left alone"),
        (WaitsIn.memory, "7_0", False, "waiting for labels as 7_0: left alone"),
        (WaitsIn.memory, None, False, "waiting for labels outside of Slurm: left alone"),
        (WaitsIn.folder, None, True, "submitted to continue"),
    ],
)
def test_what_waits_for_labels_is_left_unless_nothing_but_its_folder_is_there(
    tmp_path: Path, config: RunConfig, where: WaitsIn, name: str | None, submit: bool, words: str
) -> None:
    parked = replace(seen(tmp_path / "a", State.waiting_for_labels, name), waits_in=where)
    choice = choose(job(tmp_path / "a", config), parked)
    assert (choice.submit, choice.message) == (submit, words)


@pytest.mark.parametrize("state", [State.failed, State.cancelled])
def test_what_failed_is_repeated_when_that_is_asked_for(
    tmp_path: Path, config: RunConfig, state: State
) -> None:
    folder = tmp_path / "a"
    choice = choose(job(folder, replace(config, retry_failed=True)), seen(folder, state))
    assert choice.submit


def test_a_new_run_is_submitted(tmp_path: Path, config: RunConfig) -> None:
    choice = choose(job(tmp_path / "a", config, begun=False), None)
    assert (choice.submit, choice.message) == (True, "submitted")


def test_a_finished_run_is_skipped_until_more_steps_are_asked_for(
    tmp_path: Path, config: RunConfig
) -> None:
    folder = tmp_path / "a"
    done = job(folder, config)
    write_record(folder / "DONE.json", 1, {"steps": 10})
    assert not choose(done, seen(folder, State.done)).submit
    longer = PlannedRun(overrides=(), config=replace(config, steps=20), folder=folder)
    assert choose(longer, seen(folder, State.done)).submit


def test_a_folder_with_other_settings_is_left_and_said_so(
    tmp_path: Path, config: RunConfig
) -> None:
    folder = tmp_path / "a"
    job(folder, config)
    choice = choose(PlannedRun(overrides=(), config=replace(config, seed=9), folder=folder), None)
    assert (choice.submit, choice.refused) == (False, True)
    assert "seed: 1 -> 9" in choice.message


@pytest.mark.parametrize("state", [State.running, State.stalled, State.zombie])
def test_a_run_that_goes_on_without_slurm_is_left(
    tmp_path: Path, config: RunConfig, state: State
) -> None:
    choice = choose(job(tmp_path / "a", config), seen(tmp_path / "a", state, None))
    assert (choice.submit, choice.message) == (False, f"{state} outside of Slurm: left alone")


def test_a_sweep_with_an_unreadable_submission_is_refused(tmp_path: Path) -> None:
    (tmp_path / "slurm/1").mkdir(parents=True)
    (tmp_path / "slurm/1/tasks.json").write_text('{"version": 9}')
    with pytest.raises(RlavrError, match=r"tasks.json: version 9 is not 1"):
        states_by_name(tmp_path)


def test_a_run_is_planned_once_however_its_root_is_spelt(
    tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for root in (Path("s"), tmp_path / "s", Path("../") / tmp_path.name / "s"):
        write_plan([PlannedRun(overrides=(), config=config, folder=root / "a")])
    plan = json.loads((tmp_path / "s/sweep.json").read_text())
    assert [run["index"] for run in plan["runs"]] == [0]


def test_threads_are_those_that_slurm_was_asked_for(config: RunConfig) -> None:
    asked = read_settings({"cpus_per_task": 6})
    assert with_site_settings(config, asked, SITE).cluster.threads == 6
    shared = replace(config, cluster=replace(config.cluster, runs_per_node=2))
    assert with_site_settings(shared, asked, SITE).cluster.threads == 3
    told = replace(config, cluster=replace(config.cluster, threads=1))
    assert with_site_settings(told, asked, SITE).cluster.threads == 1
    assert with_site_settings(config, read_settings({}), SITE).cluster.threads == 0


def test_the_frozen_config_knows_the_clusters_grace_and_its_user_wins(
    tmp_path: Path, config: RunConfig
) -> None:
    settings = read_settings({})
    frozen = with_site_settings(replace(config, retry_failed=True), settings, SITE)
    assert (frozen.cluster.grace, frozen.cluster.warning) == (12, 90)
    assert not frozen.retry_failed
    mine = replace(config, cluster=replace(config.cluster, grace_seconds=3, warning_seconds=4))
    told = with_site_settings(mine, settings, SITE).cluster
    assert (told.grace, told.warning) == (3, 4)
    open_run_folder(tmp_path / "a", frozen)
    assert read_config(tmp_path / "a") == frozen


def test_a_rank_gets_a_gpu_where_there_are_any() -> None:
    settings = read_settings({"tasks_per_node": 4})
    assert for_site(settings, SITE).gpus_per_node == 4
    assert for_site(settings, replace(SITE, gpus=False)).gpus_per_node is None
    assert for_site(read_settings({"gpus_per_node": 2}), SITE).gpus_per_node == 2


def test_waiting_goes_on_while_slurm_does_not_answer(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "squeue").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    [run] = make_plan(tmp_path / "s", "a1")
    threading.Timer(0.6, (tmp_path / "squeue").write_text, ["#!/bin/sh\nexit 0\n"]).start()
    threading.Timer(0.3, finish, [run]).start()
    begun = time.monotonic()
    assert wait_for_end.wait([tmp_path / "s"], seconds=0.1) == [ExitCode.DONE]
    assert time.monotonic() - begun > 0.5, "not before Slurm had answered"


def test_waiting_ends_when_nothing_moves_any_more_and_tells_how_each_run_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")  # no Slurm: the folders decide
    [run] = make_plan(tmp_path / "s", "a1")
    beat(run, "running", time=time.time(), pid=os.getpid(), host=platform.node())
    threading.Timer(0.5, finish, [run]).start()
    assert wait_for_end.wait([tmp_path / "s"], seconds=0.1) == [ExitCode.DONE]
    said = capsys.readouterr().out.splitlines()
    assert ["running" in said[0], "done" in said[-1], len(said)] == [True, True, 2]
