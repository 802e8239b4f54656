"""Checks that every group shares."""

from __future__ import annotations

from rlavr_hpc.errors import UserError


def at_least(key: str, value: float, least: float) -> None:
    """Raise UserError when a setting is too small."""
    if value < least:
        raise UserError(f"{key}={value} must be at least {least}")
