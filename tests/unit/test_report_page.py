"""The page's text, and the pictures for a paper."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.report.page_data import MOST, POINTS, main_metric, payload, thin
from analysis.report.page_html import embedded, render
from analysis.report.paper.figures import write_figures
from analysis.report.paper.style import smoothed
from analysis.report.run_details import facts, sparkline
from analysis.run_findings import Curve
from analysis.study_findings import Comparison, Findings
from tests.support.findings import ATTACK, PLANS, WAITING, findings, hostile, many, run

SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
CARE = PLANS[4]


def without_scripts(page: str) -> str:
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def test_the_policy_names_the_pages_scripts_by_their_hash_and_nothing_else() -> None:
    page = render(findings())
    policy = html.unescape(re.findall(r'Policy" content="([^"]*)"', page)[0])
    told = re.findall(r"'sha256-([^']+)'", policy)
    found = [
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in SCRIPT.findall(page)
    ]
    assert told == found
    assert len(found) == 2
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy
    assert "unsafe" not in policy.split("style-src")[0]


def test_only_a_live_page_may_talk_to_its_own_server() -> None:
    live = html.unescape(render(findings(), live=True)[:3000])
    assert "connect-src 'self'" in live
    assert "data-live" not in without_scripts(render(findings()))


def test_foreign_texts_are_escaped_everywhere() -> None:
    page = render(hostile())
    assert ATTACK not in page
    assert "<img" not in without_scripts(page)
    assert html.escape(ATTACK, quote=False).replace('"', "&#34;") in page
    assert page.count("</script>") == 3


def test_json_in_the_page_cannot_end_its_element() -> None:
    text = embedded({"</script>": "<!-- & \u2028"})
    assert not set(text) & set("<>&\u2028")
    assert json.loads(text) == {"</script>": "<!-- & \u2028"}


def test_collapsed_runs_stand_first_in_the_table() -> None:
    rows = re.findall(r'<tr[^>]* data-outcome="(\w+)"', render(findings()))
    assert rows == ["collapsed"] * 14 + ["healthy"] * 23 + ["unknown"] * 2 + ["planned"]


def test_a_rows_number_is_the_runs_place_in_the_data() -> None:
    page = render(findings())
    rows = re.findall(r'class="open" data-run="(\d+)">([^<]+)<', page)
    assert len(rows) == 40
    assert all(findings().runs[int(step_key)].name == name for step_key, name in rows)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (findings(runs=(), comparison=Comparison()), "No runs were found in runs/study."),
        (
            findings(runs=(run(WAITING, 1, last=0),), comparison=Comparison()),
            "No run has written a step yet.",
        ),
        (
            findings(runs=(run(CARE, 1),), comparison=Comparison(), problems=()),
            "None: every file could be used.",
        ),
    ],
)
def test_what_is_missing_is_said(told: Findings, words: str) -> None:
    assert words in render(told)


def test_a_thin_curve_keeps_its_ends_and_four_digits() -> None:
    steps = tuple(range(0, 1001))
    curve = Curve(steps=steps, values=tuple(step / 7 for step in steps))
    made = thin(curve, 11)
    assert made == {
        "v": [0.0, 14.29, 28.57, 42.86, 57.14, 71.43, 85.71, 100.0, 114.3, 128.6, 142.9],
        "s": [0, 100],
        "even": True,
    }


def test_uneven_steps_are_written_out_and_what_is_no_number_is_a_gap() -> None:
    made = thin(Curve(steps=(1, 2, 5), values=(0.5, float("nan"), 0.25)), 10)
    assert made == {"v": [0.5, None, 0.25], "s": [1, 2, 5]}


def test_many_runs_share_the_points_of_a_page() -> None:
    few, lots = payload(findings(), ()), payload(many(1000), ())
    assert len(few["runs"][0]["curves"]["collapse/risk"]["v"]) == 150 <= MOST
    points = sum(len(c["v"]) for r in lots["runs"] for c in r["curves"].values())
    assert len(lots["runs"]) == 1000
    assert points <= POINTS


def test_a_small_picture_marks_the_onset_of_a_collapse_only() -> None:
    flat = Curve(steps=(0, 100), values=(1.0, 0.0))
    collapsed = replace(run(CARE, 2), curves={"accuracy": flat}, steps_planned=200)
    healthy = replace(run(CARE, 1), curves={"accuracy": flat}, steps_planned=None)
    assert sparkline(collapsed) == {"line": "2,3.0 48,23.0", "x": "19", "y": "3.0"}
    assert sparkline(healthy) == {"line": "2,3.0 94,23.0"}
    assert sparkline(replace(healthy, curves={})) == {}


def test_facts_leave_out_what_is_not_known() -> None:
    told = dict(facts(run(CARE, 2)))
    assert told["Detected by label-free signals"] == "step 32, 4 steps before the onset"
    assert told["Steps"] == "150 of 150"
    assert told["Starts"] == "1"
    assert "Labels to the target" not in told
    assert "Held-out accuracy" not in dict(facts(run(WAITING, 1, last=0)))
    assert dict(facts(run(CARE, 1)))["Starts"] == "3: 2 preemptions"


def test_figures_show_the_true_reward_where_accuracy_was_measured_rarely_or_not_at_all() -> None:
    one = run(CARE, 1)
    rare = Curve(steps=(0, 50, 100), values=(0.4, 0.4, 0.4))
    rarely = replace(one, curves={**one.curves, "accuracy": rare})
    never = replace(one, curves={k: v for k, v in one.curves.items() if k != "accuracy"})
    only = replace(one, curves={"accuracy": rare})
    metrics = [main_metric(findings(runs=(r,))) for r in (one, rarely, never, only)]
    assert metrics == ["accuracy", "oracle/true_reward", "oracle/true_reward", "accuracy"]
    assert (
        sparkline(never)["line"]
        == sparkline(replace(one, curves={"accuracy": one.curves["oracle/true_reward"]}))["line"]
    )


def test_a_smoothed_value_is_the_mean_of_its_last_ten_steps() -> None:
    curve = Curve(steps=(1, 2, 5, 11, 12), values=(1.0, 3.0, 5.0, 7.0, 9.0))
    assert smoothed(curve).values == (1.0, 2.0, 3.0, 5.0, 7.0)


def test_the_same_findings_make_the_same_pictures_byte_by_byte(tmp_path: Path) -> None:
    small = findings(runs=findings().runs[22:27])
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = write_figures(small, tmp_path / "a"), write_figures(small, tmp_path / "b")
    assert [a.read_bytes() == b.read_bytes() for a, b in zip(first, second, strict=True)] == [
        True
    ] * 10


def test_pictures_hold_their_text_as_text_and_hostile_names_as_names(tmp_path: Path) -> None:
    name = "a_1 & b^2 $x$"
    runs = [replace(r, condition=name) for r in findings().runs[25:30]]
    conditions = (replace(findings().comparison.conditions[5], name=name),)
    write_figures(
        findings(runs=tuple(runs), comparison=Comparison(conditions=conditions)), tmp_path
    )
    for figure in ("collapse", "budget", "signals", "value", "phases"):
        text = (tmp_path / f"{figure}.svg").read_text()
        shown = html.unescape(" ".join(re.findall(r"<text[^>]*>([^<]*)</text>", text)))
        assert name in shown, figure


def test_a_picture_without_anything_to_draw_says_so(tmp_path: Path) -> None:
    write_figures(findings(runs=(), comparison=Comparison()), tmp_path)
    assert "no run has collapsed" in (tmp_path / "signals.svg").read_text()
    assert len(list(tmp_path.iterdir())) == 10
