from __future__ import annotations

import json
import shlex
import shutil
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from rlavr_hpc.commands import labels
from rlavr_hpc.config.labels import Ask, LabelsConfig
from rlavr_hpc.errors import UserError
from rlavr_hpc.io import canonical_json, make_folder
from rlavr_hpc.labels.bank import Bank
from rlavr_hpc.labels.line_files import MAX_LINE, LinesOut
from rlavr_hpc.labels.mailbox import ANSWERS, CLAIMS, ORDERS, AnswersIn
from rlavr_hpc.labels.orders import Answer, Order
from rlavr_hpc.labels.sent import ANSWERED, FAILED, CallLog, CallsIn
from rlavr_hpc.labels.served_run import ServedRun
from rlavr_hpc.labels.sources.command import LONGEST_PAUSE, CommandSource
from rlavr_hpc.types import Message

PROGRAM = """
import json, sys
for line in sys.stdin:
    order = json.loads(line)
    open(sys.argv[1], "a").write(order["key"] + "\\n")
    print(json.dumps({"key": order["key"], "answer": "7"}))
"""


def order(key: str = "k") -> Order:
    question = (Message(role="user", content="?"),)
    return Order(key=key, prompt_id="p", messages=question, ask=Ask.answer, task="math", price=2.0)


def log(folder: Path, name: str, *, try_seconds: float = 60.0) -> CallLog:
    return CallLog(folder, name, try_seconds=try_seconds)


def test_of_two_bridges_one_makes_the_call(tmp_path: Path) -> None:
    first, second = log(tmp_path, "1"), log(tmp_path, "2")
    assert [number for _, number in first.claim([order()])] == [1]
    second.known.look()
    assert second.claim([order()]) == []
    first.ended("k", 1, ANSWERED, cost=0.5)
    assert first.known.calls["k"].cost == 0.5


def test_a_call_whose_caller_died_is_made_again_and_both_are_paid(tmp_path: Path) -> None:
    log(tmp_path, "1").claim([order()])
    claim = tmp_path / CLAIMS / "k.1"
    claim.write_text(canonical_json({**json.loads(claim.read_text()), "start_ticks": 1}))
    again = log(tmp_path, "2")
    assert [number for _, number in again.claim([order()])] == [2]
    again.ended("k", 2, ANSWERED, cost=0.5)
    calls = CallsIn(tmp_path)
    calls.look()
    assert calls.calls["k"].cost == 2.5, "the end of the first is not known"


def test_a_call_of_another_host_is_over_after_its_time(tmp_path: Path) -> None:
    make_folder(tmp_path / CLAIMS)
    far = {"host": "elsewhere", "pid": 1, "start_ticks": 1, "boot_id": "b", "at": 0.0}
    (tmp_path / CLAIMS / "k.1").write_text(canonical_json(far))
    LinesOut(tmp_path / "labels/sent", "1").append(
        [{"key": "k", "try": 1, "price": 2.0, "at": 0.0}]
    )
    assert [number for _, number in log(tmp_path, "2").claim([order()])] == [2]
    assert log(tmp_path, "3", try_seconds=1e12).claim([order("other")]) != []


def served(run_dir: Path, bank: Path | None, program: Path, said: list[str]) -> ServedRun:
    LinesOut(run_dir / ORDERS, "1").append([order().to_row()])
    command = shlex.join([sys.executable, str(program), str(program.with_suffix(".asked"))])
    return ServedRun(
        run_dir=run_dir,
        config=LabelsConfig(name="command", command=command, bank=str(bank) if bank else None),
        source=CommandSource(command=command),
        say=said.append,
        start="1",
    )


@pytest.mark.parametrize(("banked", "asked"), [(True, 1), (False, 2)])
def test_runs_with_a_bank_ask_once_and_are_charged_as_if_alone(
    tmp_path: Path, *, banked: bool, asked: int
) -> None:
    program, said = tmp_path / "answer.py", list[str]()
    program.write_text(PROGRAM)
    bank = tmp_path / "bank" if banked else None
    runs = [served(tmp_path / name, bank, program, said) for name in ("a", "b")]
    for run in runs:
        assert run.look() == 1
        assert run.look() == 0
    assert program.with_suffix(".asked").read_text().split() == ["k"] * asked
    for name in ("a", "b"):
        answers = AnswersIn(tmp_path / name)
        answers.look()
        assert (answers.first["k"].answer, answers.first["k"].cost) == ("7", 2.0)
    if bank is not None:
        assert Bank(bank, "look").spent() == 2.0


