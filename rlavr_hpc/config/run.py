"""The whole config of a run: its groups, what spans them, and how it is resolved.

No torch and no file access here.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rlavr_hpc.config.acquisition import AcquisitionConfig, Unlabelled
from rlavr_hpc.config.algorithm import AlgorithmConfig
from rlavr_hpc.config.checkpoint import CheckpointConfig
from rlavr_hpc.config.checks import at_least
from rlavr_hpc.config.cluster import ClusterConfig
from rlavr_hpc.config.data import DataConfig
from rlavr_hpc.config.deepspeed import DeepspeedConfig
from rlavr_hpc.config.eval import EvalConfig
from rlavr_hpc.config.grading import GradingConfig
from rlavr_hpc.config.labels import LabelsConfig
from rlavr_hpc.config.lora import LoraConfig
from rlavr_hpc.config.model import ModelConfig
from rlavr_hpc.config.plugin import PluginConfig
from rlavr_hpc.config.remarks import remarks_on
from rlavr_hpc.config.rollout import RolloutConfig
from rlavr_hpc.config.task import TaskConfig
from rlavr_hpc.config.testbeds import check_testbeds
from rlavr_hpc.config.tracking import TrackingConfig
from rlavr_hpc.config.warning import OnRisk, WarningConfig
from rlavr_hpc.errors import UserError

PAYS_BY_RESPONSE = (
    "self_certainty",
    "token_entropy",
    "trajectory_entropy",
    "probability",
    "self_verify",
)
"""Rewards that differ also where all answers of a prompt are the same."""
TESTBED_MICRO_BATCH = 512
"""Responses: all of a step at its defaults."""


@dataclass(slots=True, kw_only=True)
class RunConfig:
    """Everything a run is made from."""

    name: str = "run"
    """Name of the run or sweep; the first part of its folder's name."""
    seed: int = 1
    """Seed of all random numbers of the run."""
    steps: int = 150
    """Length of the run, in steps: one step generates responses for one batch and trains on
    them."""
    budget: float | None = None
    """p, the share of a step's prompts, 0 to 1, whose label may be bought; null = the policy's
    default."""
    budget_total: int | None = None
    """Most labels that may be bought over the run; then it goes on without; null = no cap."""
    budget_cost: float | None = None
    """Most money that labels may cost, with all that is ordered and not answered; null = no cap."""
    reuse_labels: bool = True
    """Whether a label that was bought is remembered, and free when its prompt returns."""
    unlabelled: Unlabelled | None = None
    """What a prompt without a label is trained on; null = the policy's default."""
    soft_adv: float = 1.0
    """Factor of a prompt's score in the weight of its vote: with soft exp(-soft_adv * score /
    mean), with trusted clip(soft_adv * score, 0, 1)."""
    eval_every: int = 50
    """Steps between evaluations, besides the first and the last; 0 = only those."""
    save_every: int = 50
    """Steps between checkpoints, besides the last; 0 = only the last."""
    root: str = "runs"
    """Folder of runs: single runs are in ROOT/NAME-HASH8, a sweep's in ROOT/NAME/HASH8."""
    run_dir: str | None = None
    """Folder of this single run, instead of ROOT/NAME-HASH8."""
    allow_change: list[str] = field(default_factory=list)
    """Keys that may differ from the run folder's config when the run is resumed."""
    retry_failed: bool = False
    """Whether a sweep on Slurm also submits runs that failed or were cancelled."""
    audit: bool = True
    """Whether to report numbers that need labels nobody bought, under `oracle/`; training never
    sees them."""
    profile: bool = False
    """Whether to write a trace and a table of where the time of steps 3 to 5 goes."""
    model: ModelConfig = MISSING
    data: DataConfig = MISSING
    task: TaskConfig = field(default_factory=TaskConfig)
    rollout: RolloutConfig = MISSING
    reward: PluginConfig = MISSING
    acquisition: AcquisitionConfig = MISSING
    labels: LabelsConfig = field(default_factory=LabelsConfig)
    algorithm: AlgorithmConfig = MISSING
    grading: GradingConfig = field(default_factory=GradingConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)
    warning: WarningConfig = field(default_factory=WarningConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    deepspeed: DeepspeedConfig = MISSING
    lora: LoraConfig = field(default_factory=LoraConfig)
    tracking: TrackingConfig = MISSING
    cluster: ClusterConfig = field(default_factory=ClusterConfig)

    def __post_init__(self) -> None:
        """Fill in the policy's defaults and check what spans groups."""
        _check_name(self.name)
        at_least("steps", self.steps, 1)
        at_least("seed", self.seed, 0)
        at_least("eval_every", self.eval_every, 0)
        at_least("save_every", self.save_every, 0)
        self.budget = _checked_budget(self.budget, self.acquisition)
        self.unlabelled = self.unlabelled or self.acquisition.default_unlabelled
        for key in ("budget_total", "budget_cost"):
            at_least(key, getattr(self, key) or 0, 0)
        if self._drops and (self.quota == 0 or self.budget_total == 0):
            raise UserError(
                f"acquisition={self.acquisition.name} may buy no label here and unlabelled="
                f"{self.unlabelled} trains on none but bought ones: nothing would be learnt; use "
                "unlabelled=pseudo"
            )
        if not 0 <= self.soft_adv < math.inf:
            raise UserError(f"soft_adv={self.soft_adv} must not be negative")
        self.task.check_beside(self.data.task)
        self.warning.check_beside(self)
        self._check_oversample()
        check_testbeds(self.data, self.model)
        if self.model.built_here:
            self._fill_in_testbed()

    def _fill_in_testbed(self) -> None:
        """So small a model is never planned for."""
        if self.algorithm.micro_batch is None:
            self.algorithm.micro_batch = TESTBED_MICRO_BATCH
        if self.deepspeed.gradient_checkpointing is None:
            self.deepspeed.gradient_checkpointing = False

    def _check_oversample(self) -> None:
        if self.algorithm.oversample > 1 and self.reward.name in PAYS_BY_RESPONSE:
            raise UserError(
                f"algorithm.oversample={self.algorithm.oversample} passes over prompts whose votes "
                f"agree, but reward={self.reward.name} tells their responses apart; use "
                "reward=vote or algorithm.oversample=1"
            )

    def quota_at(self, risk: float) -> int:
        """New labels a step may buy at this `collapse/risk` of the step before."""
        if self.warning.action is not OnRisk.raise_budget or risk < self.warning.threshold:
            return self.quota
        return min(self.algorithm.batch, math.ceil(self.quota * self.warning.budget_factor))

    @property
    def task_name(self) -> str | None:
        """The task of all rows; None = each row's `data_source` says it."""
        return self.task.named or self.data.task

    @property
    def _drops(self) -> bool:
        """Whether nothing without a label is trained on before any was bought."""
        return self.unlabelled in (Unlabelled.drop, Unlabelled.trusted)

    @property
    def remarks(self) -> list[str]:
        """Combinations that work but do less than their names say."""
        return remarks_on(self)

    @property
    def quota(self) -> int:
        """New labels a step may buy: ceil(p*B), safe against rounding of p*B."""
        assert self.budget is not None
        return max(0, math.ceil(self.budget * self.algorithm.batch - 1e-9))

    @property
    def budget_effective(self) -> float:
        """The share that `quota` really is: 0.02 of 64 prompts is 2 of 64, 3.1%."""
        return self.quota / self.algorithm.batch

    def labels_allowed(self, steps: int) -> int:
        """New labels that so many steps may buy."""
        allowed = self.quota_at(1.0) * steps  # under a cap where a warning may raise it
        return allowed if self.budget_total is None else min(allowed, self.budget_total)

    @property
    def updates_per_step(self) -> int:
        """Optimizer updates per step."""
        return self.algorithm.batch // self.algorithm.prompts_per_update


def _check_name(name: str) -> None:
    if not name or not all(c.isalnum() or c in "._-" for c in name) or name.startswith("."):
        raise UserError(f"name={name!r}: use letters, digits, '.', '_' and '-' only")


def _checked_budget(budget: float | None, policy: AcquisitionConfig) -> float:
    if budget is None:
        return policy.default_budget
    if not 0 <= budget <= 1:
        raise UserError(
            f"budget={budget} is outside [0, 1]: it is the share of prompts whose label may be "
            "bought, e.g. budget=0.2"
        )
    if policy.fixed_budget and budget != policy.default_budget:
        raise UserError(
            f"budget={budget} contradicts acquisition={policy.name}, whose budget is always "
            f"{policy.default_budget:g}; leave budget out or choose another acquisition"
        )
    if not policy.fixed_budget and budget == 0:
        raise UserError(f"budget=0 leaves acquisition={policy.name} idle; use acquisition=none")
    return budget


def resolve(config: DictConfig) -> RunConfig:
    """Turn a composed Hydra config into a checked `RunConfig`.

    Raises:
        UserError: a value of the wrong type, a missing value, or an impossible combination.
    """
    try:
        resolved = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(RunConfig), config))
    except OmegaConfBaseException as error:
        raise UserError(_first_line(error)) from error
    except AttributeError as error:  # slots refuse a key that +key=value added
        kind, key = re.findall(r"'(\w+)'", str(error))
        raise UserError(f"{key}: no such key in {kind}") from error
    assert isinstance(resolved, RunConfig)
    return resolved


def _first_line(error: OmegaConfBaseException) -> str:
    key = getattr(error, "full_key", None)
    text = str(error).splitlines()[0]
    return f"{key}: {text}" if key else text
