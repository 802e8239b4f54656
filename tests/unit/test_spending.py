"""What a sweep has spent: per run, per policy, over the steps; proved run by run."""

from __future__ import annotations

import io
import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rlavr_hpc import cli
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.runs.done import write_done
from rlavr_hpc.runs.find import FoundFolder, find_runs
from rlavr_hpc.runs.state_types import State
from rlavr_hpc.spending.totals import RunSpend, SpendEntry, by_policy, report_steps
from rlavr_hpc.types import StepKey
from tests.support.configs import composed
from tests.support.ledgers import Worker, write_run
from tests.support.run_folders import beat

RANDOM = ("acquisition=random", "budget=0.1", "steps=20")


@pytest.fixture(scope="module")
def configs() -> dict[str, RunConfig]:
    return {
        "a1": composed(*RANDOM, "seed=1"),
        "a2": composed(*RANDOM, "seed=2"),
        "b1": composed("acquisition=entropy", "budget_total=5", "steps=20", "seed=1"),
        "c1": composed("acquisition=none", "steps=20", "seed=1"),
    }


@pytest.fixture(scope="module")
def made(configs: dict[str, RunConfig], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """a1 and a2: random, 3 and 1 labels; b1: entropy, done, an open intent; c1: only planned."""
    sweep = tmp_path_factory.mktemp("runs") / "s"
    write_run(sweep / "a1", configs["a1"], {1: ["p0", "p1"]}, {20: ["p2", "void3"]})
    write_run(sweep / "a2", configs["a2"], {5: ["p0"]})
    [worker] = write_run(sweep / "b1", configs["b1"], {10: ["p0", "p1", "p2", "p3"]})
    worker.ledger.decide(StepKey(seed=1, step=11), ["p5"], quota=1)
    tell(sweep / "a1", state="running", step=20)
    tell(sweep / "a2", state="stopped", step=6)
    tell(sweep / "b1", state="running", step=10)
    write_done(sweep / "b1", 11)
    plan(sweep, configs)
    return sweep


@pytest.fixture
def sweep(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "runs/s"))


def tell(run_dir: Path, *, state: str, step: int) -> None:
    beat(run_dir, state, step=step, time=time.time(), attempt=1, job=None, node=None)


def plan(sweep: Path, configs: dict[str, RunConfig]) -> None:
    runs = [
        {
            "index": i,
            "run_id": name,
            "folder": f"elsewhere/s/{name}",
            "overrides": [f"acquisition={c.acquisition.name}", f"seed={c.seed}", "steps=20"],
        }
        for i, (name, c) in enumerate(configs.items())
    ]
    (sweep / "sweep.json").write_text(json.dumps({"version": 1, "name": "s", "runs": runs}))


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    code = cli.call(["ledger", *map(str, arguments)])
    printed = capsys.readouterr()
    return code, printed.out + printed.err


