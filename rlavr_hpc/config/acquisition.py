"""Config group `acquisition`: which labels are bought."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rlavr_hpc.config.plugin import PluginConfig


class Unlabelled(StrEnum):
    """What a prompt without a label is trained on (method, section 4)."""

    drop = "drop"
    """Not trained on."""
    pseudo = "pseudo"
    """Trained on its pseudo-reward, by default the majority vote."""
    trusted = "trusted"
    """Trained on its vote if the policy trusts the vote, else not trained on."""
    soft = "soft"
    """Trained on its vote, with less weight the higher the policy's score."""


class CandidateRule(StrEnum):
    """Which prompts of a step are offered to the acquisition policy."""

    auto = "auto"
    """Those with a label in the data where most training prompts have none, else all."""
    all = "all"
    """All: buying one without a label spends quota and yields nothing."""
    labelled = "labelled"
    """Those with a label in the data."""


@dataclass(slots=True, kw_only=True)
class AcquisitionConfig(PluginConfig):
    """Which labels are bought, and what the budget means for this policy."""

    default_budget: float = 0.2
    """Budget of this policy when `budget` is null, as a share of a step's prompts, 0 to 1."""
    fixed_budget: bool = False
    """Whether `budget` must be the policy's default: no other value makes sense."""
    default_unlabelled: Unlabelled = Unlabelled.drop
    """What a prompt without a label is trained on when `unlabelled` is null."""
    has_scores: bool = False
    """Whether the policy scores what a prompt's label is worth; `unlabelled=soft` uses the
    scores."""
    has_trust: bool = False
    """Whether the policy says whose vote it trusts; `unlabelled=trusted` uses it."""
    candidates: CandidateRule = CandidateRule.auto
    """Which prompts of a step are offered to the policy."""
    research_only: bool = False
    """Whether the policy looks at labels nobody bought; such a run proves nothing about budgets."""
