"""Every command tells the same state of a run: status, why, ledger show, track, the analysis."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

import analysis
import rlavr_hpc.cluster.launcher as launcher
from rlavr_hpc.cli import call
from rlavr_hpc.cluster.slurm.choose_runs import choose
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.errors import ExitCode
from rlavr_hpc.runs.attempts import read_attempts
from rlavr_hpc.runs.evidence import other_live_process, read_facts
from rlavr_hpc.runs.heartbeat import STATUS_FILE, Heartbeat, read_heartbeat
from rlavr_hpc.runs.heartbeat_fault import HeartbeatFault
from rlavr_hpc.runs.process import ProcessIdentity, is_alive, this_process
from rlavr_hpc.runs.state_types import ACTIVE_STATES, State
from rlavr_hpc.runs.states import run_state
from rlavr_hpc.runs.sweep_plan import PlannedRun
from rlavr_hpc.telemetry.wandb.sync import find_runs, unsent
from tests.support.configs import composed
from tests.support.ledgers import write_run

STEP = 3
NO_SUCH_PID = 2**22 + 1


@dataclass(frozen=True, slots=True)
class Study:
    """A sweep of one run that five levels of folders hold, as the commands are given it."""

    top: Path
    sweep: Path
    run: Path


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return composed("acquisition=random", "budget=0.1", "steps=20")


@pytest.fixture
def study(config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.setenv("PATH", str(tmp_path / "no_slurm"))
    return make_study(tmp_path, config)


def make_study(folder: Path, config: RunConfig) -> Study:
    sweep = folder / "top/a/b/c/d/sweep"
    run = sweep / "e"
    write_run(run, config, {STEP: ["p0"]})
    plan = {"index": 0, "run_id": "e", "folder": "elsewhere/e", "overrides": [], "steps": 20}
    (sweep / "sweep.json").write_text(json.dumps({"version": 1, "name": "sweep", "runs": [plan]}))
    return Study(folder / "top", sweep, run)


def beat(run: Path, state: str = "running", **changes: object) -> None:
    """A heartbeat of this process, then changed."""
    Heartbeat(run, 1, 20).beat(state, step=STEP)
    path = run / STATUS_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


# --- what each command says ----------------------------------------------------------------------

Say = Callable[..., str]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Runs a verb in this process; returns what it printed."""

    def run(*arguments: object) -> str:
        call([*map(str, arguments)])
        return capsys.readouterr().out

    return run


def by_status(folder: Path, say: Say) -> str:
    [run] = [json.loads(line) for line in say("status", folder, "--json").splitlines()]
    return str(run["state"])


def by_why(folder: Path, say: Say) -> str:
    return str(json.loads(say("why", folder, "--json"))["run"]["state"])


def by_ledger(folder: Path, say: Say) -> str:
    shown = json.loads(say("ledger", "show", folder, "--json"))
    [run] = shown.get("runs", [shown])
    return str(run["status"])


def by_analysis(folder: Path, say: Say) -> str:
    [run] = analysis.load(folder).runs
    return run.state


VERBS: Mapping[str, Callable[[Path, Say], str]] = {
    "status": by_status,
    "why": by_why,
    "ledger show": by_ledger,
    "analysis": by_analysis,
}


# --- cases ---------------------------------------------------------------------------------------


def running_here(study: Study) -> State:
    beat(study.run)
    return State.running


def running_on_another_host(study: Study) -> State:
    beat(study.run, host="far", pid=4242, boot_id="another", time=time.time() - 60)
    return State.running


def process_dead(study: Study) -> State:
    beat(study.run, pid=NO_SUCH_PID)
    return State.failed


def pid_reused(study: Study) -> State:
    """The process id of the run is alive, and belongs to a later process."""
    start = this_process().start_ticks
    assert start is not None
    beat(study.run, start_ticks=start - 100)
    return State.failed


def host_rebooted(study: Study) -> State:
    beat(study.run, boot_id="the boot before")
    return State.failed


