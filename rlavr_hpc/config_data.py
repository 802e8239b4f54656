"""The data group of a run's config: where prompts and labels come from, and how they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rlavr_hpc.config_groups import at_least
from rlavr_hpc.errors import UserError


class DataKind(StrEnum):
    """How the training prompts are read."""

    testbed = "testbed"
    parquet = "parquet"
    jsonl = "jsonl"


class ChatTemplate(StrEnum):
    """Whether the tokenizer's chat template is put around a prompt."""

    auto = "auto"
    apply = "apply"
    none = "none"


class Overlong(StrEnum):
    """What happens to a prompt that is longer than `rollout.max_prompt_tokens`."""

    filter = "filter"
    error = "error"


@dataclass(slots=True, kw_only=True)
class DataConfig:
    """Where prompts and labels come from."""

    kind: DataKind = DataKind.testbed
    path: str | None = None
    """Training file; `data=parquet` and `data=jsonl`."""
    eval_path: str | None = None
    """Held-out file of the same kind; else `holdout` decides."""
    holdout: float = 0.0
    """Share of the training prompts kept out of training, for evaluation."""
    eval_limit: int = 0
    """Evaluate on at most this many held-out prompts; 0 = all."""
    seed: int = 0
    """Of the data set (hold-out choice, testbed), not of the run."""
    task: str | None = None
    """How answers are read (math, knights); null = by each row's `data_source`."""
    chat_template: ChatTemplate = ChatTemplate.auto
    system_prompt: str | None = None
    """Put before every chat prompt."""
    enable_thinking: bool | None = None
    """Passed to chat templates that know it; null = the template's default."""
    overlong: Overlong = Overlong.filter
    kinds: str = "HMHHMHXX"
    """Testbed only: one letter a family, H honest, M misbelieved, X hopeless."""
    wrong_rule: int = 0
    """Testbed only: which wrong rule the misbelieved families follow."""

    def __post_init__(self) -> None:
        """Check fields against each other."""
        if self.kind is not DataKind.testbed and not self.path:
            raise UserError(f"data.path is missing: data={self.kind} needs a file, data.path=FILE")
        if not 0 <= self.holdout < 1:
            raise UserError(f"data.holdout={self.holdout} is outside [0, 1)")
        at_least("data.eval_limit", self.eval_limit, 0)
        at_least("data.wrong_rule", self.wrong_rule, 0)
