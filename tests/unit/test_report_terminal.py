"""The report in brief."""

from __future__ import annotations

import io

from analysis.compare.conditions import name_conditions
from analysis.load.run import readable
from analysis.report.terminal import print_brief
from analysis.study_findings import Comparison
from tests.support.analysis_runs import make_run
from tests.support.findings import ATTACK, findings, hostile


def brief(**changes: object) -> list[str]:
    out = io.StringIO()
    print_brief(findings(**changes), file=out)
    return out.getvalue().splitlines()


def test_the_brief_has_the_headline_and_a_line_per_condition() -> None:
    lines = brief()
    assert lines[0] == "14 of 37 runs collapsed."
    assert "Use anchored budget=0.2: 0.72 held-out accuracy for 1,950 labels" in " ".join(lines)
    (full,) = [line for line in lines if line.startswith("full ")]
    assert full.split()[1:6] == ["\N{EN DASH}", "5/5", "0", "of", "5"]
    assert full.split()[6:8] == ["9,600", "0.414"]  # labels, accuracy of the untrained model
    (none,) = [line for line in lines if line.startswith("none ")]
    assert "5 of 5" in none
    assert lines[-1] == "2 files or lines in the folders could not be used; the report lists them."


def test_without_runs_there_is_no_table() -> None:
    lines = brief(runs=(), comparison=Comparison(), problems=())
    assert lines == [
        "No runs were found.",
        "Give a folder that holds runs: rlavr report runs/NAME",
    ]


def test_names_of_strangers_are_no_markup_and_no_escape_sequence() -> None:
    out = io.StringIO()
    print_brief(hostile(), file=out)
    assert ATTACK in out.getvalue()
    run = make_run(config={"acquisition.name": "a\x1b[2Jb\n[bold]c"})
    assert name_conditions([run])[run.name].name == "a?[2Jb [bold]c"
    assert readable("x\x1b[31m\ud800\ty") == "x?[31m? y"
