"""How version 0.1 named a run: its hash held import paths. Needed to find the folders it made.

The table below is frozen: these are the paths of that version, not those of today. So is how that
version read answers: in the last box, wherever it stood.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from rlavr_hpc.config.grading import Extract, Thoughts
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.config.warning import ACTING, ActsOn

_ACQUISITION = "rlavr_hpc.acquisition.policies"
_LEARNING = "rlavr_hpc.learning"
TARGETS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "acquisition": {
            "anchored": f"{_ACQUISITION}.anchored:AnchoredPolicy",
            "avg_prob": f"{_ACQUISITION}.avg_prob:AvgProbPolicy",
            "cag_oracle": f"{_ACQUISITION}.cag_oracle:CagOraclePolicy",
            "care": f"{_ACQUISITION}.care:CarePolicy",
            "entropy": f"{_ACQUISITION}.entropy:EntropyPolicy",
            "full": f"{_ACQUISITION}.full:FullPolicy",
            "none": f"{_ACQUISITION}.none:NonePolicy",
            "random": f"{_ACQUISITION}.random:RandomPolicy",
        },
        "reward": {
            "probability": f"{_LEARNING}.certainty:ProbabilityReward",
            "self_certainty": f"{_LEARNING}.certainty:SelfCertaintyReward",
            "self_verify": f"{_LEARNING}.self_verify:SelfVerifyReward",
            "token_entropy": f"{_LEARNING}.certainty:TokenEntropyReward",
            "trajectory_entropy": f"{_LEARNING}.certainty:TrajectoryEntropyReward",
            "vote": f"{_LEARNING}.rewards:VoteReward",
        },
        "algorithm.loss": {
            "cispo": f"{_LEARNING}.losses.cispo:CispoLoss",
            "dapo": f"{_LEARNING}.loss:GrpoLoss",
            "dr_grpo": f"{_LEARNING}.losses.dr_grpo:DrGrpoLoss",
            "grpo": f"{_LEARNING}.loss:GrpoLoss",
            "gspo": f"{_LEARNING}.losses.gspo:GspoLoss",
            "rloo": f"{_LEARNING}.losses.rloo:RlooLoss",
        },
    }
)
"""Config key -> name -> target, of what version 0.1 brought."""


OLD_EXTRACT, OLD_THOUGHTS = Extract.boxed, Thoughts.read
"""Defaults of `grading` in version 0.1, which had no key for thoughts."""


def with_old_grading(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """A config on record, with what was done where it lacks a key."""
    grading = values.get("grading")
    if not isinstance(grading, Mapping) or "thoughts" in grading:
        return values
    return {**values, "grading": {"thoughts": str(OLD_THOUGHTS), **grading}}


def with_old_warning(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same of a config from before there was an alarm: what acted then was the hint."""
    warning = values.get("warning")
    if (
        not isinstance(warning, Mapping)
        or "act_on" in warning
        or warning.get("action") not in ACTING
    ):
        return values
    return {**values, "warning": {"act_on": str(ActsOn.hint), **warning}}


def graded_as_before(config: RunConfig) -> RunConfig:
    """The same run with version 0.1's way of reading answers."""
    grading = replace(config.grading, extract=OLD_EXTRACT, thoughts=OLD_THOUGHTS)
    return replace(config, grading=grading)


def with_old_targets(flat: Mapping[str, Any]) -> dict[str, Any]:
    """A config's flat keys and values as version 0.1 hashed them, with its import paths."""
    old = {**flat, "version": 1}
    for group, targets in TARGETS.items():
        name, target = flat[f"{group}.name"], str(flat[f"{group}.target"])
        if target.startswith("rlavr_hpc.") and name in targets:
            old[f"{group}.target"] = targets[name]
    return old
