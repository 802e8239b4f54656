"""The protocol of a rollout engine, and the seed of every request."""

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
    """0 = greedy: always the most likely token."""
    max_tokens: int
    top_p: float = 1.0
    purpose: str = "train"
    """Part of every request's seed, so that evaluation and training draw different noise."""


def never() -> bool:
    """For work that is never aborted."""
    return False


class RolloutEngine(Protocol):
    """Generates responses with the weights it was last given."""

    replica: int
    """Which of `replicas` independent copies this rank belongs to."""
    replicas: int
    is_leader: bool
    """True on the one rank of a replica whose results count."""
    weights_version: int | None
    """Version of the policy whose weights it holds; None = it holds none."""

    def sync(
        self, weights: Iterable[tuple[str, torch.Tensor]], *, version: int, partial: bool = False
    ) -> None:
        """Load the policy's weights. All ranks call this together.

        Args:
            weights: by name.
            version: of the policy.
            partial: weights that are left out keep the value that the engine holds.
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
            prompts: to respond to.
            sampling: how to sample.
            step_key: part of every request's seed.
            version: of the weights that the engine must hold.
            should_abort: asked at every token; the ranks of a replica abort together.

        Raises:
            OutOfTimeError: `should_abort` returned True.
            StaleWeightsError: the engine holds another version than `version`.
        """

    def sleep(self) -> None:
        """Free the accelerator's memory for training; the weights may be gone afterwards."""


def request_seed(step_key: StepKey, *, prompt_id: str, sample: int, purpose: str) -> int:
    """The seed of one request: a hash, because neighbouring seeds may give similar noise."""
    key = f"{step_key.seed}/{step_key.branch}/{step_key.step}/{purpose}/{sample}/{prompt_id}"
    digest = hashlib.blake2b(key.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) >> (64 - SEED_BITS)


def refuse_stale(weights_version: int | None, wanted: int) -> None:
    """Raise StaleWeightsError unless the engine holds the weights of version `wanted`."""
    if weights_version != wanted:
        raise StaleWeightsError(
            f"the engine holds weights of version {weights_version}, the policy is at version "
            f"{wanted}; sync the weights first"
        )
