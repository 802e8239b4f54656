"""The documentation is followed literally: its blocks run, its site builds, its lists are whole."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from rlavr_hpc.overview.error_signatures import MARKS
from tests.support.commands import TINY
from tests.support.doc_blocks import (
    NOT_RUN,
    PYTHON,
    ROOT,
    RUN,
    SLOW,
    blocks,
    pages,
    untold_fences,
)

SMALL = " ".join(TINY)
"""What the `python` of these tests adds to a run on the testbed, where the page says nothing of
sizes: few prompts, and a base model that other tests have built already."""
SHIM = """#!/bin/sh
case "$*" in
  *--help*|*model=pretrained*) exec "{python}" "$@" ;;
  *algorithm.batch*) exec "{python}" "$@" model.pretrain_steps=400 ;;
  "-m rlavr_hpc.run "*|"-m rlavr_hpc run "*) exec "{python}" "$@" {small} ;;
  *) exec "{python}" "$@" ;;
esac
"""
RLAVR = '#!/bin/sh\nexec python -m rlavr_hpc "$@"\n'
STRICT = ("-W", "--keep-going", "-q", "-b", "html", "-d")
LONGEST_README = 150
LONGEST_LINE = 100
FEWEST_RUN = 8
"""Blocks that `make test` runs; so that a change of marks does not quietly run none."""


def marked(mark: str) -> list[Path]:
    return [page for page in pages() if any(block.mark == mark for block in blocks(page))]


def follow(page: Path, marks: tuple[str, ...], folder: Path) -> str:
    """Do a page's blocks of these marks, in order, in one folder; what the first failure said."""
    tools = folder / ".tools"
    tools.mkdir()
    for name, text in (
        ("python", SHIM.format(python=sys.executable, small=SMALL)),
        ("rlavr", RLAVR),
    ):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    for block in blocks(page):
        if block.mark not in marks:
            continue
        shell = ["python", "-"] if block.language in PYTHON else ["bash", "-euo", "pipefail"]
        done = subprocess.run(
            shell,
            input=block.body,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        if done.returncode:
            return f"{block}\n{block.body}\n{done.stdout}\n{done.stderr}"
    return ""


@pytest.mark.parametrize("page", marked(RUN), ids=lambda page: page.stem)
def test_the_blocks_of_a_page_run_as_they_stand(page: Path, tmp_path: Path) -> None:
    assert follow(page, (RUN,), tmp_path) == ""


@pytest.mark.slow
@pytest.mark.parametrize("page", marked(SLOW), ids=lambda page: page.stem)
def test_the_long_blocks_of_a_page_run_as_they_stand(page: Path, tmp_path: Path) -> None:
    assert follow(page, (RUN, SLOW), tmp_path) == ""


def test_every_block_says_what_a_test_does_with_it() -> None:
    known = {RUN, SLOW, *NOT_RUN}
    found = [block for page in pages() for block in blocks(page)]
    assert [str(block) for block in found if block.mark not in known] == []
    assert [place for page in pages() for place in untold_fences(page)] == []
    counts = Counter(block.mark for block in found)
    assert counts[RUN] >= FEWEST_RUN, counts


def test_the_readme_is_short() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= LONGEST_README
    long = [n for n, line in enumerate(lines, 1) if len(line) > LONGEST_LINE and line[0] != "|"]
    assert long == []


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", *STRICT, str(tmp_path / "trees")),
            *(str(ROOT / "docs"), str(tmp_path / "html")),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "html/index.html").is_file()
    reference = (tmp_path / "html/config.html").read_text()
    assert "algorithm.group_size" in reference
    assert "ledger verify" in (tmp_path / "html/cli.html").read_text()
    assert (tmp_path / "html/_images/imports.svg").is_file()


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = set(re.findall(r"^([a-z/-]+)$", (ROOT / "docs/index.md").read_text(), re.MULTILINE))
    there = {page.stem for page in (ROOT / "docs").glob("*.md")} - {"index"}
    assert there | {"generated/changelog"} == listed


def test_the_answers_to_where_is_lead_to_files() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    table = text[text.index("## Where is") : text.index("## Conventions")]
    paths = re.findall(r"`([a-z_]+/[a-z_/]+(?:\.py)?)`", table)
    below = (ROOT, ROOT / "rlavr_hpc")
    assert len(paths) >= 20
    assert [p for p in paths if not any((root / p).exists() for root in below)] == []


def test_troubleshooting_names_what_why_recognises() -> None:
    page = (ROOT / "docs/troubleshooting.md").read_text()
    starts = [" ".join(words.split()[:3]).rstrip(",;:") for _, _, words in MARKS]
    missing = [start for start in starts if start not in page]
    assert missing == ["Slurm ended the"]  # no trouble: it needs no help


def test_quoted_messages_stand_in_the_code() -> None:
    """Each message in troubleshooting, cut at its `...`, is found in the sources."""
    folders = [ROOT / name for name in ("rlavr_hpc", "analysis", ".ci")]
    sources = [path for folder in folders for path in folder.rglob("*.py")]
    code = "\n".join(path.read_text() for path in sources)
    plain = re.sub(r"""["']\s*\n\s*f?["']""", "", code)
    plain = re.sub(r"\{[^{}\n]*\}", "...", plain)
    wanted = []
    for line in (ROOT / "docs/troubleshooting.md").read_text().splitlines():
        cell = re.match(r"\| `(.+?)`(?:, `(.+?)`)? ?(?:\(exit \d+\))? \|", line)
        for message in cell.groups() if cell else ():
            parts = [part.strip(" :()") for part in (message or "").split("...")]
            wanted += [part for part in parts if len(part) > 12]
    assert len(wanted) > 30
    assert [part for part in wanted if part not in plain] == []


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / f"docs/_ext/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_shows_every_room_and_no_arrow_that_follows_from_others() -> None:
    picture = load("import_picture")
    uses = picture.imports(ROOT)
    svg = picture.picture(uses)
    for room in ("runs", "trainer", "commands", "analysis", "errors"):
        assert f">{room}</text>" in svg
    assert picture.needed({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == {("a", "b"), ("b", "c")}
    assert picture.levels({"a": {"b"}, "b": set()}) == {"a": 1, "b": 0}