def test_job_and_bridge_mean_the_same_bank_wherever_they_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written = LabelsConfig(name="people", bank="study/bank").bank
    monkeypatch.chdir("/")
    assert LabelsConfig(name="people", bank=written).bank == str(tmp_path / "study/bank")


def test_a_void_answer_in_the_bank_is_no_answer_for_another_run(tmp_path: Path) -> None:
    bank = Bank(tmp_path, "1")
    bank.put(Answer(key="k", void="cannot say"))
    bank.look()
    assert bank.answers == {}


def test_a_failing_program_stops_being_asked_and_its_orders_become_void_at_the_deadline(
    tmp_path: Path,
) -> None:
    said = list[str]()
    program = tmp_path / "answer.py"
    program.write_text("import sys; sys.exit('no \\x1b[2J network')")
    run = served(tmp_path / "a", None, program, said)
    run.config.max_failures, run.config.deadline = 2, 0.0
    assert run.look() == 1
    answers = AnswersIn(tmp_path / "a")
    answers.look()
    assert answers.first["k"].answer is None
    assert "labels.deadline" in (answers.first["k"].void or "")
    assert not any("\x1b" in text for text in said)


def test_a_program_that_is_silent_or_drips_ends_at_its_time_with_all_that_it_started(
    tmp_path: Path,
) -> None:
    program, alive = tmp_path / "answer.py", tmp_path / "alive"
    program.write_text(
        "import subprocess, sys, time\n"
        f"subprocess.Popen(['sh', '-c', 'while :; do touch {alive}; sleep 0.05; done'])\n"
        "while True: print(' ', flush=True); time.sleep(0.05)\n"
    )
    said = list[str]()
    run = served(tmp_path / "a", None, program, said)
    run.source = CommandSource(command=run.config.command, timeout=1.0)
    assert run.look() == 0
    assert "was stopped after labels.timeout=1 s (1 in a row)" in said[0]
    assert [one.key for one in run.open] == ["k"], "it is asked again, and is no wrong answer"
    time.sleep(0.2)
    alive.unlink()
    time.sleep(0.3)
    assert not alive.exists()


def test_a_copy_of_a_run_asks_nothing_that_was_asked_before_it_was_made(tmp_path: Path) -> None:
    program = tmp_path / "answer.py"
    program.write_text(PROGRAM)
    assert served(tmp_path / "a", None, program, []).look() == 1
    copied = Path(shutil.copytree(tmp_path / "a", tmp_path / "copy"))
    (copied / ORDERS / "1.jsonl").unlink()
    assert served(copied, None, program, []).look() == 0
    assert program.with_suffix(".asked").read_text().split() == ["k"]
    in_flight = log(tmp_path / "b", "1")
    in_flight.claim([order()])
    shutil.copytree(tmp_path / "b", tmp_path / "b-copy")
    assert log(tmp_path / "b-copy", "2").claim([order()]) == [], "the caller lives"


def test_an_order_that_a_program_leaves_out_is_offered_more_and_more_seldom(
    tmp_path: Path,
) -> None:
    program, now = tmp_path / "answer.py", [0.0]
    program.write_text(PROGRAM.replace("print(", "("))
    run = served(tmp_path / "a", None, program, [])
    run.source = CommandSource(command=run.config.command, clock=lambda: now[0])
    asked = program.with_suffix(".asked")
    calls = []
    for now[0] in (0.0, 0.05, 0.11, 0.2, 0.35, 1000.0, 1299.0):
        run.look()
        calls.append(len(asked.read_text().split()))
    assert calls == [1, 1, 2, 2, 3, 4, 5]
    run.source._pauses["k"] = 1e9
    now[0] = 2000.0
    run.look()
    now[0] += LONGEST_PAUSE
    run.look()
    assert len(asked.read_text().split()) == 7


