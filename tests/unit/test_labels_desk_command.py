"""`rlavr labels desk`: links, settings, and what the grader reads in an answer."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlavr_hpc.answers.verifier import Verifier
from rlavr_hpc.commands import labels_desk
from rlavr_hpc.commands.label_preview import read_label
from rlavr_hpc.config.label_desk import DeskConfig
from rlavr_hpc.config.labels import LabelsConfig
from rlavr_hpc.errors import UserError
from rlavr_hpc.labels.desk.access import Access
from rlavr_hpc.labels.desk.journal import DESK, DeskJournal
from rlavr_hpc.labels.desk.place import DeskPlace


def given(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    labels_desk.add_arguments(parser)
    return parser.parse_args(arguments)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A folder whose desk ran at a port."""
    (tmp_path / DESK).mkdir()
    DeskPlace(tmp_path / DESK, "http://127.0.0.1:8123/", 8123).leave()
    return tmp_path


def access_of(top: Path) -> Access:
    journal = DeskJournal(top / DESK, "later")
    access = Access(journal)
    journal.look()
    return access


def test_a_link_is_printed_once_for_each_annotator_and_works(
    top: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = labels_desk.run(given(str(top), "--annotator", "ada", "--annotator", "bob", "--owner"))
    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert [line.split(": ")[0] for line in lines] == ["ada", "bob", "owner"]
    begin = "ada: http://127.0.0.1:8123/in#"
    assert lines[0].startswith(begin)
    access = access_of(top)
    traded = access.trade(lines[0].removeprefix(begin))
    assert traded is not None
    assert traded[0].name == "ada"
    assert access.annotators == {"ada", "bob"}


def test_revoking_ends_links_and_an_unknown_name_is_told(top: Path) -> None:
    labels_desk.run(given(str(top), "--annotator", "ada"))
    assert labels_desk.run(given(str(top), "--revoke", "ada")) == 0
    assert access_of(top).annotators == set()
    with pytest.raises(UserError, match="'bob' has no link and is signed in nowhere"):
        labels_desk.run(given(str(top), "--revoke", "bob"))


def test_links_need_a_desk_that_was_started(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="start it first, in another terminal"):
        labels_desk.run(given(str(tmp_path), "--annotator", "ada"))
    with pytest.raises(UserError, match="is no folder"):
        labels_desk.run(given(str(tmp_path / "nowhere")))


def test_a_folder_without_such_runs_is_told(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.yaml").write_text("version: 1\n")
    with pytest.raises(UserError, match=r"no run at or below .* has labels=people"):
        labels_desk.serve(given(str(tmp_path)), labels=lambda _: LabelsConfig())


def test_the_runs_of_people_are_found_and_a_broken_one_is_told_once(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text("version: 1\n")

    def labels(run_dir: Path) -> LabelsConfig:
        if run_dir.name == "b":
            raise UserError("its config cannot be used")
        return LabelsConfig(name="people" if run_dir.name == "a" else "command")

    said: list[str] = []
    find = labels_desk.PeopleRuns(tmp_path, "start", labels, said.append)
    assert [run.run_dir.name for run in find()] == ["a"]
    assert find() == find()
    assert said == ["b is left out: its config cannot be used"]


def test_the_command_line_counts_before_the_runs_settings() -> None:
    config = DeskConfig(port=1, prefix="/a", claim_minutes=3)
    desk = labels_desk.desk_config(given("x", "--port", "2", "--origin", "https://p"), config)
    assert (desk.port, desk.prefix, desk.claim_minutes) == (2, "/a", 3)
    assert desk.origins == ["https://p"]


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    made = Verifier()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("task", "text", "shown", "math"),
    [
        ("math", "42", "42", True),
        ("math", r"\boxed{\frac{1}{2}}", r"\frac{1}{2}", True),
        ("math", "no solution", "no solution", False),
        ("choice", "(b)", "B", False),
        ("choice", "C and A", "A, C", False),
        ("text", "Paris", "Paris", False),
    ],
)
def test_the_preview_is_what_the_grader_reads(
    verifier: Verifier, task: str, text: str, shown: str, *, math: bool
) -> None:
    reading = verifier.beside.submit(read_label, verifier, task, "A question?", text).result()
    assert (reading.shown, reading.problem, reading.math) == (shown, "", math)
    assert bool(reading.note) == (task == "math" and not math)


@pytest.mark.parametrize(
    ("task", "text", "why"),
    [
        ("math", "n/a", "stands for no answer"),
        ("text", " - ", "stands for no answer"),
        ("knights", "everyone lies", "Say of everyone"),
        ("sums", "4", "knows no task 'sums'"),
    ],
)
def test_what_is_no_label_is_told_why(verifier: Verifier, task: str, text: str, why: str) -> None:
    question = "Ann and Bob live on an island. Ann says: Bob is a knave."
    reading = verifier.beside.submit(read_label, verifier, task, question, text).result()
    assert why in reading.problem


def test_equal_answers_have_equal_keys(verifier: Verifier) -> None:
    texts = ("1/2", r"\frac{1}{2}", "0.5")
    keys = {
        verifier.beside.submit(read_label, verifier, "math", "q", text).result().key
        for text in texts
    }
    assert len(keys) == 1
