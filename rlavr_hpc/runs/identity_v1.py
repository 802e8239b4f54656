"""How version 0.1 named a run: its hash held import paths. Needed to find the folders it made.

The table below is frozen: these are the paths of that version, not those of today.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

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


def with_old_targets(flat: Mapping[str, Any]) -> dict[str, Any]:
    """A config's flat keys and values as version 0.1 hashed them, with its import paths."""
    old = {**flat, "version": 1}
    for group, targets in TARGETS.items():
        name, target = flat[f"{group}.name"], str(flat[f"{group}.target"])
        if target.startswith("rlavr_hpc.") and name in targets:
            old[f"{group}.target"] = targets[name]
    return old
