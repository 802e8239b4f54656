"""Which command brings a waiting run its labels."""

from __future__ import annotations

AT_THE_DESK = "people"
"""The source that no bridge asks: people answer at their page."""


def fetch_verb(source: str | None) -> str:
    """`labels desk` or `labels serve`, for a run that asked this source."""
    return "labels desk" if source == AT_THE_DESK else "labels serve"


def fetch_words(source: str | None) -> str:
    """What that command does."""
    return "let people answer" if source == AT_THE_DESK else "fetch its labels"
