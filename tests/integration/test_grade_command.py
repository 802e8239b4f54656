"""`rlavr grade` as a user starts it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import REPOSITORY, rlavr

REAL = REPOSITORY.parent / "shared/data/math/rollouts_math50.jsonl"
KEYS = {"id", "extracted", "clusters", "vote", "majority_ratio", "correct", "ungradable"}


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def grade(path: Path, *options: str) -> list[dict[str, Any]]:
    done = rlavr("grade", str(path), *options)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_votes_and_verdicts_are_written_as_the_contract_says(tmp_path: Path) -> None:
    texts = [r"\boxed{\frac12}", r"\boxed{3}", "none", r"\boxed{0.5}", r"\boxed{9!!!!!!}"]
    rows = grade(
        write(
            tmp_path / "in.jsonl",
            {"id": "a", "answer": "1/2", "rollouts": texts},
            {"id": "a", "answer": [4, "3"], "rollouts": texts[1:3]},
            {"answer": 3.0, "rollouts": [texts[1]]},
            {"answer": 0.0000672, "rollouts": [r"\boxed{0.0000672}", r"\boxed{0.0000673}"]},
            {"id": None, "answer": "x", "rollouts": []},
            {"id": 7, "answer": "8", "rollouts": ["no", "box"]},
        ),
        "--cpu-seconds",
        "0.5",
    )
    assert [set(row) for row in rows] == [KEYS] * 6
    assert rows[0] == {
        "id": "a",
        "extracted": [r"\frac12", "3", None, "0.5", "9!!!!!!"],
        "clusters": [[0, 3], [1]],
        "vote": r"\frac12",
        "majority_ratio": 0.4,
        "correct": [True, False, False, True, False],
        "ungradable": [False, False, False, False, True],
    }
    assert rows[1]["correct"] == [True, False]
    assert (rows[2]["id"], rows[2]["correct"]) == (None, [True])
    assert rows[3]["correct"] == [True, False]
    assert (rows[4]["vote"], rows[4]["majority_ratio"], rows[4]["correct"]) == (None, 0.0, [])
    assert (rows[5]["vote"], rows[5]["clusters"], rows[5]["majority_ratio"]) == (None, [], 0.0)


def test_knights_are_read_with_the_names_of_the_puzzle(tmp_path: Path) -> None:
    puzzle = "You meet 2 inhabitants: Ann, and Bob. Who is who?"
    label = "(1) Ann is a knight\n(2) Bob is a knave"
    texts = [f"<answer>{label}</answer>", "<answer>Ann is a knight</answer>", label]
    rows = grade(
        write(
            tmp_path / "in.jsonl",
            {"id": 1, "answer": label, "prompt": puzzle, "rollouts": texts},
            {"id": 2, "answer": label, "rollouts": texts},
        ),
        "--task",
        "knights",
    )
    assert rows[0]["extracted"] == ["Ann=knight;Bob=knave", None, None]
    assert rows[1]["extracted"] == ["Ann=knight;Bob=knave", "Ann=knight", None]
    assert [row["correct"] for row in rows] == [[True, False, False]] * 2


def test_an_output_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", {"id": 1, "answer": "7", "rollouts": [r"\boxed{7}"]})
    out = tmp_path / "out.jsonl"
    assert rlavr("grade", str(source), "--out", str(out)).returncode == 0
    before = out.read_text()
    assert json.loads(before)["correct"] == [True]
    with source.open("a") as file:
        file.write("not json\n")
    again = rlavr("grade", str(source), "--out", str(out))
    assert again.returncode == 2
    assert f"{source}:2: not a JSON line" in again.stderr
    assert out.read_text() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]\n", "a JSON object was expected"),
        ('{"id": 1, "answer": "7"}\n', "'rollouts' must be a list of texts"),
        ('{"id": 1, "answer": "7", "rollouts": [7]}\n', "'rollouts' must be a list of texts"),
        ('{"id": 1, "rollouts": ["x"]}\n', "'answer' must be"),
        ('{"id": 1, "answer": [], "rollouts": ["x"]}\n', "'answer' must be"),
        ('{"id": 1, "answer": {}, "rollouts": ["x"]}\n', "'answer' must be"),
        ('{"id": 1, "answer": NaN, "rollouts": ["x"]}\n', "'answer' must be"),
        ('{"id": 1, "answer": [[1]], "rollouts": ["x"]}\n', "'answer' must be"),
        ("[" * 100_000 + "\n", "not a JSON line"),
    ],
)
def test_a_bad_line_is_one_message_that_names_it(tmp_path: Path, text: str, message: str) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"id": 0, "answer": "7", "rollouts": []}\n' + text)
    done = rlavr("grade", str(source))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"rlavr: {source}:2: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_files_that_are_none_are_named(tmp_path: Path) -> None:
    for path, message in ((tmp_path / "none", "is not a file"), (tmp_path, "is not a file")):
        done = rlavr("grade", str(path))
        assert done.returncode == 2
        assert message in done.stderr
    source = write(tmp_path / "in.jsonl", {"id": 1, "answer": "7", "rollouts": []})
    done = rlavr("grade", str(source), "--out", str(tmp_path / "no/out"))
    assert done.returncode == 2
    assert "no/out" in done.stderr
    done = rlavr("grade", str(source), "--out", str(source))
    assert (done.returncode, "is the input" in done.stderr) == (2, True)
    done = rlavr("grade", str(source), "--out", "/dev/null")
    assert (done.returncode, Path("/dev/null").is_char_device()) == (0, True)
    done = rlavr("grade", str(source), "--workers", "-1")
    assert (done.returncode, "--workers=-1" in done.stderr) == (2, True)
    done = rlavr("grade", str(source), "--task", "knights", "--extract", "any")
    assert (done.returncode, "--task math" in done.stderr) == (2, True)


@pytest.mark.skipif(not REAL.exists(), reason="the shared data folder is not beside the repository")
def test_real_outputs_get_the_experts_verdicts_but_for_one_of_theirs_that_is_wrong() -> None:
    rows = [json.loads(line) for line in REAL.read_text().splitlines()]
    different = [
        (row["id"], i, row["answer"])
        for row, told in zip(rows, grade(REAL), strict=True)
        for i, (mine, theirs) in enumerate(zip(told["correct"], row["expert_score"], strict=True))
        if mine != theirs
    ]
    assert different == [(72, 7, "10{,}000")], "10000 is 10{,}000"
