"""Whatever happens to a ledger's files, `verify` says so in one line that names the place."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlavr_hpc import cli
from rlavr_hpc.acquisition.ledger import Ledger
from rlavr_hpc.acquisition.purchase_history import Purchase
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.errors import LedgerError, RlavrError
from rlavr_hpc.spending.uncounted_lines import UncountedReason
from rlavr_hpc.spending.verify_ledger import prove
from tests.support.configs import composed
from tests.support.groups import PLACE
from tests.support.ledgers import Worker, write_run

Lines = list[bytes]
Edit = Callable[[Lines], Iterable[bytes]]


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return composed()


@pytest.fixture(scope="module")
def good(config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.jsonl: lines 1 to 5, sealed; 2.jsonl: lines 1 to 3, of the attempt that goes on."""
    folder = tmp_path_factory.mktemp("good") / "run"
    write_run(folder, config, {1: ["p0", "p1"], 2: ["void2"]}, {3: ["p\u00e4", "p4"]})
    return folder


@pytest.fixture
def run_dir(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "run"))


def verify(run_dir: Path) -> int:
    return cli.call(["ledger", "verify", str(run_dir)])


def replaced(number: int, old: bytes, new: bytes) -> Edit:
    def edit(lines: Lines) -> Lines:
        assert old in lines[number - 1]
        return [x.replace(old, new, 1) if i == number else x for i, x in enumerate(lines, 1)]

    return edit


def relinked(number: int, **fields: object) -> Edit:
    """Other values in one line (... = none), and every hash made to fit again."""

    def edit(lines: Lines) -> Iterable[bytes]:
        head = "0" * 32
        for at, line in enumerate(lines, start=1):
            row = json.loads(line) | (fields if at == number else {})
            row = {name: row[name] for name in row if name != "hash" and row[name] is not ...}
            head = hashlib.sha256(f"{head}\n{spelt(row)}".encode()).hexdigest()[:32]
            yield f"{spelt(row | {'hash': head})}\n".encode()

    return edit


def spelt(row: dict[str, Any]) -> str:
    return json.dumps(row, sort_keys=True, separators=(",", ":"))


def flipped(number: int, offset: int) -> Edit:
    def edit(lines: Lines) -> Lines:
        line = bytearray(lines[number - 1])
        line[offset] ^= 0x10
        return [bytes(line) if i == number else x for i, x in enumerate(lines, 1)]

    return edit


