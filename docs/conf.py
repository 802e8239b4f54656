"""Sphinx settings. `make docs` builds the site; warnings are errors."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path[:0] = [str(DOCS / "_ext"), str(ROOT)]

from import_picture import write_picture  # noqa: E402
from reference_pages import write_copies, write_pages  # noqa: E402

from rlavr_hpc import __version__  # noqa: E402

GENERATED = DOCS / "generated"
GENERATED.mkdir(exist_ok=True)
RESULTS = "../benchmarks/results/"
write_picture(ROOT, GENERATED / "imports.svg")
write_pages(GENERATED)
write_copies(ROOT, GENERATED)

project = "rlavr_hpc"
author = "the rlavr_hpc authors"
copyright = "the rlavr_hpc authors, Apache-2.0"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "_ext", "generated/cli.md", "generated/config.md"]

myst_heading_anchors = 4
default_role = "code"  # docstrings write `code`, as Markdown does

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_mock_imports = ["torch", "deepspeed", "vllm", "transformers"]

html_theme = "furo"
html_title = f"rlavr_hpc {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
copybutton_exclude = ".linenos, .gp, .go"


def setup(app: Sphinx) -> None:
    """Links to tables of benchmarks lead to their pages on the site."""
    app.connect("source-read", _link_to_pages)


def _link_to_pages(app: Sphinx, page: str, source: list[str]) -> None:
    link = rf"\]\({re.escape(RESULTS)}(\w+)\.md"
    source[0] = re.sub(link, r"](generated/results-\1.md", source[0])
