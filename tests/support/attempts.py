"""Attempts without a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlavr_hpc.runs.attempts import Attempt, publish_attempt, read_attempts


def begin_attempt(run_dir: Path, *, resumed_from: int, **facts: Any) -> Attempt:  # noqa: ANN401
    """Publish the next token, whichever that is."""
    attempt = publish_attempt(
        run_dir, resumed_from=resumed_from, after=len(read_attempts(run_dir)), **facts
    )
    assert attempt is not None
    return attempt
