"""The key of a service: from the environment of whoever asks it, and nowhere else."""

from __future__ import annotations

import os

from rlavr_hpc.labels.source import SourceStoppedError

HIDDEN = "[key]"


def read_key(variable: str | None) -> str:
    """The key in an environment variable; "" where none is named.

    Raises:
        SourceStoppedError: it is missing, or cannot be sent; its value is not quoted.
    """
    if variable is None:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise SourceStoppedError(
            f"the environment variable {variable} (labels.key_variable) is not set where the "
            "bridge runs (with labels.inline, the run itself)"
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise SourceStoppedError(
            f"the environment variable {variable} (labels.key_variable) holds more than a key: "
            "blanks, line breaks or letters that cannot be sent"
        )
    return key


def hide(text: str, *keys: str) -> str:
    """A service's text, which may quote the key it was sent."""
    for key in keys:
        if len(key) >= 4:
            text = text.replace(key, HIDDEN)
    return text