def torn_and_its_process_lives(study: Study) -> State:
    (study.run / STATUS_FILE).write_text('{"version": 1, "sta')
    return State.running


def torn_elsewhere(study: Study) -> State:
    token_of_another_host(study.run)
    (study.run / STATUS_FILE).write_text('{"version": 1, "sta')
    return State.unknown


def of_a_newer_version(study: Study) -> State:
    token_of_another_host(study.run)
    (study.run / STATUS_FILE).write_text('{"version": 2, "mood": "good"}')
    return State.unknown


def unreadable_heartbeat(study: Study) -> State:
    """A folder in the file's place: what chmod 000 is to others, whoever runs the tests."""
    token_of_another_host(study.run)
    (study.run / STATUS_FILE).mkdir()
    return State.unknown


def finished(study: Study) -> State:
    beat(study.run, "done")
    (study.run / "DONE.json").write_text('{"version": 1, "steps": 20, "time": 0}')
    return State.done


def token_of_another_host(run: Path) -> None:
    path = run / "attempts/1.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"host": "far"}))


CASES = (
    running_here,
    running_on_another_host,
    process_dead,
    pid_reused,
    host_rebooted,
    torn_and_its_process_lives,
    torn_elsewhere,
    of_a_newer_version,
    unreadable_heartbeat,
    finished,
)


