from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rlavr_hpc.labels.line_files import LineFollower, LinesOut
from rlavr_hpc.labels.mailbox import ANSWERS, ORDERS, AnswersIn, OrdersIn


def line(key: str) -> bytes:
    return json.dumps({"key": key, "answer": "1"}).encode() + b"\n"


def keys(follower: LineFollower) -> list[str]:
    return [row["key"] for _, row in follower.look()]


def test_each_look_continues_behind_the_last_and_a_torn_line_waits_for_its_end(
    tmp_path: Path,
) -> None:
    path, follower = tmp_path / "1.jsonl", LineFollower(tmp_path)
    assert keys(follower) == []
    path.write_bytes(line("a") + line("b")[:9])
    assert keys(follower) == ["a"]
    path.write_bytes(line("a") + line("b") + line("c"))
    assert keys(follower) == ["b", "c"]
    assert keys(follower) == []


def test_files_are_read_in_the_order_of_their_starts(tmp_path: Path) -> None:
    for name in ("0002-host-1", "0001-other-9"):
        LinesOut(tmp_path, name).append([{"key": name}])
    assert keys(LineFollower(tmp_path)) == ["0001-other-9", "0002-host-1"]


def test_nuls_may_still_become_a_line(tmp_path: Path) -> None:
    path, follower = tmp_path / "1.jsonl", LineFollower(tmp_path)
    hole = b"\0" * len(line("b")[:-1]) + b"\n"
    path.write_bytes(line("a") + hole + line("c"))
    assert keys(follower) == ["a"], "the bytes of another host are not there yet"
    path.write_bytes(line("a") + line("b") + line("c"))
    assert keys(follower) == ["b", "c"]


def test_nuls_that_stay_are_told_and_what_follows_them_counts(tmp_path: Path) -> None:
    follower = LineFollower(tmp_path, nul_seconds=0.0)
    (tmp_path / "1.jsonl").write_bytes(line("a") + b"\0\0\0\n" + line("c"))
    assert keys(follower) == ["a", "c"]
    assert [refused.why for refused in follower.refused] == ["NUL bytes"]


def test_a_block_that_stands_twice_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / ANSWERS).mkdir(parents=True)
    (tmp_path / ANSWERS / "1.jsonl").write_bytes((line("a") + line("b")) * 2)
    answers = AnswersIn(tmp_path)
    answers.look()
    assert (set(answers.first), len(answers.refused)) == ({"a", "b"}, 0)


def test_an_order_that_was_withdrawn_is_known_as_such(tmp_path: Path) -> None:
    order = {
        "key": "k",
        "prompt_id": "p",
        "messages": [{"role": "user", "content": "?"}],
        "ask": "answer",
        "task": "math",
        "price": 1.0,
    }
    LinesOut(tmp_path / ORDERS, "1").append([order, {"key": "k", "withdrawn": True}, {"key": 3}])
    orders = OrdersIn(tmp_path)
    assert [one.key for one in orders.look()] == ["k"]
    assert (orders.withdrawn, len(orders.refused)) == ({"k"}, 1)


def test_a_file_that_is_deleted_under_its_writer_is_made_anew_with_all_its_lines(
    tmp_path: Path,
) -> None:
    told: list[str] = []
    folder, follower = tmp_path / "lines", LineFollower(tmp_path / "lines")
    out = LinesOut(folder, "1", tell=told.append)
    out.append([{"key": "a"}, {"key": "b"}])
    assert keys(follower) == ["a", "b"]
    (folder / "1.jsonl").unlink()
    out.append([{"key": "c"}])
    assert keys(follower) == keys(LineFollower(folder)) == ["a", "b", "c"]
    assert [line.count("1.jsonl WAS DELETED") for line in told] == [1]
    shutil.rmtree(folder)
    out.restore()
    assert keys(LineFollower(folder)) == ["a", "b", "c"]


def test_nothing_is_written_for_a_run_that_was_deleted(tmp_path: Path) -> None:
    out = LinesOut(tmp_path / "run" / ANSWERS, "1")
    out.append([{"key": "a"}])
    shutil.rmtree(tmp_path / "run")
    with pytest.raises(FileNotFoundError):
        out.append([{"key": "b"}])
    assert not (tmp_path / "run").exists()


def test_two_writers_of_one_name_have_a_file_each(tmp_path: Path) -> None:
    one, two = LinesOut(tmp_path, "1"), LinesOut(tmp_path, "1")
    for key, out in (("a", one), ("b", two), ("c", one)):
        out.append([{"key": key}])
    assert keys(LineFollower(tmp_path)) == ["a", "c", "b"]
