"""Hydra's command line on Python 3.14 and later."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CHECK = "_check_help"
"""argparse's check of an option's help text, there since Python 3.14."""


@contextmanager
def lazy_help_allowed() -> Iterator[None]:
    """Let options be added whose help is an object that becomes text when it is printed.

    Hydra 1.3 has one such option, and argparse refuses it since Python 3.14. Help that is text is
    checked as before. Earlier Pythons do not check; there this does nothing.
    """
    check = getattr(argparse.ArgumentParser, CHECK, None)
    if check is None:
        yield
        return

    def check_text(parser: argparse.ArgumentParser, action: Any) -> None:  # noqa: ANN401
        if isinstance(action.help, str):
            check(parser, action)

    setattr(argparse.ArgumentParser, CHECK, check_text)
    try:
        yield
    finally:
        setattr(argparse.ArgumentParser, CHECK, check)
