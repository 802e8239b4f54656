"""The report's folder: the page, the paper's figures, the tables, the summary."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from analysis.report.files import folder
from analysis.report.page_html import render
from analysis.report.paper.figures import write_figures
from analysis.report.tables import write_steps, write_summary, write_tables
from analysis.study_findings import Findings
from rlavr_hpc.io import write_atomic


def write_report(
    findings: Findings, out: Path, *, steps: Mapping[str, pd.DataFrame] | None = None
) -> Path:
    """Write index.html, figures/, tables/ and summary.json; other files in `out` stay.

    Args:
        findings: what the analysis found.
        out: the folder, made with its parents.
        steps: by run name, the rows for `tables/steps.parquet`.

    Returns:
        The page, written last: when it is there, so is all it links to.

    Raises:
        RlavrError: `out` cannot be made.
        OSError: the disk is full or gone.
    """
    folder(out)
    write_tables(findings, folder(out / "tables"))
    if steps:
        write_steps(steps, out / "tables/steps.parquet")
    write_summary(findings, out / "summary.json")
    write_figures(findings, folder(out / "figures"))
    page = out / "index.html"
    write_atomic(page, render(findings))
    return page
