"""Ranks on unlike machines agree on how much a forward pass holds."""

from __future__ import annotations

from rlavr_hpc.planning.derive import PassSettings
from rlavr_hpc.trainer import distributed


def agree(mine: PassSettings) -> PassSettings:
    """The most careful rank's settings, on every rank; all ranks call this together."""
    found = [passes for part in distributed.gather_lists([mine]) for passes in part]
    return max(found, key=_care)


def _care(passes: PassSettings) -> tuple[bool, int]:
    size = passes.micro_tokens or passes.micro_batch or 0
    return passes.gradient_checkpointing, -size