ANYWHERE: dict[str, tuple[Edit, int]] = {
    "a bit flip": (flipped(2, 40), 2),
    "a missing line": (lambda x: [*x[:1], *x[2:]], 2),
    "a missing first line": (lambda x: x[1:], 1),
    "a missing last line": (lambda x: x[:-1], -1),
    "an edited label": (replaced(2, b'"label":"is p', b'"label":"is q'), 2),
    "an edited cost": (replaced(3, b'"cost":1.0', b'"cost":0.5'), 3),
    "a cost spelt otherwise": (replaced(3, b'"cost":1.0', b'"cost":1e0'), 3),
    "a space": (replaced(3, b'"cost":1.0', b'"cost": 1.0'), 3),
    "a duplicated line": (lambda x: [*x[:2], x[1], *x[2:]], 3),
    "a line moved": (lambda x: [x[0], x[2], x[1], *x[3:]], 2),
    "non-UTF-8 bytes": (replaced(2, b'"is p', b'"\xff\xfe p'), 2),
    "a NUL": (replaced(2, b'"is p', b'"\0s p'), 2),
    "a byte order mark": (replaced(2, b"{", b"\xef\xbb\xbf{"), 2),
    "a huge integer": (replaced(2, b'"step":', b'"step":' + b"9" * 5000), 2),
    "a large integer": (replaced(2, b'"step":', b'"step":' + b"9" * 400), 2),
    "a NaN": (replaced(2, b'"cost":1.0', b'"cost":NaN'), 2),
    "an infinity": (replaced(2, b'"cost":1.0', b'"cost":1e999'), 2),
    "a null field": (replaced(2, b'"cost":1.0', b'"cost":null'), 2),
    "a null sequence": (replaced(2, b'"seq":', b'"seq":null,"old":'), 2),
    "a null kind": (replaced(2, b'"kind":"commit"', b'"kind":null'), 2),
    "a list of kinds": (replaced(2, b'"kind":"commit"', b'"kind":["commit"]'), 2),
    "an array": (lambda x: [x[0], b"[1]\n", *x[2:]], 2),
    "a deep array": (lambda x: [x[0], b"[" * 99_999 + b"\n", *x[2:]], 2),
    "an empty line": (lambda x: [x[0], b"\n", *x[1:]], 2),
    "a line break in a line": (replaced(2, b',"cost"', b'\n,"cost"'), 2),
    "two lines made one": (replaced(2, b"\n", b" "), 2),
    "another version": (replaced(2, b'"v":1', b'"v":2'), 2),
}
"""Damages to any segment, and the line that the error names; -1 = the last."""
RELINKED: dict[str, tuple[Edit, int]] = {
    "no branch": (relinked(2, branch=...), 2),
    "a null branch": (relinked(2, branch=None), 2),
    "a step in words": (relinked(2, step="one"), 2),
    "a step that is true": (relinked(2, step=True), 2),
    "a negative step": (relinked(2, step=-1), 2),
    "a huge quota": (relinked(1, quota=10**400), 1),
    "a null quota": (relinked(1, quota=None), 1),
    "no prompts": (relinked(1, prompts=...), 1),
    "null prompts": (relinked(1, prompts=None), 1),
    "prompts as one text": (relinked(1, prompts="p0"), 1),
    "prompts that are lists": (relinked(1, prompts=[["p0"], ["p1"]]), 1),
    "no prompt": (relinked(2, prompt=...), 2),
    "a prompt that is a list": (relinked(2, prompt=["p0"]), 2),
    "no label": (relinked(2, label=...), 2),
    "a label that is a number": (relinked(2, label=3), 2),
    "a null label": (relinked(2, label=None), 2),
    "a null cost": (relinked(2, cost=None), 2),
    "a cost in words": (relinked(2, cost="much"), 2),
    "a huge cost": (relinked(2, cost=10**400), 2),
    "a negative cost": (relinked(2, cost=-1.0), 2),
    "a sequence with a fraction": (relinked(2, seq=1.5), 2),
    "more prompts than the quota": (relinked(1, quota=1), 1),
    "a prompt twice": (relinked(1, prompts=["p0", "p0"]), 1),
    "a purchase without intent": (relinked(2, prompt="p9"), 2),
    "a purchase made twice": (relinked(3, prompt="p0"), 3),
}
"""Lines that a wrong writer would have chained correctly, all in the first segment."""


