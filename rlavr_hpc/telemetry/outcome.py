"""What is stored on a dashboard when an attempt ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """What is stored with a run as an artifact; the same content counts once."""

    kind: str
    """Names it, and is its type: config, ledger, checkpoint."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Name -> content."""
    folder: Path | None = None
    """Whose files belong to it too, as they are: they are too large to be copied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """What is stored with a run when an attempt ends."""

    attachments: tuple[Attachment, ...] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)
