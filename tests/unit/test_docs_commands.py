"""Every command line of the documentation that starts or checks a run names keys that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.support.configs import composed
from tests.support.doc_blocks import ROOT, pages

START = re.compile(
    r"^(?:python -m rlavr_hpc\.run|rlavr (?:run|check|memory)|torchrun \S.* -m rlavr_hpc\.run)\s"
)
OF_THE_SHELL = ("#", ">", "|", "&", ";")
FEWEST = 15
"""Lines that are found; so that a change of form does not quietly find none."""


def lines_of(page: Path) -> list[str]:
    """The page's commands, each on one line."""
    text = re.sub(r"\\\n\s*", " ", page.read_text(encoding="utf-8"))
    return [line.strip() for line in text.splitlines() if START.match(line.strip())]


def overrides_of(line: str) -> list[str]:
    """Its overrides; of a sweep the first value of each, without what only a cluster has."""
    words = shlex.split(START.sub("", line), comments=True)
    end = next((n for n, word in enumerate(words) if word[0] in OF_THE_SHELL), len(words))
    given = [word for word in words[:end] if "=" in word and not word.startswith("-")]
    own = ("hydra", "cluster=SITE")
    return [_first(word) for word in given if not word.startswith(own) and "PWD" not in word]


def _first(override: str) -> str:
    key, _, value = override.partition("=")
    swept = value[:1] not in "[{'\"" and "," in value
    return f"{key}={value.split(',')[0]}" if swept else override


COMMANDS = [
    (page, line)
    for page in pages()
    for line in lines_of(page)
    if "plugins/conf" not in line and "--help" not in line
]


@pytest.mark.parametrize(
    ("page", "line"),
    COMMANDS,
    ids=[f"{p.relative_to(ROOT)}:{n}" for n, (p, _) in enumerate(COMMANDS)],
)
def test_a_command_of_the_documentation_composes(page: Path, line: str) -> None:
    assert composed(*overrides_of(line))


def test_the_documentation_has_commands_also_in_lists() -> None:
    assert len(COMMANDS) >= FEWEST
    assert any(page.stem == "labels-people" for page, _ in COMMANDS)
