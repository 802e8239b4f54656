"""Files and folders of rows: what they are, which of them are read, and their columns."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hydra.errors import HydraException

from rlavr_hpc.config.data import DataConfig, DataKind
from rlavr_hpc.data.arrow_rows import parquet_rows
from rlavr_hpc.data.load_split import load_split
from rlavr_hpc.data.table_row import rules_of
from rlavr_hpc.errors import UserError
from rlavr_hpc.offline.hub_data import HubDataSet, hub_data_set, wanted_data_files
from tests.support.configs import composed
from tests.support.rows import finding, jsonl, labels, read, read_rows

ROWS = [{"prompt": f"q{n}", "answer": str(n)} for n in range(4)]
TEXT = "".join(json.dumps(row) + "\n" for row in ROWS)


def parquet(path: Path, rows: Sequence[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def saved(folder: Path, *parts: Sequence[Any]) -> Path:
    """As `datasets.save_to_disk` writes a data set."""
    folder.mkdir(parents=True)
    names = [f"data-{n:05d}-of-{len(parts):05d}.arrow" for n in range(len(parts))]
    for name, rows in zip(names, parts, strict=True):
        table = pa.Table.from_pylist(list(rows))
        with pa.ipc.new_stream(folder / name, table.schema) as stream:
            stream.write_table(table)
    (folder / "state.json").write_text(
        json.dumps({"_data_files": [{"filename": name} for name in names], "_split": "train"})
    )
    (folder / "dataset_info.json").write_text("{}")
    return folder


def prompts(path: Path, kind: DataKind = DataKind.file, **rules: object) -> list[str]:
    return [question.text for question in read(path, kind, **rules).questions]


WANTED = [row["prompt"] for row in ROWS]


def test_folders_of_parquet_files_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    parquet(tmp_path / "b.parquet", ROWS[2:])
    parquet(tmp_path / "a.parquet", ROWS[:2])
    (tmp_path / "README.md").write_text("a card")
    (tmp_path / "dataset_info.json").write_text("{}")
    for kind in (DataKind.folder, DataKind.parquet, DataKind.file):
        assert prompts(tmp_path, kind) == WANTED


def test_saved_data_sets_are_read(tmp_path: Path) -> None:
    assert prompts(saved(tmp_path / "d", ROWS[:3], ROWS[3:]), DataKind.folder) == WANTED
    (tmp_path / "d/data-00001-of-00002.arrow").unlink()
    with pytest.raises(UserError, match=r"data-00001-of-00002\.arrow does not exist"):
        prompts(tmp_path / "d", DataKind.folder)


def test_of_saved_splits_the_one_for_training_is_read_and_the_others_are_told(
    tmp_path: Path,
) -> None:
    saved(tmp_path / "train", ROWS[:2])
    saved(tmp_path / "test", ROWS[2:])
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    data = read(tmp_path, DataKind.folder)
    assert [q.text for q in data.questions] == WANTED[:2]
    told = finding(data, "split")
    assert told is not None
    assert "test is left out" in told.text
    assert prompts(tmp_path / "test", DataKind.folder) == WANTED[2:]


def test_arrow_files_are_read_by_themselves(tmp_path: Path) -> None:
    table = pa.Table.from_pylist(ROWS)
    with pa.ipc.new_file(tmp_path / "d.arrow", table.schema) as file:
        file.write_table(table)
    assert prompts(tmp_path / "d.arrow") == WANTED


def test_splits_of_a_folder_are_told_apart_by_their_names(tmp_path: Path) -> None:
    parquet(tmp_path / "data/train-00000-of-00002.parquet", ROWS[:1])
    parquet(tmp_path / "data/train-00001-of-00002.parquet", ROWS[1:2])
    parquet(tmp_path / "data/test-00000-of-00001.parquet", ROWS[2:])
    assert prompts(tmp_path, DataKind.folder) == WANTED[:2]
    (tmp_path / "data/train-00000-of-00002.parquet").unlink()
    (tmp_path / "data/train-00001-of-00002.parquet").unlink()
    parquet(tmp_path / "data/validation-00000-of-00001.parquet", ROWS[:2])
    with pytest.raises(UserError, match=r"holds several data sets \(.*data\.path="):
        prompts(tmp_path, DataKind.folder)


def test_folders_with_several_data_sets_are_refused_with_their_names(tmp_path: Path) -> None:
    for name in ("main", "socratic"):
        parquet(tmp_path / name / "train.parquet", ROWS)
    with pytest.raises(UserError, match=r"main, socratic"):
        prompts(tmp_path, DataKind.folder)
    assert prompts(tmp_path / "main", DataKind.folder) == WANTED


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no file of data"):
        prompts(tmp_path, DataKind.folder)
    (tmp_path / "d.csv").write_text("prompt\na\n")
    with pytest.raises(UserError, match="holds no file of Parquet"):
        prompts(tmp_path, DataKind.parquet)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("d.csv", "prompt,answer\nq0,0\nq1,1\nq2,2\nq3,3\n"),
        ("d.csv", "\ufeffprompt;answer\r\nq0;0\r\nq1;1\r\nq2;2\r\nq3;3\r\n"),
        ("d.tsv", "prompt\tanswer\nq0\t0\nq1\t1\nq2\t2\nq3\t3"),
        ("d.csv", '"prompt", answer\n"q0",0\n"q1",1\n"q2",2\nq3,3\n'),
        ("d.jsonl", TEXT),
        ("d.ndjson", TEXT.replace("\n", "\r\n\n")),
        ("d.json", json.dumps(ROWS)),
        ("d.json", "\ufeff" + json.dumps(ROWS, indent=1)),
        ("d.json", json.dumps({"version": 1, "data": ROWS})),
        ("d.json", json.dumps({"data": ROWS}, indent=1)),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_files_of_text_are_read(tmp_path: Path, name: str, text: str, packed: bool) -> None:
    path = tmp_path / (name + ".gz" if packed else name)
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    data = read(path)
    assert [q.text for q in data.questions] == WANTED
    assert labels(data) == ["0", "1", "2", "3"]


def test_fields_of_csv_may_hold_lines_and_options(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text(
        'question,choices,answer\n"Which,\nof them?","[""x"", ""y""]",1\n"Or?",,\n'
    )
    data = read(tmp_path / "d.csv", DataKind.csv)
    assert [q.text for q in data.questions] == ["Which,\nof them?\nA. x\nB. y", "Or?"]
    assert labels(data) == ["B", None]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("d.csv", b"prompt,answer\na,1,2\n", "row 1: more fields than the header"),
        ("d.csv", b"prompt,prompt\na,1\n", "names column 'prompt' twice"),
        ("d.csv", b'prompt\n"a\n', "line 1: not CSV"),
        ("d.csv", b"prompt\n\xff\n", "not UTF-8"),
        ("d.csv", b"prompt,answer\n", "holds no rows"),
        ("d.jsonl", b"\xff\xfe", "not UTF-8"),
        ("d.json", b"[" * 100_000, "nested too deeply"),
        ("d.json", b'[{"prompt": "a"},\n {"prompt"]', "line 2: not JSON"),
        ("d.jsonl.gz", gzip.compress(TEXT.encode(), mtime=0)[:-9], "damaged gzip"),
        ("d.parquet", b"PAR1 cut off", "not a readable parquet"),
        ("d.arrow", b"ARROW1 cut off", "not a readable Arrow"),
        ("d.parquet", b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        ("d.bin", b"\x00\x01", "data=parquet, data=jsonl or data=csv"),
    ],
)
def test_damaged_files_are_refused_with_the_place(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        read(tmp_path / name)


def test_a_file_of_another_kind_is_refused_with_the_kind_to_type(tmp_path: Path) -> None:
    table = parquet(tmp_path / "d.parquet", ROWS)
    lines = jsonl(tmp_path / "d.jsonl", *ROWS)
    (tmp_path / "d.csv").write_text("prompt\na\n")
    unnamed = tmp_path / "rows"
    unnamed.write_bytes(table.read_bytes())
    for path, kind, way_out in [
        (table, DataKind.jsonl, "data=parquet"),
        (unnamed, DataKind.csv, "data=parquet"),
        (lines, DataKind.parquet, "data=jsonl"),
        (lines, DataKind.csv, "data=jsonl"),
        (tmp_path / "d.csv", DataKind.jsonl, "data=csv"),
    ]:
        with pytest.raises(UserError, match=f"reads .*; use {way_out}"):
            prompts(path, kind)


def test_columns_may_have_names_of_ones_own(tmp_path: Path) -> None:
    row = {"instruction": "1+1?", "output": "2", "extra_info": {"answer": "two"}, "uid": "u"}
    names = {"prompt": "instruction", "answer": "output", "id": "uid"}
    data = read_rows(tmp_path, row, columns=names)
    assert ([q.text for q in data.questions], data.answers) == (["1+1?"], {"u": "2"})
    nested = {"prompt": "instruction", "answer": "extra_info.answer"}
    assert labels(read_rows(tmp_path, row, columns=nested)) == ["two"]
    path = parquet(tmp_path / "d.parquet", [row])
    assert labels(read(path, columns=nested)) == ["two"]


def test_a_name_in_the_config_hides_the_known_ones(tmp_path: Path) -> None:
    row = {"prompt": "long", "problem": "short", "reward_model": {"ground_truth": "1"}, "gold": 2}
    names = {"prompt": "problem", "answer": "gold"}
    data = read_rows(tmp_path, row, columns=names)
    assert ([q.text for q in data.questions], labels(data)) == (["short"], ["2"])


@pytest.mark.parametrize("name", ["outpt", "extra.answer", "output.text"])
@pytest.mark.parametrize("container", ["jsonl", "parquet", "csv"])
def test_an_unknown_column_is_refused_with_those_there_are(
    tmp_path: Path, name: str, container: str
) -> None:
    rows = [{"prompt": "a", "output": "1"}]
    path = tmp_path / f"d.{container}"
    if container == "csv":
        path.write_text("prompt,output\na,1\n")
    elif container == "parquet":
        parquet(path, rows)
    else:
        jsonl(path, *rows)
    with pytest.raises(UserError, match=rf"data\.columns\.answer={name}.*prompt, output"):
        read(path, columns={"answer": name})


@pytest.mark.parametrize("container", ["jsonl", "parquet"])
def test_a_file_without_a_known_prompt_shows_what_to_type(tmp_path: Path, container: str) -> None:
    rows = [{"source": "x", "instruction": "a", "output": "1"}]
    path = tmp_path / f"d.{container}"
    (parquet(path, rows) if container == "parquet" else jsonl(path, *rows))
    told = r"source, instruction, output.*'data\.columns=\{prompt: instruction, answer: output\}'"
    with pytest.raises(UserError, match=told):
        read(path)


def test_a_file_without_answers_says_so_once(tmp_path: Path) -> None:
    data = read_rows(tmp_path, {"prompt": "a", "gold": "1"}, {"prompt": "b", "gold": "2"})
    told = finding(data, "no_answer_column")
    assert told is not None
    assert "'data.columns={prompt: prompt, answer: gold}'" in told.text
    assert finding(data, "void_labels") is None


def test_roles_are_checked_when_the_config_is_read() -> None:
    with pytest.raises((HydraException, UserError), match="question"):
        composed("data=jsonl", "data.path=x", "data.columns={question: x}")
    config = composed("data=jsonl", "data.path=x", "data.columns={answer: output}")
    assert rules_of(config.data).columns == {"answer": "output"}
    with pytest.raises(UserError, match="data=folder needs a folder"):
        DataConfig(kind=DataKind.folder)


REPEATED = [
    {
        "id": n,
        "prompt": [{"role": "user", "content": f"q{n % 7}"}] * (1 + n % 2),
        "reward_model": {"ground_truth": None if n % 7 == 3 else str(n % 7), "style": "rule"},
        "tags": ["x"] * (n % 3),
        "answer": 0.5 if n % 7 == 3 else None,
    }
    for n in range(500)
]


def test_equal_rows_of_a_large_file_are_told_once_with_their_count(tmp_path: Path) -> None:
    path = parquet(tmp_path / "d.parquet", REPEATED)
    names = ["id", "prompt", "reward_model", "answer"]
    kinds = list(parquet_rows(path, lambda _: names, merged_from=1))
    assert [(row.number, row.count) for row in kinds] == [
        (n + 1, sum(1 for m in range(n, 500, 14))) for n in range(14)
    ]
    assert [row.values["prompt"] for row in kinds] == [row["prompt"] for row in REPEATED[:14]]
    assert [row.values["id"] for row in kinds] == list(range(14))
    assert len(list(parquet_rows(path, lambda _: names))) == 500


def test_values_that_differ_in_any_part_are_told_apart(tmp_path: Path) -> None:
    values: list[Any] = [
        {"a": [None], "b": None},
        {"a": [], "b": None},
        {"a": None, "b": None},
        {"a": ["x", None], "b": 1.0},
        {"a": ["x"], "b": 1.0},
        {"a": ["x", "y"], "b": 1.0},
        {"a": ["y", "x"], "b": 1.0},
        {"a": ["x", "y"], "b": 2.0},
        None,
    ]
    path = parquet(tmp_path / "d.parquet", [{"prompt": value} for value in values * 9])
    kinds = list(parquet_rows(path, list, merged_from=1))
    assert [row.values["prompt"] for row in kinds] == values
    assert {row.count for row in kinds} == {9}


def test_a_large_file_reads_like_a_small_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = parquet(tmp_path / "d.parquet", REPEATED)
    small = read(path)
    monkeypatch.setattr("rlavr_hpc.data.arrow_rows.MERGED_FROM", 1)
    monkeypatch.setattr("rlavr_hpc.data.arrow_rows.PIECE_ROWS", 64)
    monkeypatch.setattr("rlavr_hpc.data.arrow_rows.HELD_ROWS", 40)
    large = read(path)
    assert (large.questions, large.answers) == (small.questions, small.answers)
    assert [(one.kind, one.count) for one in large.findings] == [
        (one.kind, one.count) for one in small.findings
    ]


# --- partly labelled, hub names ---------------------------------------------------------------


def partly(path: Path, count: int, labelled: int) -> DataConfig:
    every = count // labelled
    rows = [{"prompt": f"q{n}", "answer": None if n % every else n, "id": n} for n in range(count)]
    return DataConfig(kind=DataKind.jsonl, path=str(jsonl(path, *rows)), holdout=0.2)


def test_the_hold_out_is_drawn_from_labelled_prompts(tmp_path: Path) -> None:
    split = load_split(partly(tmp_path / "d.jsonl", 200, 20))
    assert len(split.held_out.questions) == len(split.held_out.answers) == 4
    assert (len(split.train.questions), len(split.train.answers)) == (196, 16)
    told = finding(split.train, "labelled")
    assert told is not None
    assert told.text.startswith("labelled: 16 of 196 training prompts")


def test_with_all_prompts_labelled_the_draw_is_that_of_version_0_1(tmp_path: Path) -> None:
    """The ids are what that version drew: the first four of a permutation of twenty."""
    split = load_split(partly(tmp_path / "d.jsonl", 20, 20))
    assert [q.id for q in split.held_out.questions] == ["4", "5", "17", "18"]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("hub:openai/gsm8k", HubDataSet(repository="openai/gsm8k")),
        ("hub:openai/gsm8k/main", HubDataSet(repository="openai/gsm8k", inside="main")),
        ("openai/gsm8k", HubDataSet(repository="openai/gsm8k")),
        ("data/train.parquet", None),
        ("data/rows.jsonl.gz", None),
        ("./openai/gsm8k", None),
        ("/data/gsm8k", None),
        ("a/b/c", None),
        ("gsm8k", None),
    ],
)
def test_names_of_the_hub_are_told_from_paths(path: str, found: HubDataSet | None) -> None:
    assert hub_data_set(path) == found


def test_a_data_set_that_is_not_there_says_how_to_bring_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rlavr_hpc.offline.hub.cache_folder", lambda: tmp_path / "cache")
    config = DataConfig(kind=DataKind.file, path="tiny/sums")
    with pytest.raises(UserError, match=r"rlavr fetch data=file data\.path=tiny/sums"):
        load_split(config)
    home = tmp_path / "cache/datasets--tiny--sums"
    parquet(home / "snapshots/c0ffee/data/train-0.parquet", ROWS)
    (home / "refs").mkdir()
    (home / "refs/main").write_text("c0ffee")
    assert len(load_split(config).train.questions) == 4
    (home / "rlavr-unfinished").touch()  # a fetch that was killed
    with pytest.raises(UserError, match="rlavr fetch"):
        load_split(config)


def test_of_a_repository_the_files_of_the_best_kind_are_brought() -> None:
    names = ["README.md", "dataset_infos.json", "main/train.parquet", "main/test.parquet"]
    names += ["socratic/train.parquet", "raw/all.jsonl"]
    assert wanted_data_files(names, "") == [
        "main/test.parquet", "main/train.parquet", "socratic/train.parquet",
    ]  # fmt: skip
    assert wanted_data_files(names, "socratic") == ["socratic/train.parquet"]
    assert wanted_data_files(names, "raw") == ["raw/all.jsonl"]
    assert wanted_data_files(names, "none") == []
