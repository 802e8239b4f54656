"""Generation by Transformers with a static batch: a fallback, and faster for tiny models.

Every rank keeps a whole copy of the model. Tokens are drawn by inverting the cumulative
distribution at one uniform number per position, which depends on the request's seed alone.

Shapes: N sequences, T prompt tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from rlavr_hpc.rollout.engine import Sampling, never, refuse_stale, request_seed
from rlavr_hpc.rollout.static_batch import Decoder
from rlavr_hpc.types import Prompt, Rollout, StepKey


@dataclass(frozen=True, slots=True, kw_only=True)
class HfEngineConfig:
    """The engine's settings."""

    model_path: Path | str
    dtype: torch.dtype
    device: torch.device
    stop_ids: frozenset[int]
    pad_id: int
    max_sequences: int
    trust_remote_code: bool


class HfEngine:
    """A static-batch sampler on this rank."""

    is_leader = True

    def __init__(
        self,
        config: HfEngineConfig,
        *,
        rank: int,
        world_size: int,
        decode: Callable[[Sequence[int]], str],
    ) -> None:
        """Build the model without weights; `sync` brings them."""
        self.replica, self.replicas = rank, world_size
        self._config = config
        self._decode = decode
        self.weights_version: int | None = None
        architecture = AutoConfig.from_pretrained(
            config.model_path, trust_remote_code=config.trust_remote_code
        )
        state = torch.get_rng_state()  # the weights initialised here are never used
        self._model = AutoModelForCausalLM.from_config(
            architecture, dtype=config.dtype, trust_remote_code=config.trust_remote_code
        )
        torch.set_rng_state(state)
        self._model.to(config.device).eval().requires_grad_(False)
        self._targets = dict(self._model.named_parameters(remove_duplicate=False))

    def sync(
        self, weights: Iterable[tuple[str, torch.Tensor]], *, version: int, partial: bool = False
    ) -> None:
        """Copy the policy's weights."""
        missing = set() if partial and self.weights_version is not None else set(self._targets)
        self.weights_version = None
        for name, tensor in weights:
            self._targets[name].data.copy_(tensor)
            missing.discard(name)
        self.weights_version = None if missing else version

    def sample(
        self,
        prompts: Sequence[Prompt],
        *,
        sampling: Sampling,
        step_key: StepKey,
        version: int,
        should_abort: Callable[[], bool] = never,
    ) -> list[list[Rollout]]:
        """Responses per prompt, in order."""
        refuse_stale(self.weights_version, version)
        requests = [(prompt, k) for prompt in prompts for k in range(sampling.samples)]
        done: list[Rollout] = []
        for start in range(0, len(requests), self._config.max_sequences):
            part = requests[start : start + self._config.max_sequences]
            done += self._generate(part, sampling, step_key, should_abort)
        return [done[i : i + sampling.samples] for i in range(0, len(done), sampling.samples)]

    def sleep(self) -> None:
        """Free nothing: this engine is for models that fit twice."""

    def _generate(
        self,
        requests: Sequence[tuple[Prompt, int]],
        sampling: Sampling,
        step_key: StepKey,
        should_abort: Callable[[], bool],
    ) -> list[Rollout]:
        decoder = Decoder(self._model, stop_ids=self._config.stop_ids, sampling=sampling)
        seeds = [
            request_seed(step_key, prompt_id=prompt.id, sample=k, purpose=sampling.purpose)
            for prompt, k in requests
        ]
        prompts = {prompt.id: prompt.token_ids for prompt, _ in requests}
        rows = {prompt_id: row for row, prompt_id in enumerate(prompts)}
        ids_PT, mask_PT = self._left_padded(list(prompts.values()))
        prompt_N = torch.tensor([rows[prompt.id] for prompt, _ in requests])
        uniform_NL = _uniform(seeds, sampling.max_tokens)
        decoded = decoder.decode(
            ids_PT,
            mask_PT,
            prompt_N.to(self._config.device),
            uniform_NL.to(self._config.device),
            should_abort=should_abort,
        )
        tokens, logps = decoded.token_NL.tolist(), decoded.logp_NL.tolist()
        return [
            self._rollout(prompt.id, sample, row, logp)
            for (prompt, sample), row, logp in zip(requests, tokens, logps, strict=True)
        ]

    def _rollout(self, prompt_id: str, sample: int, row: list[int], logp: list[float]) -> Rollout:
        stops = self._config.stop_ids
        length = next((i + 1 for i, token in enumerate(row) if token in stops), len(row))
        return Rollout(
            prompt_id=prompt_id,
            sample=sample,
            token_ids=tuple(row[:length]),
            logprobs=tuple(logp[:length]),
            text=self._decode(row[:length]),
            truncated=row[length - 1] not in stops,
        )

    def _left_padded(self, prompts: Sequence[tuple[int, ...]]) -> tuple[torch.Tensor, torch.Tensor]:
        width = max(len(ids) for ids in prompts)
        ids = [[self._config.pad_id] * (width - len(p)) + list(p) for p in prompts]
        mask = [[0] * (width - len(p)) + [1] * len(p) for p in prompts]
        device = self._config.device
        return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def _uniform(seeds: Sequence[int], length: int) -> torch.Tensor:
    """(requests, length) numbers in [0, 1), each a function of its seed and position alone."""
    rows = [np.random.Generator(np.random.Philox(key=seed)).random(length) for seed in seeds]
    return torch.from_numpy(np.stack(rows))
