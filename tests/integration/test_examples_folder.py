"""Everything in `examples/` works as it stands: a copy of the folder, its own commands."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rlavr_hpc.plugins import load_plugin
from rlavr_hpc.types import StepKey, View
from tests.support.commands import REPOSITORY, TINY, metrics, purchases, summary
from tests.support.groups import group
from tests.support.notebooks import code_cells

EXAMPLES = REPOSITORY / "examples"
STARTED_BY_TESTS = {
    "own_policy/run.sh",
    "own_data/run.sh",
    "own_task/run.sh",
    "sweep/run.sh",
    "notebook/study.ipynb",
}
SMALL = (*TINY, "steps=2")


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a user who copied the examples; runs land beside them."""
    folder = tmp_path_factory.mktemp("user")
    shutil.copytree(EXAMPLES, folder / "examples")
    return folder


def start(workplace: Path, *command: str, **environment: str) -> str:
    """What a command prints that is started in the workplace with the environment active."""
    active = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        "MPLBACKEND": "agg",
    }
    done = subprocess.run(
        command,
        cwd=workplace,
        env={**active, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_started_by_a_test_and_told_in_the_readme() -> None:
    files = {str(path.relative_to(EXAMPLES)) for path in EXAMPLES.rglob("*") if path.is_file()}
    startable = {name for name in files if name.endswith((".sh", ".ipynb"))}
    assert startable == STARTED_BY_TESTS
    readme = (EXAMPLES / "README.md").read_text()
    assert all(f"examples/{name}" in readme for name in startable)
    assert all(os.access(EXAMPLES / name, os.X_OK) for name in startable if name.endswith(".sh"))


def test_commands_of_the_readme_name_files_that_exist() -> None:
    text = (EXAMPLES / "README.md").read_text()
    named = set(re.findall(r"\bexamples/[\w./-]+\w", text))
    assert [name for name in sorted(named) if not (REPOSITORY / name).exists()] == []
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert [link for link in links if not (EXAMPLES / link).exists()] == []


def test_a_policy_of_ones_own_runs_from_outside_the_package(workplace: Path) -> None:
    start(workplace, "examples/own_policy/run.sh", *SMALL, "unlabelled=pseudo")
    folder = workplace / "runs/own_policy"
    assert "target: margin:MarginPolicy" in (folder / "config.yaml").read_text()
    assert 0 < len(purchases(folder)) <= 2 * 4
    assert summary(folder)["status"] == "done"


def test_the_policy_buys_the_narrowest_votes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES / "own_policy"))
    settings: dict[str, Any] = {"skip_unanimous": False}
    policy = load_plugin("margin:MarginPolicy", settings, where="acquisition")
    answers = ["1111", "1112", "1122", "1123", "1234"]  # margins 4, 2, 0, 1 and 0 of 4
    candidates = [group(list(text), name=text) for text in answers]
    view = View(step_key=StepKey(seed=1, step=1), quota=5)
    told = policy.choose(candidates, view)
    assert told.selected == ("1122", "1234", "1123", "1112", "1111")
    assert [told.scores[text] for text in answers] == [0.0, 0.5, 1.0, 0.75, 1.0]
    default = load_plugin("margin:MarginPolicy", {}, where="acquisition")
    assert "1111" not in default.choose(candidates, view).selected


def test_a_task_of_ones_own_runs_from_outside_the_package(workplace: Path) -> None:
    start(workplace, "examples/own_task/run.sh", *SMALL, "acquisition=full")
    folder = workplace / "runs/own_task"
    assert "target: lengths:LengthTask" in (folder / "config.yaml").read_text()
    rows = [row for row in metrics(folder) if row["step"] > 0]
    assert all(row["collapse/unparsable"] < 0.5 for row in rows)
    assert all(0 < row["collapse/trained_reward"] < 1 for row in rows)
    assert summary(folder)["status"] == "done"


def test_the_task_reads_units_and_pays_half_for_a_near_miss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES / "own_task"))
    settings: dict[str, Any] = {"near": 0.1}
    task = load_plugin("lengths:LengthTask", settings, where="task")
    responses = ("first 3 cm, then 1.5 km.", "It is 1500m", "-2.5", "no idea", "")
    assert [task.extract(text, "") for text in responses] == ["1.5 km", "1500m", "-2.5", None, None]
    assert task.equal("1.5 km", "1500m")
    assert not task.equal("1.5 km", "1.5 m")
    answers = ("1500 m", "1600", "1.7 km", "-1.5 km")
    assert [task.grade(answer, "1.5 km", "") for answer in answers] == [1.0, 0.5, 0.0, 0.0]


def test_data_of_ones_own_is_split_trained_on_and_evaluated(workplace: Path) -> None:
    start(workplace, "examples/own_data/run.sh", *SMALL)
    folder = workplace / "runs/own_data"
    facts = json.loads((folder / "provenance/1.json").read_text())["data"]
    assert (facts["prompts"], facts["held_out"]) == (32, 8)
    assert summary(folder)["labels_bought"] == 2 * 8
    assert "eval/held_out/mean@2" in metrics(folder)[0]
    assert metrics(folder)[1]["collapse/unparsable"] < 0.5  # the model has learnt to answer these


def test_a_sweep_ends_in_a_report_and_the_notebook_reads_it(workplace: Path) -> None:
    told = start(workplace, "examples/sweep/run.sh", *SMALL, POLICIES="full", SEEDS="1")
    assert "runs/policies-report/index.html" in told
    assert (workplace / "runs/policies-report/index.html").is_file()
    notebook = workplace / "examples/notebook/study.ipynb"
    shown = start(notebook.parent, sys.executable, "-m", "tests.support.notebooks", notebook.name)
    assert re.search(r"^full +32\.0 ", shown, re.MULTILINE), shown  # policy, labels
    assert shown.endswith("[5] []\n")  # nothing that could not be read


def test_notebooks_are_kept_without_outputs_and_run_as_plain_python() -> None:
    for notebook in EXAMPLES.rglob("*.ipynb"):
        for cell in code_cells(notebook):
            assert cell["outputs"] == [], notebook
            assert cell["execution_count"] is None, notebook
            assert not any(line.lstrip().startswith(("%", "!")) for line in cell["source"])
