"""What a rollout engine is, and the seed of every request."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rlavr_hpc.errors import StaleWeightsError
from rlavr_hpc.types import Prompt, Rollout, StepKey

if TYPE_CHECKING:
    import torch

SEED_BITS = 62
"""vLLM takes a signed 64-bit seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How to sample."""

    samples: int
    """Per prompt."""
    temperature: float
    """0 = always the likeliest token."""
    max_tokens: int
    top_p: float = 1.0
    purpose: str = "train"
    """Enters the seeds, so that evaluation draws other noise than training."""


def never() -> bool:
    """For work that nobody gives up."""
    return False


class RolloutEngine(Protocol):
    """Generates responses with the weights it was last given."""

    replica: int
    """Which of `replicas` independent copies this rank belongs to."""
    replicas: int
    is_leader: bool
    """True on the one rank of a replica whose results count."""
    held: int | None
    """Version of the weights it holds; None = of no value."""

    def sync(
        self, weights: Iterable[tuple[str, torch.Tensor]], *, version: int, partial: bool = False
    ) -> None:
        """Take over the policy's weights, version `version`. All ranks call this together.

        With `partial` those that are left out stay as they are in the version that it holds.
        """

    def sample(
        self,
        prompts: Sequence[Prompt],
        *,
        sampling: Sampling,
        step_key: StepKey,
        version: int,
        should_abort: Callable[[], bool] = never,
    ) -> list[list[Rollout]]:
        """Responses per prompt, `sampling.samples` each; they depend on nothing sampled before.

        Args:
            prompts: what to respond to.
            sampling: how.
            step_key: enters every request's seed.
            version: of the weights that must be held.
            should_abort: asked at every token; ranks of one replica give up together.

        Raises:
            GivenUpError: `should_abort` said so.
            StaleWeightsError: the engine holds another version than `version`.
        """

    def rest(self) -> None:
        """Give the accelerator's memory to training; the weights may be gone after it."""


def request_seed(step_key: StepKey, *, prompt_id: str, sample: int, purpose: str) -> int:
    """The seed of one request: a hash, because neighbouring seeds would share noise."""
    key = f"{step_key.seed}/{step_key.branch}/{step_key.step}/{purpose}/{sample}/{prompt_id}"
    digest = hashlib.blake2b(key.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) >> (64 - SEED_BITS)


def refuse_stale(held: int | None, wanted: int) -> None:
    """Raise unless the engine holds the weights that are asked for."""
    if held != wanted:
        raise StaleWeightsError(
            f"the engine holds weights of version {held}, the policy is at {wanted}: sync first"
        )
