from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rlavr_hpc.io import LineWriter, make_folder, publish_once, read_lines, write_atomic


def rows(path: Path) -> list[dict[str, Any]]:
    return [line.row for line in read_lines(path)]


def test_appended_rows_are_read_back_in_order(tmp_path: Path) -> None:
    writer = LineWriter(tmp_path / "a.jsonl")
    writer.append([{"n": 1}, {"n": 2}])
    writer.append([{"n": 3, "text": "lone \ud800 surrogate"}])
    assert [row["n"] for row in rows(tmp_path / "a.jsonl")] == [1, 2, 3]


def test_a_segment_has_one_writer_for_its_whole_life(tmp_path: Path) -> None:
    LineWriter(tmp_path / "a.jsonl")
    with pytest.raises(FileExistsError):
        LineWriter(tmp_path / "a.jsonl")


def test_a_file_is_continued_behind_its_last_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n":1}\n{"n":2}\n{"n":3')
    *_, last = read_lines(path)
    LineWriter(path, keep=last.end).append([{"n": 4}])
    assert [row["n"] for row in rows(path)] == [1, 2, 4]


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n":1}\n{"n":2}\n{"n":3')
    assert [row["n"] for row in rows(path)] == [1, 2]


def test_a_line_that_its_writer_ends_meanwhile_is_left_out_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Growing(io.BytesIO):
        """Gives the torn line first, and its rest afterwards."""

        def __iter__(self) -> Iterator[bytes]:
            return iter([b'{"a":1}\n', b'{"b"', b":2}\n"])

    path = tmp_path / "rows.jsonl"
    path.touch()
    monkeypatch.setattr(Path, "open", lambda *_: Growing())
    assert [line.row for line in read_lines(path)] == [{"a": 1}]


def test_a_damaged_complete_line_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n":1}\n{"n":\n{"n":3}\n')
    with pytest.raises(ValueError, match=r"a\.jsonl:2"):
        rows(path)


def test_reading_stops_at_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n":1}\n{"n":2}\n')
    assert [line.row["n"] for line in read_lines(path, limit=8)] == [1]


def test_a_failed_append_leaves_no_half_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = LineWriter(tmp_path / "a.jsonl")
    writer.append([{"n": 1}])
    real_write = os.write

    def write_a_little_then_fail(descriptor: int, data: bytes) -> int:
        if len(data) > 4:
            return real_write(descriptor, data[:4])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", write_a_little_then_fail)
    with pytest.raises(OSError, match="No space"):
        writer.append([{"n": 2}])
    monkeypatch.undo()
    writer.append([{"n": 3}])
    assert [row["n"] for row in rows(tmp_path / "a.jsonl")] == [1, 3]


def test_publishing_twice_succeeds_for_one(tmp_path: Path) -> None:
    assert publish_once(tmp_path / "t", "mine")
    assert not publish_once(tmp_path / "t", "theirs")
    assert (tmp_path / "t").read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["t"]


def test_replacing_a_file_leaves_no_other_behind(tmp_path: Path) -> None:
    write_atomic(tmp_path / "s", "one")
    write_atomic(tmp_path / "s", "two")
    assert (tmp_path / "s").read_text() == "two"
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


def test_folders_are_private_to_user_and_group(tmp_path: Path) -> None:
    made = make_folder(tmp_path / "a" / "b")
    assert [p.stat().st_mode & 0o777 for p in (made, made.parent)] == [0o750, 0o750]
