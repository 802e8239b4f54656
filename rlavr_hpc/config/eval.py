"""Config group `eval`: evaluation on held-out prompts."""

from __future__ import annotations

from dataclasses import dataclass

from rlavr_hpc.config.checks import at_least
from rlavr_hpc.errors import UserError


@dataclass(slots=True, kw_only=True)
class EvalConfig:
    """Evaluation on held-out prompts, at the start, the end and every `eval_every` steps."""

    samples: int = 8
    """n of mean@n: responses per held-out prompt."""
    temperature: float = 1.0
    """Sampling temperature, above 0."""
    top_p: float = 1.0
    """Nucleus sampling: probability mass kept, above 0 and at most 1; 1 = all."""

    def __post_init__(self) -> None:
        """Check ranges."""
        at_least("eval.samples", self.samples, 1)
        if not (self.temperature > 0 and 0 < self.top_p <= 1):
            raise UserError("eval.temperature must be above 0 and eval.top_p in (0, 1]")
