"""Key group `acquisition`: which labels are bought."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rlavr_hpc.config.plugin import PluginConfig


class Unlabelled(StrEnum):
    """What a prompt without a label is trained on (method, section 4)."""

    drop = "drop"
    pseudo = "pseudo"
    trusted = "trusted"
    soft = "soft"


@dataclass(slots=True, kw_only=True)
class AcquisitionConfig(PluginConfig):
    """Which labels are bought, and what the budget means for this policy."""

    default_budget: float = 0.2
    fixed_budget: bool = False
    """True when no other budget makes sense for this policy."""
    default_unlabelled: Unlabelled = Unlabelled.drop
    has_scores: bool = False
    """True when the policy scores candidates by what their label is worth: `unlabelled=soft`."""
    has_trust: bool = False
    """True when the policy says whose vote it trusts: `unlabelled=trusted`."""
    research_only: bool = False
    """True when the policy looks at labels nobody bought."""
