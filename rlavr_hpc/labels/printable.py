"""Text of strangers, as a log may show it."""

from __future__ import annotations


def printable(text: str, width: int = 80) -> str:
    """A stranger's text on one line of a terminal."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * width]).split())
    return flat if len(flat) <= width else f"{flat[: width - 3]}..."
