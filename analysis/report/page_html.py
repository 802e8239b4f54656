"""`index.html`: the whole report in one file, which needs no network and runs no foreign script.

Names, prompts and responses come from models and from strangers' folders: the template escapes
them, the data's JSON cannot end its element, and the page's policy lets only this file's own
scripts run, which it knows by their hash.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from markupsafe import Markup
from plotly.offline import get_plotlyjs

from analysis.report.narrative import condition_collapses, headline
from analysis.report.page_data import condition_names, payload
from analysis.report.run_details import sparkline
from analysis.run_findings import RunFindings
from analysis.study_findings import Findings
from analysis.text import numbers, terms
from analysis.text.templates import environment
from analysis.text.terms import KINDS

FOLDER = Path(__file__).parent / "page"
SCRIPTS = ("theme.js", "charts.js", "bars.js", "table.js", "details.js", "main.js")
ROWS = 50
"""Runs that the table shows at first."""


def render(findings: Findings, *, live: bool = False) -> str:
    """The page.

    Args:
        findings: what is shown.
        live: the page asks its server for `stamp` every few seconds and loads itself again when the
            text has changed; else it may talk to nobody.
    """
    collapses = condition_collapses(findings)
    data = payload(findings, collapses)
    code = "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)
    page: str = (
        environment(FOLDER, escaped=True)
        .get_template("index.html.j2")
        .render(
            findings=findings,
            comparison=findings.comparison,
            headline=headline(findings),
            collapses=collapses,
            kinds=_kinds(findings),
            terms=terms.GLOSSARY,
            totals=_totals(findings),
            conditions={condition.name: condition for condition in findings.comparison.conditions},
            condition_names=condition_names(findings),
            standings={line.condition: line.standing for line in findings.comparison.advice},
            problems=[(run.name, p) for run in findings.runs for p in run.problems],
            table=_table(findings),
            shown=data,
            rows=ROWS,
            live=live,
            scripts=[Markup(_plotly()), Markup(code)],
            policy=policy([_plotly(), code], live=live),
            style=Markup((FOLDER / "style.css").read_text(encoding="utf-8")),
            data=embedded(data),
        )
    )
    return page


def embedded(value: object) -> Markup:
    """JSON that may stand in a script element: no character of it can begin a tag."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def policy(scripts: list[str], *, live: bool = False) -> str:
    """The page's Content-Security-Policy: these scripts, no network, no frames, no forms."""
    hashes = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts)
    reach = "'self'" if live else "'none'"
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        f"img-src data: blob:; connect-src {reach}; base-uri 'none'; form-action 'none'"
    )


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _plotly() -> str:
    """plotly.js, without what would end its element."""
    source: str = get_plotlyjs()
    return source.replace("</script", "<\\/script")


def _table(findings: Findings) -> list[tuple[int, RunFindings, Mapping[str, str]]]:
    """(place, run, small picture) of every run, the collapsed first."""
    order = ("collapsed", "healthy", "unknown", "planned")
    rows = [(place, run, sparkline(run)) for place, run in enumerate(findings.runs)]
    return sorted(rows, key=lambda row: order.index(numbers.outcome(row[1])))


def _kinds(findings: Findings) -> list[tuple[str, str, int]]:
    """(name, meaning, runs) of every kind of collapse found, the most frequent first."""
    found = Counter(
        run.verdict.kind for run in findings.runs if run.verdict.collapsed and run.verdict.kind
    )
    return [(*KINDS[kind], count) for kind, count in found.most_common()]


def _totals(findings: Findings) -> dict[str, Any]:
    """Sums over all runs."""
    health = [run.health for run in findings.runs]
    hours: Counter[str] = Counter()
    for one in health:
        hours[one.device] += one.device_hours  # type: ignore[assignment]
    return {
        "labels": sum(run.spending.labels for run in findings.runs),
        "preemptions": sum(h.preemptions for h in health),
        "crashes": sum(h.crashes for h in health),
        "redone": sum(h.steps_redone for h in health),
        "lost": sum(h.seconds_lost for h in health),
        "waiting": sum(h.seconds_waiting for h in health),
        "left_behind": sum(h.steps_left_behind for h in health),
        "hours": [(device, spent) for device, spent in hours.items() if spent],
        "phases": any(h.phases for h in health),
    }