def values(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:  # noqa: ANN401
    return json.loads(call(capsys, *arguments, "--json")[1])


def test_the_spend_of_a_sweep_is_shown_per_run_per_policy_and_over_time(
    sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = call(capsys, "show", sweep)
    assert code == 0
    assert [" ".join(line.split()) for line in text.splitlines()] == [
        "4 runs, 1 with no ledger yet: 8 labels bought for 8",
        "",
        "run settings status steps bought allowed void cost open",
        "a1 acquisition=random seed=1 running 20/20 3 140 1 3 0",
        "a2 acquisition=random seed=2 stopped 6/20 1 42 0 1 0",
        "b1 acquisition=entropy seed=1 done 11/20 4 5 0 4 1",
        "c1 acquisition=none seed=1 planned",
        "",
        "policy runs labels cost labels/run",
        "entropy budget=0.2 1 4 4 4.0",
        "random budget=0.1 2 4 4 2.0",
        "",
        "labels bought until step",
        "policy 2 4 6 8 10 12 14 16 18 20",
        "entropy budget=0.2 0 0 0 0 4 4 4 4 4 4",
        "random budget=0.1 2 2 3 3 3 3 3 3 3 4",
    ]


def test_the_same_comes_as_json(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = values(capsys, "show", sweep)
    assert (shown["labels_bought"], shown["cost"], shown["foreign"]) == (8, 8.0, [])
    assert [run["run_id"] for run in shown["runs"]] == ["a1", "a2", "b1", "c1"]
    first, last = shown["runs"][0], shown["runs"][-1]
    assert first["overrides"] == ["acquisition=random", "seed=1"]
    assert first["by_step"] == {"1": 2, "20": 1}
    assert (first["allowed"], first["void"], first["open_intents"]) == (140, 1, 0)
    assert (last["status"], last["error"]) == ("planned", None)
    assert shown["policies"][1] == {
        "acquisition": "random",
        "budget": 0.1,
        "runs": 2,
        "labels": 4,
        "cost": 4.0,
        "labels_per_run": 2.0,
    }
    assert shown["over_time"]["steps"] == [2, 4, 6, 8, 10, 12, 14, 16, 18, 20]


def test_a_sweep_is_proved_run_by_run(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (sweep / "b1/summary.json").write_text('{"labels_bought": 4}')
    code, text = call(capsys, "verify", sweep)
    assert code == 0
    assert text.splitlines() == [
        "a1: valid: 6 lines, 3 labels for 3",
        "a2: valid: 2 lines, 1 labels for 1",
        "b1: valid: 6 lines, 4 labels for 4, 1 open intents",
        "c1: planned, no ledger yet",
        "4 runs, 3 valid, 1 with no ledger yet: 8 labels bought for 8",
    ]
    proved = values(capsys, "verify", sweep)
    assert proved["valid"] is True
    assert [run["valid"] for run in proved["runs"]] == [True, True, True, None]


def test_one_wrong_run_fails_the_sweep_after_all_others_were_proved(
    sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = sweep / "a1/ledger/1.jsonl"
    path.write_bytes(path.read_bytes().replace(b"is p0", b"is p9"))
    with (sweep / "a2/ledger/1.jsonl").open("a") as file:
        file.write('{"torn')
    code, text = call(capsys, "verify", sweep)
    assert code == 1
    lines = text.splitlines()
    assert lines[0].startswith("a1: WRONG: ")
    assert "a1/ledger/1.jsonl:2: the hash does not match" in lines[0]
    assert lines[1:] == [
        "a2: valid: 2 lines, 1 labels for 1",
        "  ledger/1.jsonl: its last line is torn, 6 bytes are dropped",
        "b1: valid: 6 lines, 4 labels for 4, 1 open intents",
        "c1: planned, no ledger yet",
        "4 runs, 2 valid, 1 wrong, their labels are not counted here, 1 with no ledger yet: "
        "5 labels bought for 5",
    ]
    proved = values(capsys, "verify", sweep)
    assert proved["valid"] is False
    assert [run["valid"] for run in proved["runs"]] == [False, True, True, None]
    code, text = call(capsys, "show", sweep)
    assert code == 0
    assert "a1  running, cannot be counted: " in text


def test_runs_are_found_below_any_folder_and_strangers_are_named(
    sweep: Path,
    configs: dict[str, RunConfig],
    capsys: pytest.CaptureFixture[str],
) -> None:
    runs = sweep.parent
    write_run(runs / "lone", configs["a1"], {1: ["p0"]})
    (runs / "notes/deep").mkdir(parents=True)
    (runs / ".hidden/x").mkdir(parents=True)
    (sweep / "logs").mkdir()
    (runs / "again").symlink_to(sweep)
    (runs / "s/loop").symlink_to(runs)
    code, text = call(capsys, "verify", runs)
    assert code == 0
    assert [line.split(": ")[0] for line in text.splitlines()] == [
        "lone",
        "s/a1",
        "s/a2",
        "s/b1",
        "s/c1",
        "notes",
        "s/logs",
        "5 runs, 4 valid, 1 with no ledger yet",
    ]
    assert "notes: foreign: no run of its own is in it" in text
    assert " acquisition=random budget=0.1 seed=1 " in call(capsys, "show", runs)[1]


@pytest.mark.parametrize(
    ("damage", "named", "wrong"),
    [
        (lambda s: (s / "a1/config.yaml").unlink(), "a1: WRONG: holds a run's record but no", 1),
        (lambda s: (s / "a1/config.yaml").write_text("- 1"), "a1: WRONG: ", 1),
        (lambda s: (s / "a1/config.yaml").write_bytes(b"\xff"), "a1: WRONG: ", 1),
        (lambda s: (s / "a1/attempts/2.json").write_text("{"), "attempts/2.json: not an", 1),
        (lambda s: (s / "a1/attempts/1.json").unlink(), "have a gap", 1),
        (lambda s: (s / "sweep.json").write_text("{"), "sweep.json: WRONG: cannot be used as", 1),
        (lambda s: (s / "sweep.json").write_text('{"version":2}'), "version 2 is not 1", 1),
        (lambda s: (s / "sweep.json").write_text("[" * 99_999), "sweep.json: WRONG", 1),
        (lambda s: (s / "sweep.json").write_bytes(b"\xff"), "sweep.json: WRONG", 1),
        (
            lambda s: (s / "sweep.json").write_text(
                '{"version":1,"runs":[{"folder":"..","run_id":"x","overrides":[]}]}'
            ),
            "run 0 names no folder: '..'",
            1,
        ),
        (
            lambda s: (s / "sweep.json").write_text(
                '{"version":1,"runs":[{"folder":7,"run_id":"x","overrides":[]}]}'
            ),
            "run 0 has a folder, run_id or override that is not text",
            1,
        ),
    ],
)
def test_damage_to_one_thing_is_told_and_the_rest_is_proved(
    damage: Any,  # noqa: ANN401
    named: str,
    wrong: int,
    sweep: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damage(sweep)
    code, text = call(capsys, "verify", sweep)
    assert code == 1
    assert named in text
    assert text.count("WRONG") == wrong
    assert "b1: valid" in text
    code, text = call(capsys, "show", sweep)
    assert code == 0
    assert text.count("cannot be counted") == wrong


@pytest.mark.parametrize("status", ["", "[]", '{"state":1,"step":1}', '{"state":"x","step":null}'])
def test_a_run_whose_heartbeat_cannot_be_used_is_counted_all_the_same(
    status: str, sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (sweep / "a1/status.json").write_text(status)
    [run, *_] = values(capsys, "show", sweep)["runs"]
    assert (run["status"], run["step"], run["bought"]) == ("running", 20, 3), "by its process"


def test_a_folder_made_but_not_begun_is_planned(
    sweep: Path,
    configs: dict[str, RunConfig],
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_run(sweep / "c1", configs["c1"])
    [*_, run] = values(capsys, "show", sweep)["runs"]
    assert (run["status"], run["step"], run["bought"]) == ("planned", 0, 0)
    text = call(capsys, "verify", sweep)[1]
    assert text.splitlines()[-2:] == [
        "c1: planned, no ledger yet",
        "4 runs, 3 valid, 1 with no ledger yet: 8 labels bought for 8",
    ]


def test_a_zombies_orphans_are_told_below_its_run(
    sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zombie = Worker(sweep / "a2")
    Worker(sweep / "a2")
    zombie.stalled = True
    zombie.buy(7, "p8", "p9")
    code, text = call(capsys, "verify", sweep)
    assert code == 0
    lines = text.splitlines()
    at = lines.index("a2: valid: 2 lines, 1 labels for 1")
    assert lines[at + 1].startswith("  ledger/2.jsonl: orphans: 3 lines, 2 labels for 2 behind")
    assert lines[at + 2].startswith("  metrics/2.jsonl: orphans: 1 lines behind the seal")
    [_, run, *_] = values(capsys, "verify", sweep)["runs"]
    assert [(left["file"], left["why"], left["labels"]) for left in run["uncounted_lines"]] == [
        ("ledger/2.jsonl", "late", 2),
        ("metrics/2.jsonl", "late", 0),
    ]


@pytest.mark.parametrize("verb", ["show", "verify"])
def test_a_folder_without_runs_is_the_users_mistake(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path, tmp_path / "nowhere"):
        code, text = call(capsys, verb, folder)
        assert code == 2
        assert "is not a run's folder" in text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("runs", "bar"), [(4, False), (5, True)])
def test_more_than_a_few_runs_are_read_under_a_progress_bar(
    runs: int,
    bar: bool,
    sweep: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for number in range(runs - 4):
        shutil.copytree(sweep / "b1", sweep / f"more{number}")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    code, text = call(capsys, "show", sweep)
    assert code == 0
    assert "run/s" not in text
    assert bool(terminal.getvalue()) is bar


def spend(acquisition: str, step: int, by_step: dict[int, int]) -> SpendEntry:
    bought = sum(by_step.values())
    run = RunSpend(
        acquisition=acquisition,
        budget=0.2,
        seed=1,
        status=State.done,
        step=step,
        steps=step,
        bought=bought,
        allowed=bought,
        void=0,
        cost=float(bought),
        open_intents=0,
        lines=0,
        by_step=by_step,
    )
    return SpendEntry(found=FoundFolder(folder=Path(), name=acquisition), spend=run)


@pytest.mark.parametrize(
    ("last", "steps"),
    [
        (0, ()),
        (1, (1,)),
        (4, (1, 2, 3, 4)),
        (10, tuple(range(1, 11))),
        (15, (2, 3, 5, 6, 8, 9, 11, 12, 14, 15)),
        (150, tuple(range(15, 151, 15))),
    ],
)
def test_the_steps_of_a_report_are_ten_or_fewer_and_end_at_the_last(
    last: int, steps: Sequence[int]
) -> None:
    assert report_steps([spend("a", last, {}), spend("b", last // 2, {})]) == steps


def test_a_policys_labels_add_up_over_its_runs() -> None:
    entries = [spend("b", 4, {1: 2, 4: 1}), spend("a", 2, {2: 5}), spend("b", 2, {1: 1, 2: 1})]
    a, b = by_policy(entries, [1, 2, 4])
    assert (a.acquisition, a.runs, a.labels, a.mean, a.by_step) == ("a", 1, 5, 5.0, (0, 5, 5))
    assert (b.acquisition, b.runs, b.labels, b.mean, b.by_step) == ("b", 2, 5, 2.5, (3, 4, 5))


def test_a_plans_runs_come_in_its_order_with_what_tells_them_apart(sweep: Path) -> None:
    found = find_runs(sweep)
    assert [(run.name, run.overrides, run.started) for run in found] == [
        ("a1", ("acquisition=random", "seed=1"), True),
        ("a2", ("acquisition=random", "seed=2"), True),
        ("b1", ("acquisition=entropy", "seed=1"), True),
        ("c1", ("acquisition=none", "seed=1"), False),
    ]
