from __future__ import annotations

import json
from pathlib import Path

import pytest

from rlavr_hpc.errors import FencedError, RlavrError
from rlavr_hpc.io import LineWriter, make_folder
from rlavr_hpc.runs.attempts import VERSION, accepted_lines, check_fence, read_attempts, segment
from tests.support.attempts import begin_attempt


def write(run_dir: Path, attempt: int, *values: int) -> LineWriter:
    make_folder(run_dir / "metrics")
    writer = LineWriter(segment(run_dir, "metrics", attempt))
    writer.append([{"n": value} for value in values])
    return writer


def accepted(run_dir: Path) -> list[int]:
    return [line.row["n"] for _, _, line in accepted_lines(run_dir, "metrics")]


def test_attempts_are_numbered_from_one(tmp_path: Path) -> None:
    first, second = begin_attempt(tmp_path, resumed_from=0), begin_attempt(tmp_path, resumed_from=7)
    assert (first.number, second.number, second.resumed_from) == (1, 2, 7)
    assert [a.number for a in read_attempts(tmp_path)] == [1, 2]


def test_what_a_zombie_writes_after_its_successor_began_does_not_count(tmp_path: Path) -> None:
    begin_attempt(tmp_path, resumed_from=0)
    zombie = write(tmp_path, 1, 10, 11)
    begin_attempt(tmp_path, resumed_from=0)
    zombie.append([{"n": 99}])
    write(tmp_path, 2, 20)
    assert accepted(tmp_path) == [10, 11, 20]


def test_a_torn_line_is_sealed_away(tmp_path: Path) -> None:
    begin_attempt(tmp_path, resumed_from=0)
    write(tmp_path, 1, 10)
    with segment(tmp_path, "metrics", 1).open("ab") as file:
        file.write(b'{"n":1')
    begin_attempt(tmp_path, resumed_from=0)
    with segment(tmp_path, "metrics", 1).open("ab") as file:
        file.write(b"1}\n")
    assert accepted(tmp_path) == [10]


def test_an_edit_before_the_seal_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    begin_attempt(tmp_path, resumed_from=0)
    write(tmp_path, 1, 10)
    begin_attempt(tmp_path, resumed_from=0)
    segment(tmp_path, "metrics", 1).write_text('{"n":77}\n')
    with pytest.raises(RlavrError, match=r"metrics/1\.jsonl"):
        accepted(tmp_path)


def test_a_superseded_attempt_is_fenced_off(tmp_path: Path) -> None:
    first = begin_attempt(tmp_path, resumed_from=0)
    check_fence(tmp_path, first)
    begin_attempt(tmp_path, resumed_from=0)
    with pytest.raises(FencedError, match="attempt 1 was superseded"):
        check_fence(tmp_path, first)


def test_a_missing_token_is_an_error(tmp_path: Path) -> None:
    begin_attempt(tmp_path, resumed_from=0)
    begin_attempt(tmp_path, resumed_from=0)
    (tmp_path / "attempts/1.json").unlink()
    with pytest.raises(RlavrError, match="gap"):
        read_attempts(tmp_path)


def test_a_token_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    begin_attempt(tmp_path, resumed_from=0)
    token = tmp_path / "attempts/1.json"
    token.write_text(json.dumps({**json.loads(token.read_text()), "version": VERSION + 1}))
    with pytest.raises(RlavrError, match="newer version"):
        read_attempts(tmp_path)
