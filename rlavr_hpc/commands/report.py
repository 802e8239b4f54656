"""`rlavr report DIR...`: analyse runs and write the report; the same as `python -m analysis`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from typing import Any

ANALYSIS = "analysis.__main__"
"""Named and not imported: the package must not depend on its reader."""
_analysis: Any = import_module(ANALYSIS)
DESCRIPTION: str = _analysis.DESCRIPTION
EPILOG: str = _analysis.EPILOG


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `rlavr report`."""
    _analysis.add_arguments(parser)


def pass_on(arguments: Sequence[str], parser: argparse.ArgumentParser) -> int:
    """Write the report, or serve it with `watch`; returns the exit code."""
    return int(_analysis.run(arguments, parser))
