"""The facts of an exported policy, for `rlavr_hpc.json` and the model card.

Neither holds a label, a prompt, a path or the name of a machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Which checkpoint of which run it is."""

    run: str
    config_hash: str
    """When the checkpoint was written."""
    config_changed: bool
    """Whether the run has been given other settings since (`allow_change`)."""
    seed: int
    step: int
    steps: int
    """The run's aim."""
    branch: int
    attempt: int
    """The one that wrote the checkpoint."""
    ranks: int
    manifest_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What was trained, and how it is written."""

    base: str
    """A hub name, the name of a local folder, "testbed" or "reasoning"."""
    on_hub: bool
    parameters: int
    dtype: str
    trained_dtype: str
    trust_remote_code: bool
    lora_rank: int | None = None
    """Of the adapters that were trained; None = all weights were."""
    adapter: bool = False
    """Whether the adapters were written alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """How it was trained."""

    acquisition: str
    uses_oracle: bool
    """The policy looked at labels that nobody bought."""
    unlabelled: str
    reward: str
    loss: str
    learning_rate: float
    batch: int
    group_size: int
    temperature: float
    max_response_tokens: int
    stop_token_ids: tuple[int, ...]
    """All that end a response."""
    data: str
    """Kind of the training data."""
    prompts: int | None
    """Training prompts; None = not recorded."""
    prompts_fingerprint: str
    chat_template: bool | None
    """Whether the tokenizer's was put around prompts; None = not recorded."""
    system_prompt: bool
    """Whether there was one; its text is not given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSpend:
    """Labels up to and with the checkpoint's step."""

    budget: float
    """Asked for: share of a step's prompts."""
    budget_effective: float
    """After rounding up to whole labels."""
    quota: int
    """Labels a step."""
    budget_total: int | None
    bought: int
    allowed: int
    reused: int
    void: int
    """Purchases that met no label."""
    cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOutcome:
    """What the run's record says of the policy, up to and with the checkpoint's step."""

    statistic: str
    """Of the held-out prompts, e.g. mean@8."""
    held_out: int | None
    """Held-out prompts; None = not recorded."""
    accuracy_start: float | None
    accuracy: float | None
    """At this very step; None = not measured there."""
    last_measured: tuple[int, float] | None
    """(step, accuracy) of the last measurement up to here."""
    collapsed: bool | None
    """None = not known."""
    early_warning: Mapping[str, float | str] | None
    """Step, risk and reason of the first one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What the attempt that wrote the checkpoint ran on."""

    revision: str | None
    earlier_revisions: tuple[str, ...]
    """Others that attempts before it ran on."""
    python: str | None
    packages: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All of it."""

    origin: Origin
    weights: Weights
    method: Method
    spend: LabelSpend
    outcome: TrainingOutcome
    code: Code

    def as_dict(self) -> dict[str, Any]:
        """As `rlavr_hpc.json` holds it."""
        return {"version": VERSION, **asdict(self)}