@pytest.mark.parametrize("place", ["run", "sweep", "top"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_every_command_tells_the_same_state(
    case: Callable[[Study], State], place: str, study: Study, say: Say
) -> None:
    expected = case(study)
    folder = getattr(study, place)
    assert {name: tell(folder, say) for name, tell in VERBS.items()} == dict.fromkeys(
        VERBS, expected
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_track_and_rollback_leave_alone_what_may_still_be_written(
    case: Callable[[Study], State],
    study: Study,
    capsys: pytest.CaptureFixture[str],
) -> None:
    offline_attempt(study.run)
    may_write = case(study) in (*ACTIVE_STATES, State.unknown)
    assert unsent(study.run).growing is may_write
    assert find_runs([study.top]) == [study.run.resolve()]
    assert (call(["rollback", str(study.run), "--to", "0"]) != 0) is may_write
    assert ("--force" in capsys.readouterr().err) is may_write
    assert len(read_attempts(study.run)) == (1 if may_write else 2)


def offline_attempt(run: Path) -> None:
    """An attempt of a dashboard without network whose file has no end yet."""
    folder = run / "wandb/offline-run-20260101_000000-x"
    folder.mkdir(parents=True)
    (folder / "run-x.wandb").write_bytes(b":W&B\xa1\xbe\x00")


@pytest.mark.parametrize("place", ["run", "sweep"])
def test_a_copy_of_a_running_run_has_stopped_and_the_run_itself_goes_on(
    place: str, study: Study, say: Say, tmp_path: Path
) -> None:
    running_here(study)
    copy = shutil.copytree(getattr(study, place), tmp_path / "copied/elsewhere")
    for folder, state in ((getattr(study, place), State.running), (copy, State.stopped)):
        assert {name: tell(folder, say) for name, tell in VERBS.items()} == dict.fromkeys(
            VERBS, state
        )
    assert "a copy of" in say("status", copy)


def test_a_run_that_was_moved_is_no_copy(study: Study, say: Say, tmp_path: Path) -> None:
    running_here(study)
    moved = study.sweep.rename(tmp_path / "moved")
    assert by_status(moved, say) == "running"
    (tmp_path / "link").symlink_to(moved)
    assert by_status(tmp_path / "link", say) == "running"


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """The effective user is one who may not read what chmod 000 protects."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def public(config: RunConfig) -> Iterator[Study]:
    """A study that every user may read: pytest's own folders are its user's alone."""
    with tempfile.TemporaryDirectory() as folder:
        study = make_study(Path(folder), config)
        beat(study.run, host="far", pid=1)
        for path in (Path(folder), *Path(folder).rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield study
        study.run.chmod(0o755)


def test_a_folder_that_may_be_listed_but_not_entered_is_told(
    public: Study, say: Say, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("PATH", "/no_slurm")
    by_status(public.top, say)
    closed = public.top / "a"
    closed.chmod(0o744)
    try:
        request.getfixturevalue("unprivileged")
        shown = json.loads(say("status", public.top, "--json"))
    finally:
        os.seteuid(os.getuid())
        closed.chmod(0o755)
    assert (shown["name"], shown["state"]) == ("a/b", "unknown")
    assert "Permission denied" in shown["reason"]


@pytest.mark.parametrize("what", [".", STATUS_FILE])
def test_what_may_not_be_read_is_unknown_and_says_so(
    what: str,
    public: Study,
    say: Say,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    study = public
    monkeypatch.setenv("PATH", "/no_slurm")
    token_of_another_host(study.run)
    for tell in VERBS.values():  # imports what it needs while it still may
        tell(study.top, say)
    (study.run / what).chmod(0)
    request.getfixturevalue("unprivileged")
    folders = (study.top, study.sweep, study.run)
    assert [by_status(folder, say) for folder in folders] == ["unknown"] * 3
    assert [by_why(folder, say) for folder in folders] == ["unknown"] * 3
    assert [by_ledger(folder, say) for folder in (study.top, study.sweep)] == ["unknown"] * 2
    assert [by_analysis(folder, say) for folder in folders] == ["unknown"] * 3
    assert "Permission denied" in say("status", study.top)


# --- the finder ----------------------------------------------------------------------------------


def test_every_command_finds_the_same_runs(study: Study, say: Say, config: RunConfig) -> None:
    write_run(study.top / "single", config, {1: ["p0"]})
    write_run(study.sweep / "again/of_hand", config, {1: ["p0"]})
    (study.top / "loop").symlink_to(study.top)
    (study.top / "photos/2026").mkdir(parents=True)
    (study.top / "conf").mkdir()
    (study.top / "conf/config.yaml").write_text("defaults: []\n")
    runs = {"a/b/c/d/sweep/e", "a/b/c/d/sweep/again/of_hand", "single"}
    seen = [json.loads(line) for line in say("status", study.top, "--json").splitlines()]
    assert {run["name"] for run in seen} == runs
    shown = json.loads(say("ledger", "show", study.top, "--json"))
    assert {run["run"] for run in shown["runs"]} == runs
    assert set(shown["foreign"]) == {"photos", "conf"}
    loaded = analysis.load(study.top)
    assert {run.name for run in loaded.runs} == runs
    assert {Path(problem.path).name for problem in loaded.problems} == {"photos", "conf"}
    for name in runs:
        offline_attempt(study.top / name)
    assert {str(run.relative_to(study.top)) for run in find_runs([study.top])} == runs


# --- heartbeats and processes --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", HeartbeatFault.torn),
        (b'{"version": 1, "sta', HeartbeatFault.torn),
        (b"\xff\xfe", HeartbeatFault.torn),
        (b"[" * 99_999, HeartbeatFault.torn),
        (b"[]", HeartbeatFault.foreign),
        (b'{"state": "running", "time": 5.0}', HeartbeatFault.foreign),
        (b'{"version": 1, "state": "running"}', HeartbeatFault.foreign),
        (b'{"version": "x"}', HeartbeatFault.foreign),
        (b'{"version": 2}', HeartbeatFault.newer),
    ],
)
def test_a_heartbeat_that_cannot_be_used_has_a_named_fault(
    tmp_path: Path, data: bytes, fault: HeartbeatFault
) -> None:
    (tmp_path / STATUS_FILE).write_bytes(data)
    reading = read_heartbeat(tmp_path)
    assert (reading.heartbeat, reading.fault) == (None, fault)
    assert reading.message.startswith(f"status.json cannot be used, it is {fault}: ")


@pytest.mark.parametrize("moment", ["NaN", "Infinity", "1e999", '"now"'])
def test_a_heartbeat_without_a_time_is_foreign(tmp_path: Path, moment: str) -> None:
    beat(tmp_path)
    text = json.loads((tmp_path / STATUS_FILE).read_text()) | {"time": 0}
    path = tmp_path / STATUS_FILE
    path.write_text(json.dumps(text).replace('"time": 0', f'"time": {moment}'))
    assert read_heartbeat(tmp_path).fault is HeartbeatFault.foreign


def test_a_heartbeat_in_whose_place_a_folder_lies_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / STATUS_FILE).mkdir()
    assert read_heartbeat(tmp_path).fault is HeartbeatFault.unreadable
    assert read_heartbeat(tmp_path / "nowhere") == read_heartbeat(tmp_path / "nowhere2")


def test_a_process_is_known_by_its_start_and_a_new_one_of_its_id_is_another() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        ticks = int(Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19])
        host, boot = socket.gethostname(), this_process().boot_id
        same = ProcessIdentity(host=host, pid=child.pid, start_ticks=ticks, boot_id=boot)
        other = ProcessIdentity(host=host, pid=child.pid, start_ticks=ticks - 1, boot_id=boot)
        assert (is_alive(same, seen_at=None), is_alive(other, seen_at=None)) == (True, False)
        child.kill()
        child.wait()
        assert is_alive(same, seen_at=None) is False


def test_without_a_recorded_start_a_process_that_began_after_the_heartbeat_is_another() -> None:
    old = ProcessIdentity(host=socket.gethostname(), pid=os.getpid())
    assert is_alive(old, seen_at=time.time()) is True
    assert is_alive(old, seen_at=1e9) is False
    assert is_alive(ProcessIdentity(host="far", pid=1), seen_at=1e9) is None


# --- the launchers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "left_alone"),
    [
        (running_here, True),
        (torn_and_its_process_lives, True),
        (running_on_another_host, False),
        (process_dead, False),
        (pid_reused, False),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_the_local_launcher_leaves_alone_what_a_process_of_this_host_runs(
    case: Callable[[Study], State],
    left_alone: bool,
    study: Study,
    config: RunConfig,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    case(study)
    monkeypatch.setattr(launcher, "_wait_for", lambda *_, **__: 0)
    job = PlannedRun(overrides=(), config=config, folder=study.run)
    assert (launcher._run_one(job, 1) is None) is left_alone
    assert ("in another process on this host: left alone" in capsys.readouterr().err) is left_alone


def test_how_a_run_under_torchrun_ended_comes_from_its_heartbeat(study: Study) -> None:
    beat(study.run, "stopped", exit_code=75)
    assert launcher._recorded_outcome(study.run) is ExitCode.STOPPED
    beat(study.run, "stopped", exit_code=1234)
    assert launcher._recorded_outcome(study.run) is ExitCode.FAILED
    (study.run / STATUS_FILE).write_text("{")
    assert launcher._recorded_outcome(study.run) is ExitCode.FAILED


def test_the_slurm_launcher_leaves_alone_what_it_knows_nothing_of(
    study: Study, config: RunConfig
) -> None:
    torn_elsewhere(study)
    job = PlannedRun(overrides=(), config=config, folder=study.run)
    choice = choose(job, run_state(study.run, queue=()))
    assert not choice.submit
    assert choice.message.startswith("unknown (status.json cannot be used, it is torn: ")
    assert choice.message.endswith(f": left; `rlavr retry {study.run}` submits it again")


def test_a_start_sees_the_other_process_that_has_the_run(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        ticks = int(Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19])
        beat(tmp_path, pid=child.pid, start_ticks=ticks)
        assert other_live_process(read_facts(tmp_path)) == child.pid
        beat(tmp_path, "done", pid=child.pid, start_ticks=ticks)
        assert other_live_process(read_facts(tmp_path)) is None, "it has ended with the run"
        beat(tmp_path, pid=child.pid, start_ticks=ticks - 1)
        assert other_live_process(read_facts(tmp_path)) is None, "its id was given out again"
        child.kill()
    beat(tmp_path)
    assert other_live_process(read_facts(tmp_path)) is None, "this process itself"
    assert other_live_process(read_facts(tmp_path / "nowhere")) is None