def assert_named(run_dir: Path, where: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(run_dir) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert re.search(rf"{re.escape(where)}\b", printed.err), printed.err
    assert len(printed.err) < 1000


@pytest.mark.parametrize("segment", [1, 2])
@pytest.mark.parametrize("name", ANYWHERE)
def test_damage_is_one_error_that_names_file_and_line(
    name: str,
    segment: int,
    run_dir: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    edit, line = ANYWHERE[name]
    path = run_dir / f"ledger/{segment}.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(edit(lines)))
    number = len(lines) if line == -1 else line
    assert_named(run_dir, f"ledger/{segment}.jsonl:{number}", capsys)


@pytest.mark.parametrize("name", RELINKED)
def test_wrong_values_in_a_good_chain_are_one_error_that_names_file_and_line(
    name: str,
    run_dir: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    edit, line = RELINKED[name]
    path = run_dir / "ledger/1.jsonl"
    path.write_bytes(b"".join(edit(path.read_bytes().splitlines(keepends=True))))
    assert_named(run_dir, f"ledger/1.jsonl:{line}", capsys)


@pytest.mark.parametrize(
    ("segment", "keep", "line"),
    [(1, -1, 5), (1, -30, 5), (1, 0, 1), (1, None, 1), (2, 0, 1), (2, None, 1)],
)
def test_a_segment_cut_short_or_deleted_is_named_with_the_first_line_that_is_gone(
    segment: int,
    keep: int | None,
    line: int,
    run_dir: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = run_dir / f"ledger/{segment}.jsonl"
    data = path.read_bytes()
    path.unlink()
    if keep is not None:
        path.write_bytes(data[:keep])
    assert_named(run_dir, f"ledger/{segment}.jsonl:{line}", capsys)


def test_an_older_segment_that_lost_lines_no_metrics_tell_of_is_found_by_its_seal(
    run_dir: Path, config: RunConfig
) -> None:
    (run_dir / "ledger/2.jsonl").write_bytes(b"")
    (run_dir / "metrics/2.jsonl").write_bytes(b"")
    lines = (run_dir / "ledger/1.jsonl").read_bytes().splitlines(keepends=True)
    (run_dir / "ledger/1.jsonl").write_bytes(b"".join(lines[:-2]))
    (run_dir / "metrics/1.jsonl").unlink()
    with pytest.raises(RlavrError, match=r"1\.jsonl:4: \d+ bytes were sealed .* cut short"):
        prove(run_dir, config)


def test_a_deleted_segment_is_told_from_an_attempt_that_never_wrote(
    run_dir: Path, config: RunConfig
) -> None:
    (run_dir / "ledger/2.jsonl").unlink()
    with pytest.raises(LedgerError, match=r"2\.jsonl:1: is missing, although .*it was deleted"):
        prove(run_dir, config)
    (run_dir / "metrics/2.jsonl").unlink()
    assert prove(run_dir, config).ledger_state.bought == 2


def test_a_torn_last_line_is_dropped_and_mentioned(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (run_dir / "ledger/2.jsonl").open("ab") as file:
        file.write(b'{"branch":0,"co')
    assert verify(run_dir) == 0
    printed = capsys.readouterr().out
    assert "ledger/2.jsonl: its last line is torn, 15 bytes are dropped" in printed
    assert "valid: 8 lines" in printed


def test_a_torn_line_before_a_seal_is_no_orphan(run_dir: Path, config: RunConfig) -> None:
    with (run_dir / "ledger/2.jsonl").open("ab") as file:
        file.write(b'{"branch":0,"co')
    Worker(run_dir)
    [torn] = prove(run_dir, config).uncounted_lines
    assert (torn.why, torn.size, torn.lines) == (UncountedReason.torn, 15, 0)


def test_orphans_and_foreign_files_are_told_without_failing(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    late = b'{"kind":"commit","cost":2.5}\n{"kind":"commit","cost":null}\n[]\n{"kind":"void"}\nx\n'
    with (run_dir / "ledger/1.jsonl").open("ab") as file:
        file.write(late)
    shutil.copy(run_dir / "ledger/2.jsonl", run_dir / "ledger/9.jsonl")
    assert verify(run_dir) == 0
    printed = capsys.readouterr().out
    assert "ledger/1.jsonl: orphans: 5 lines, 2 labels for 2.5 behind the seal" in printed
    assert (
        "ledger/9.jsonl: foreign: no token in attempts/ names it; not counted: "
        "3 lines, 2 labels for 2"
    ) in printed
    assert "4 labels bought for 4, 1 void" in printed


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", '{"labels_bought":null}', '{"labels_bought":5}', "\udcff"]
)
def test_a_summary_that_tells_something_else_is_one_error(
    text: str,
    run_dir: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (run_dir / "DONE.json").write_text("{}")
    (run_dir / "summary.json").write_bytes(text.encode(errors="surrogateescape"))
    assert_named(run_dir, "summary.json", capsys)


def test_metrics_that_tell_of_more_labels_than_the_ledger_holds_are_an_error(
    run_dir: Path, config: RunConfig
) -> None:
    path = run_dir / "metrics/2.jsonl"
    path.write_text(path.read_text().replace('"labels/bought":2.0', '"labels/bought":3.0'))
    with pytest.raises(LedgerError, match=r"2\.jsonl:4: the metrics report 3\.0 labels in step 3"):
        prove(run_dir, config)


def test_metrics_that_cannot_be_read_are_a_remark(run_dir: Path, config: RunConfig) -> None:
    (run_dir / "metrics/2.jsonl").write_text('{"v":1,"step":null,"branch":0}\n')
    [remark] = prove(run_dir, config).remarks
    assert remark.startswith("not compared with the metrics: ")
    assert "2.jsonl:1" in remark


def test_a_file_that_cannot_be_read_is_one_error(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run_dir / "ledger/2.jsonl").unlink()
    (run_dir / "ledger/2.jsonl").mkdir()
    assert_named(run_dir, "ledger/2.jsonl", capsys)


def test_a_label_that_is_no_text_is_refused_before_it_is_written(tmp_path: Path) -> None:
    opened: Ledger = Worker(tmp_path).ledger
    opened.decide(PLACE, ["p0"], quota=1)
    with pytest.raises(LedgerError, match="step 1: label=7 cannot be right"):
        opened.commit(PLACE, {"p0": Purchase(answer=7, cost=1.0)})  # type: ignore[arg-type]
    assert (tmp_path / "ledger/1.jsonl").read_bytes().count(b"\n") == 1


def test_no_label_counts_whose_ledger_was_deleted_while_the_run_writes_it(tmp_path: Path) -> None:
    opened: Ledger = Worker(tmp_path).ledger
    opened.decide(PLACE, ["p0"], quota=1)
    (tmp_path / "ledger/1.jsonl").unlink()
    with pytest.raises(LedgerError, match=r"1\.jsonl was deleted while the run writes it"):
        opened.commit(PLACE, {"p0": Purchase(answer="7", cost=1.0)})
    assert opened.outcome(PLACE, "p0") is None


@settings(max_examples=300)
@given(
    segment=st.sampled_from([1, 2]),
    at=st.floats(0, 1, exclude_max=True),
    new=st.one_of(st.none(), st.integers(1, 255)),
)
def test_any_byte_changed_or_deleted_is_noticed(
    good: Path, config: RunConfig, segment: int, at: float, new: int | None
) -> None:
    path = good / f"ledger/{segment}.jsonl"
    data = path.read_bytes()
    position = int(at * len(data))
    put = b"" if new is None else bytes([data[position] ^ new])
    try:
        path.write_bytes(data[:position] + put + data[position + 1 :])
        with pytest.raises(RlavrError, match=rf"ledger/{segment}\.jsonl:\d+"):
            prove(good, config)
    finally:
        path.write_bytes(data)


def test_every_byte_that_no_seal_or_metrics_protect_is_guarded_by_the_chain(
    good: Path, config: RunConfig, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(good, tmp_path / "run"))
    (folder / "metrics/2.jsonl").unlink()
    path = folder / "ledger/2.jsonl"
    data = path.read_bytes()
    for position in range(len(data)):
        for put in (b"", bytes([data[position] ^ (1 << position % 8)])):
            path.write_bytes(data[:position] + put + data[position + 1 :])
            if position == len(data) - 1:  # the last line's break: it reads as torn, and is told
                assert [left.why for left in prove(folder, config).uncounted_lines] == [
                    UncountedReason.torn
                ]
            else:
                with pytest.raises(RlavrError, match=r"ledger/2\.jsonl:\d+"):
                    prove(folder, config)
