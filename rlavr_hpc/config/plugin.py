"""A class named in YAML, and the settings it takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


@dataclass(slots=True, kw_only=True)
class PluginConfig:
    """A class named in YAML and the settings it takes."""

    name: str = MISSING
    target: str = MISSING
    """package.module:Class"""
    settings: dict[str, Any] = field(default_factory=dict)
