"""The report for programs, and how its files take their place."""

from __future__ import annotations

import json
from dataclasses import replace
from math import inf, nan
from pathlib import Path

import pandas as pd
import pytest

from analysis.report.files import replaced
from analysis.report.tables import to_json, write_steps, write_summary, write_tables
from analysis.report.write import write_report
from analysis.study_findings import Comparison
from rlavr_hpc.errors import RlavrError
from rlavr_hpc.io import read_record
from tests.support.findings import PLANS, findings, run


def test_the_summary_is_the_findings_exact_image(tmp_path: Path) -> None:
    told = findings()
    write_summary(told, tmp_path / "summary.json")
    read = read_record(tmp_path / "summary.json", 2)
    assert read.pop("program") == "0.1.0"
    assert read == {k: v for k, v in to_json(told).items() if k != "version"}
    kinds = {one["name"]: one["verdict"]["kind"] for one in read["runs"]}
    assert (kinds["study/care-0.2-2"], kinds["study/full-1"]) == ("wrong_belief", None)
    assert read["runs"][0]["curves"]["accuracy"]["steps"][:3] == [0, 10, 20]


def test_a_summary_without_runs_is_whole(tmp_path: Path) -> None:
    write_summary(findings(runs=(), comparison=Comparison()), tmp_path / "summary.json")
    assert read_record(tmp_path / "summary.json", 2)["runs"] == []


def test_what_is_no_number_is_null_in_the_summary(tmp_path: Path) -> None:
    one = run(PLANS[0], 1)
    odd = replace(one, health=replace(one.health, device_hours=inf, memory_gib=nan))
    write_summary(findings(runs=(odd,)), tmp_path / "summary.json")

    def refused(constant: str) -> None:
        raise AssertionError(constant)

    text = (tmp_path / "summary.json").read_text()
    (read,) = json.loads(text, parse_constant=refused)["runs"]
    assert (read["health"]["device_hours"], read["health"]["memory_gib"]) == (None, None)


def test_csv_and_parquet_hold_the_same_rows(tmp_path: Path) -> None:
    files = write_tables(findings(), tmp_path)
    assert sorted(file.name for file in files) == sorted(
        f"{name}.{end}"
        for name in ("runs", "conditions", "contrasts", "signals")
        for end in ("csv", "parquet")
    )
    for file in files[::2]:
        exact = pd.read_parquet(file.with_suffix(".parquet"))
        text = pd.read_csv(file)
        pd.testing.assert_frame_equal(
            text.astype(str).replace({"nan": "None"}),
            exact.astype(str).replace({"nan": "None", "<NA>": "None"}),
            check_dtype=False,
        )


def test_tables_hold_a_row_per_run_condition_contrast_and_sign(tmp_path: Path) -> None:
    write_tables(findings(), tmp_path)
    tables = {
        name: pd.read_parquet(tmp_path / f"{name}.parquet")
        for name in ("runs", "conditions", "contrasts", "signals")
    }
    assert {name: len(table) for name, table in tables.items()} == {
        "runs": 40,
        "conditions": 9,
        "contrasts": 3,
        "signals": 70,
    }
    collapsed = tables["runs"].set_index("run").loc["study/care-0.2-2"]
    assert (collapsed["onset"], collapsed["kind"], collapsed["lead"]) == (36, "wrong_belief", 4)
    assert collapsed["labels"] == 13 * 150
    assert collapsed["seconds_per_step"] == 0.38
    first = tables["conditions"].iloc[0]
    assert (first["rank"], first["condition"], first["runs"], first["labels"]) == (
        1,
        "full",
        5,
        9600,
    )
    assert first["accuracy_high"] - first["accuracy_low"] == pytest.approx(0.08)
    contrast = tables["contrasts"].iloc[0]
    assert (contrast["better"], contrast["seeds"], contrast["difference_low"]) == (
        "full",
        5,
        pytest.approx(-0.02),
    )


def test_tables_of_no_runs_have_their_columns(tmp_path: Path) -> None:
    write_tables(findings(runs=(), comparison=Comparison()), tmp_path)
    assert list(pd.read_csv(tmp_path / "signals.csv").columns)[:3] == ["run", "rank", "signal"]
    assert len(pd.read_parquet(tmp_path / "runs.parquet")) == 0


def test_steps_of_runs_with_other_metrics_share_a_file(tmp_path: Path) -> None:
    first = pd.DataFrame(
        {"attempt": [1, 2], "time/step": [0.5, nan]}, index=pd.Index([1, 2], name="step")
    )
    second = pd.DataFrame({"train/loss": [0.25]}, index=pd.Index([7], name="step"))
    write_steps({"a": first, "b": second}, tmp_path / "steps.parquet")
    read = pd.read_parquet(tmp_path / "steps.parquet")
    assert read["run"].tolist() == ["a", "a", "b"]
    assert read["step"].tolist() == [1, 2, 7]
    assert read["attempt"].astype("Int64").tolist() == [1, 2, pd.NA]
    assert read["time/step"].isna().tolist() == [False, True, True]
    assert read["train/loss"].dropna().tolist() == [0.25]


def write_half(path: Path) -> None:
    with replaced(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError):
        write_half(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_report_replaces_its_own_files_and_leaves_foreign_ones(tmp_path: Path) -> None:
    out = tmp_path / "deep/report"
    few = findings(runs=findings().runs[:2])
    page = write_report(few, out)
    (out / "tables/mine.csv").write_text("mine")
    (out / "summary.json").write_text("stale")
    again = write_report(few, out)
    assert again == page == out / "index.html"
    assert (out / "tables/mine.csv").read_text() == "mine"
    assert read_record(out / "summary.json", 2)["title"] == "study"
    assert sorted(path.name for path in out.iterdir()) == [
        "figures",
        "index.html",
        "summary.json",
        "tables",
    ]


def test_a_file_in_the_reports_place_is_named_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("")
    with pytest.raises(RlavrError, match=r"report .*give another --out"):
        write_report(findings(runs=(), comparison=Comparison()), tmp_path / "report")
