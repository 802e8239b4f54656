"""What the desk shows of strangers' text, and what the grader reads in an answer."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from rlavr_hpc.labels.orders import Order
from rlavr_hpc.labels.served_run import ServedRun

MAX_SHOWN = 100_000
"""Characters of a text that a page shows."""
JOINERS = "\u200c\u200d"
"""Invisible, but part of how words and signs are written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the grader makes of an answer."""

    shown: str = ""
    """The answer as it reads it."""
    problem: str = ""
    """Why the text cannot be a label; "" = it can."""
    note: str = ""
    """What else the annotator should know."""
    math: bool = False
    """Whether `shown` is a formula in LaTeX."""
    key: str = ""
    """Answers with equal keys are surely equal; "" = nothing is known."""


Preview: TypeAlias = Callable[[ServedRun, Order, str], Reading]
"""What the run's own grader reads in a text, for an order; it may take seconds."""


def visible(text: str) -> str:
    """A text in which nothing is hidden: control, direction and other unseen characters are named.

    Escape sequences of terminals, and marks that turn the direction of writing, show as what they
    are. What is longer than a page takes is cut, and says so.
    """
    text = text.replace("\r\n", "\n")
    shown = "".join(map(_visible, text[:MAX_SHOWN]))
    cut = len(text) - MAX_SHOWN
    return f"{shown}\n[{cut:,} characters more]" if cut > 0 else shown


def _visible(char: str) -> str:
    if char.isprintable() or char in "\n\t" or char in JOINERS:
        return char
    return " " if unicodedata.category(char) == "Zs" else f"[U+{ord(char):04X}]"
