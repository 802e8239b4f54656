"""Files that other programs read about the project: GitHub, pre-commit, citation tools."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[2]
GITHUB = ROOT / ".github"
FORMS = ("bug_report.yml", "feature_request.yml")
FIELDS = {"textarea", "input", "dropdown", "checkboxes"}


def loaded(path: Path) -> Any:  # noqa: ANN401
    return yaml.safe_load(path.read_text())


def project() -> dict[str, Any]:
    told: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return told


def test_every_yaml_file_for_other_programs_is_yaml() -> None:
    files = [*GITHUB.rglob("*.yml"), ROOT / ".pre-commit-config.yaml", ROOT / "CITATION.cff"]
    assert len(files) == 6
    assert all(isinstance(loaded(path), dict) for path in files)


def test_the_workflow_runs_everything_on_the_oldest_python_and_units_on_the_others() -> None:
    jobs = loaded(GITHUB / "workflows/ci.yml")["jobs"]
    assert [step["run"] for step in jobs["full"]["steps"] if "run" in step] == [".ci/run"]
    assert os.access(ROOT / ".ci/run", os.X_OK)
    (setup,) = (s for s in jobs["full"]["steps"] if "setup-python" in s.get("uses", ""))
    oldest = setup["with"]["python-version"]
    assert project()["requires-python"].startswith(f">={oldest}")
    assert oldest not in jobs["unit"]["strategy"]["matrix"]["python"]
    assert any("pytest tests/unit" in step.get("run", "") for step in jobs["unit"]["steps"])


def test_the_workflow_may_only_read() -> None:
    assert loaded(GITHUB / "workflows/ci.yml")["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("name", FORMS)
def test_an_issue_form_has_what_github_asks_for(name: str) -> None:
    form = loaded(GITHUB / "ISSUE_TEMPLATE" / name)
    assert form["name"]
    assert form["description"]
    ids = [field["id"] for field in form["body"]]
    assert len(set(ids)) == len(ids)
    for field in form["body"]:
        assert field["type"] in FIELDS
        assert field["attributes"]["label"]
        if field["type"] in ("dropdown", "checkboxes"):
            assert field["attributes"]["options"]


def test_the_hooks_are_the_environments_own_tools_and_need_no_network() -> None:
    repositories = loaded(ROOT / ".pre-commit-config.yaml")["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    hooks = {hook["id"]: hook for hook in repositories[0]["hooks"]}
    assert {"ruff", "ruff-format"} <= set(hooks)
    assert {hook["language"] for hook in hooks.values()} == {"system"}
    assert all(hook["entry"].startswith(".venv/bin/") for hook in hooks.values())


def test_the_citation_is_of_this_version_and_names_the_paper() -> None:
    told = loaded(ROOT / "CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= set(told)
    assert (str(told["version"]), told["license"]) == (project()["version"], project()["license"])
    (paper,) = told["references"]
    assert paper["title"].startswith("When Self-Belief Misleads")
    assert all({"type", "title", "authors"} <= set(reference) for reference in told["references"])
    assert paper["identifiers"][0]["value"] == "arXiv:2605.25864"


def test_no_property_test_has_a_deadline() -> None:
    assert settings.default is not None
    assert settings.default.deadline is None
    own = [
        path.name
        for path in (ROOT / "tests").rglob("*.py")
        if re.search(r"@settings\([^)]*deadline", path.read_text())
    ]
    assert own == []
