"""The components of a run: the trainer knows them by their protocols, not by their vendors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rlavr_hpc.acquisition.ledger import Ledger
from rlavr_hpc.acquisition.ledger_state import BudgetRules
from rlavr_hpc.acquisition.market import LabelMarket
from rlavr_hpc.acquisition.policy_protocol import AcquisitionPolicy
from rlavr_hpc.answers.recorded_verifier import RecordedVerifier
from rlavr_hpc.answers.timed_out_answers import TimedOutAnswers
from rlavr_hpc.cluster.preemption import Deadline
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.data.stream import PromptStream
from rlavr_hpc.learning.reward_shaping import Shaping
from rlavr_hpc.learning.rewards import PseudoReward
from rlavr_hpc.rollout.engine import RolloutEngine
from rlavr_hpc.runs.heartbeat import Heartbeat
from rlavr_hpc.telemetry.audit import Audit, Judge
from rlavr_hpc.trainer.acquisition_state import AcquisitionState
from rlavr_hpc.trainer.policy.protocol import Policy
from rlavr_hpc.trainer.stages.self_verification import SelfVerifier
from rlavr_hpc.types import Prompt

HELD_OUT = "held_out"
"""Name of the test set that comes from the run's own data; the summary quotes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutSet:
    """Held-out prompts with their labels, for evaluation only."""

    name: str
    prompts: tuple[Prompt, ...]
    answers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Records that are on disk before what they say is used."""

    ledger: Ledger | None
    """On rank 0 only: there is one writer."""
    timed_out: TimedOutAnswers
    """On every rank; only rank 0 writes."""
    attempt: int
    """Its number."""
    run_dir: Path
    heartbeat: Heartbeat | None
    """On rank 0 only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """Everything a step uses."""

    config: RunConfig
    run_dir: Path
    stream: PromptStream
    engine: RolloutEngine
    policy: Policy
    verifier: RecordedVerifier
    acquisition_state: AcquisitionState
    """The acquisition policy as checkpoints know it."""
    rules: BudgetRules
    ledger: Ledger | None
    """On rank 0 only: there is one writer."""
    market: LabelMarket | None
    """Where labels are bought; on rank 0 only."""
    buyable: frozenset[str] | None
    """Prompts that the acquisition policy may choose from; None = all."""
    pseudo: PseudoReward
    self_verifier: SelfVerifier | None
    """For rewards made of the policy's own judgement."""
    test_sets: tuple[HeldOutSet, ...]
    audit: Audit | None
    oracle: Judge | None
    """For policies marked as research only."""
    heartbeat: Heartbeat | None
    """Says for what the run waits; on rank 0 only."""
    deadline: Deadline
    """Decides when work in progress is aborted after a stop signal."""

    @property
    def shaping(self) -> Shaping:
        """Changes to rewards before they become advantages."""
        algorithm = self.config.algorithm
        return Shaping(
            advantage=algorithm.advantage,
            leave_out=algorithm.leave_out,
            overlong=algorithm.overlong,
            max_tokens=self.config.rollout.max_response_tokens,
        )

    @property
    def acquisition(self) -> AcquisitionPolicy:
        """Decides which labels are bought."""
        return self.acquisition_state.policy
