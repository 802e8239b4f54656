"""The report's folder: the page, the paper's figures, the tables, the summary."""

from __future__ import annotations

from pathlib import Path

from analysis.files import folder
from analysis.findings import Findings
from analysis.page import render
from analysis.paper import write_figures
from analysis.tables import write_summary, write_tables
from rlavr_hpc.io import write_atomic


def write_report(findings: Findings, out: Path) -> Path:
    """Write index.html, figures/, tables/ and summary.json; other files in `out` stay.

    Args:
        findings: what the analysis found.
        out: the folder, made with its parents.

    Returns:
        The page, written last: when it is there, so is all it links to.

    Raises:
        RlavrError: `out` cannot be made.
        OSError: the disk is full or gone.
    """
    folder(out)
    write_tables(findings, folder(out / "tables"))
    write_summary(findings, out / "summary.json")
    write_figures(findings, folder(out / "figures"))
    page = out / "index.html"
    write_atomic(page, render(findings))
    return page
