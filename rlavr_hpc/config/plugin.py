"""A class named in YAML, and the settings it takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


@dataclass(slots=True, kw_only=True)
class PluginConfig:
    """A class named in YAML and the settings it takes."""

    name: str = MISSING
    """Registered name, which the run's identity is made of."""
    target: str = MISSING
    """Import path of the class, `package.module:Class`; not part of the run's identity."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Arguments of the class; the option's file in conf/ lists them, each with a comment."""

    @property
    def comes_with_the_program(self) -> bool:
        """Whether its class is the program's own."""
        return self.target.startswith("rlavr_hpc.")