def test_the_config_of_a_run_is_read_once_however_often_runs_are_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def config_of(run_dir: Path) -> SimpleNamespace:
        read.append(run_dir.name)
        if run_dir.name == "broken":
            raise UserError("cannot be read")
        return SimpleNamespace(labels=LabelsConfig(name=run_dir.name))

    monkeypatch.setattr(labels, "read_config", config_of)
    for name in ("people", "dataset", "broken"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text("version: 1\n")
    find = labels.LiveRuns(tmp_path)
    assert [run.run_dir.name for run in find()] == ["people"]
    assert list(find()) == []
    assert sorted(read) == ["broken", "broken", "dataset", "people"]


def test_a_missing_program_stops_the_source_and_loses_no_order(tmp_path: Path) -> None:
    said = list[str]()
    run = served(tmp_path / "a", None, tmp_path / "answer.py", said)
    run.source = CommandSource(command=str(tmp_path / "nothing"))
    assert run.look() == 0
    assert "cannot be started" in run.stopped
    assert [one.key for one in run.open] == ["k"]
    assert not (tmp_path / "a" / ANSWERS).exists()


def test_an_answer_that_another_bridge_has_and_has_not_written_yet_is_not_asked_for_again(
    tmp_path: Path,
) -> None:
    first, second = log(tmp_path, "1"), log(tmp_path, "2")
    first.claim([order()])
    first.ended("k", 1, ANSWERED, cost=0.5)
    claim = tmp_path / CLAIMS / "k.1"
    far = {"host": "elsewhere", "pid": 1, "start_ticks": 1, "boot_id": "b", "at": time.time()}
    claim.write_text(canonical_json(far))
    second.known.look()
    assert second.claim([order()]) == []
    claim.write_text(canonical_json({**far, "at": time.time() - 61}))
    assert [number for _, number in second.claim([order()])] == [2], "it died before it wrote it"


def test_an_order_is_not_void_at_the_deadline_while_a_call_is_in_flight(tmp_path: Path) -> None:
    program = tmp_path / "answer.py"
    program.write_text("import sys; sys.exit('no network')")
    run = served(tmp_path / "a", None, program, [])
    run.config.deadline = 0.0
    other = log(tmp_path / "a", "other")
    other.claim([order()])
    other.ended("k", 1, f"{FAILED}no network", cost=0.0)
    other.claim([order()])
    assert run.look() == 0
    other.ended("k", 2, f"{FAILED}no network", cost=0.0)
    assert run.look() == 1


def test_lines_of_rubbish_are_a_failure_told_once_with_their_count_and_end_like_any(
    tmp_path: Path,
) -> None:
    program, now, said = tmp_path / "answer.py", [0.0], list[str]()
    program.write_text(
        "import sys\n"
        f"open({str(program.with_suffix('.asked'))!r}, 'a').write('k ')\n"
        "print('It \\x1b[2J is 7.\\n' * 5)\n"
    )
    run = served(tmp_path / "a", None, program, said)
    run.config.max_failures, run.source = (
        3,
        CommandSource(command=run.config.command, clock=lambda: now[0]),
    )
    for now[0] in (0.0, 0.05, 10.0, 20.0, 30.0):
        run.look()
    assert program.with_suffix(".asked").read_text().split() == ["k"] * 3
    assert said[0] == (
        "a: labels.command wrote 6 lines that cannot count; line 1: not JSON: 'It [2J is 7.'; "
        "nothing that it wrote is an answer (1 in a row)"
    )
    assert len(said) == 2
    assert "3 failures in a row" in run.stopped
    assert [one.key for one in run.open] == ["k"]


def test_a_line_that_is_too_long_is_told_once_with_the_limit_and_answers_beside_it_count(
    tmp_path: Path,
) -> None:
    program, said = tmp_path / "answer.py", list[str]()
    program.write_text(
        PROGRAM
        + f"print(json.dumps({{'key': 'k', 'answer': '7' * {MAX_LINE}}}))\nprint('and so on')\n"
    )
    run = served(tmp_path / "a", None, program, said)
    assert run.look() == 1
    LinesOut(tmp_path / "a" / ORDERS, "2").append([order("second").to_row()])
    assert run.look() == 1
    [told] = [line for line in said if "labels.command wrote" in line]
    assert "2 lines that cannot count; line 2: a line of 10" in told
    assert f"at most {MAX_LINE} are read" in told
