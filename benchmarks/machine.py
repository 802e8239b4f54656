"""On which machine a figure was measured."""

from __future__ import annotations

import platform
from pathlib import Path


def machine() -> str:
    """How many of which processor, and the Python."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    processor = models[0] if models else platform.machine()
    return f"{len(models)} x {processor}, Python {platform.python_version()}"
