"""The page that says which test holds which line of the checklist for label sources."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/label-sources-checklist.md"
TEST = re.compile(r"`([a-z]+/test_\w+\.py)::(test_\w+)`")


def rows() -> list[tuple[str, str]]:
    """Number ("" = of the line above) and tests of each row."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    cells = [line.split(" | ") for line in lines if "::" in line]
    return [(number.strip("| "), held) for number, _, held in cells]


@cache
def known_tests(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / "tests" / file).read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def test_every_test_that_the_page_names_is_there() -> None:
    named = TEST.findall(PAGE.read_text())
    assert len(named) > 60
    assert [f"{file}::{test}" for file, test in named if test not in known_tests(file)] == []


def test_each_line_of_the_checklist_has_a_test() -> None:
    numbers = [number for number, _ in rows() if number]
    assert numbers == [str(number) for number in range(1, 26)]
    assert all(TEST.search(held) for _, held in rows())


def test_nothing_else_in_the_page_looks_like_a_test() -> None:
    text = TEST.sub("", PAGE.read_text())
    assert re.findall(r"\S*::\S*", text) == []
