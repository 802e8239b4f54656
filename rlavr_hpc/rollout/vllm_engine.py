"""vLLM inside the trainer's process: the only importer of vllm.

The engine shares the trainer's ranks (external launcher), takes weights by `reload_weights` with an
iterator (without one vLLM would reload the initial weights from disk), sleeps between generations
where the platform can, and seeds every request.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist

from rlavr_hpc.errors import OutOfTimeError, UserError
from rlavr_hpc.rollout import global_random
from rlavr_hpc.rollout.engine import Sampling, never, refuse_stale, request_seed
from rlavr_hpc.rollout.vllm_process import (
    replica_group,
    thread_setter_kept,
    without_shared_memory_left,
)
from rlavr_hpc.types import Prompt, Rollout, StepKey

if TYPE_CHECKING:
    from vllm import LLM, RequestOutput

SLEEP_DISCARDS_WEIGHTS = 2
STEPS_BETWEEN_POLLS = 16
"""Engine steps after which ranks that share a model agree on whether to abort."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmEngineConfig:
    """The engine's settings."""

    model_path: Path | str
    dtype: str
    stop_ids: frozenset[int]
    max_length: int
    """Prompt and response tokens together."""
    max_sequences: int
    tensor_parallel: int
    gpu_memory_utilization: float
    kv_cache_gib: int
    trust_remote_code: bool


class VllmEngine:
    """A vLLM instance that lives in this process."""

    def __init__(
        self,
        config: VllmEngineConfig,
        *,
        rank: int,
        world_size: int,
        decode: Callable[[Sequence[int]], str],
    ) -> None:
        """Start vLLM with dummy weights; `sync` loads the policy's.

        Raises:
            UserError: vLLM is not installed, or the ranks do not divide into replicas.
        """
        if world_size % config.tensor_parallel:
            raise UserError(
                f"rollout.tensor_parallel={config.tensor_parallel} does not divide the number of "
                f"ranks, {world_size}; set it to a divisor"
            )
        self.replica = rank // config.tensor_parallel
        self.replicas = world_size // config.tensor_parallel
        self.is_leader = rank % config.tensor_parallel == 0
        self._config = config
        self._decode = decode
        self.weights_version: int | None = None
        self._sharing = replica_group(config.tensor_parallel, world_size)
        with (
            thread_setter_kept(),
            global_random.kept(),
            without_shared_memory_left(rank, config.tensor_parallel),
        ):
            try:
                self._llm = _start(config)
            except ValueError as error:
                raise UserError(f"vLLM rejects these rollout settings: {error}") from error
        self._can_sleep = torch.cuda.is_available()
        self._free_memory()

    def sync(
        self, weights: Iterable[tuple[str, torch.Tensor]], *, version: int, partial: bool = False
    ) -> None:
        """Wake the weights' memory, load the policy's weights, then wake the cache's memory.

        vLLM skips a layer of which it is given nothing; of any other it needs all weights.
        """
        self._wake("weights")
        self.weights_version = None
        self._llm.collective_rpc("reload_weights", kwargs={"weights_iterator": iter(weights)})
        self._llm.reset_prefix_cache()
        self._wake("kv_cache")
        self.weights_version = version

    def sample(
        self,
        prompts: Sequence[Prompt],
        *,
        sampling: Sampling,
        step_key: StepKey,
        version: int,
        should_abort: Callable[[], bool] = never,
    ) -> list[list[Rollout]]:
        """Responses per prompt, in order; every request has its own seed.

        Cached prefixes of earlier calls are dropped: a cached prefix differs in its last bits from
        a computed one, and a resumed run has no such cache.
        """
        refuse_stale(self.weights_version, version)
        self._llm.reset_prefix_cache()
        requests = [(prompt, k) for prompt in prompts for k in range(sampling.samples)]
        names = self._llm.enqueue(
            [{"prompt_token_ids": list(prompt.token_ids)} for prompt, _ in requests],
            self._parameters(requests, sampling, step_key),
            use_tqdm=False,
        )
        outputs = self._finish(names, should_abort)
        done = [
            self._rollout(prompt.id, k, output)
            for (prompt, k), output in zip(requests, outputs, strict=True)
        ]
        return [done[i : i + sampling.samples] for i in range(0, len(done), sampling.samples)]

    def _finish(self, names: list[str], should_abort: Callable[[], bool]) -> list[RequestOutput]:
        """Step the engine until all requests are done; raises OutOfTimeError if aborted."""
        engine, outputs, steps = self._llm.llm_engine, [], 0
        while engine.has_unfinished_requests():
            outputs += [output for output in engine.step() if output.finished]
            steps += 1
            if self._should_abort(should_abort, steps):
                engine.abort_request(names, internal=True)
                raise OutOfTimeError("generation was aborted: a stop signal leaves no time")
        return sorted(outputs, key=lambda output: int(output.request_id))

    def _should_abort(self, should_abort: Callable[[], bool], steps: int) -> bool:
        """Whether to abort; ranks that share a model must take the same engine steps."""
        if self._sharing is None:
            return should_abort()
        if steps % STEPS_BETWEEN_POLLS:
            return False
        vote = torch.tensor(float(should_abort()))
        dist.all_reduce(vote, op=dist.ReduceOp.MAX, group=self._sharing)
        return bool(vote.item())

    def sleep(self) -> None:
        """Free the accelerator's memory until the next sync; the weights are discarded."""
        if self._can_sleep:
            self.weights_version = None
            self._free_memory()

    def _parameters(
        self, requests: Sequence[tuple[Prompt, int]], sampling: Sampling, step_key: StepKey
    ) -> list[Any]:
        """One per request; they are built and checked once, because only their seeds differ."""
        from vllm import SamplingParams

        common = SamplingParams(
            n=1,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            stop_token_ids=sorted(self._config.stop_ids),
            logprobs=0,
            flat_logprobs=True,  # lists of numbers, not objects by the token
            detokenize=False,
            seed=0,
            skip_clone=True,  # else vLLM makes a deep copy of each; nobody uses them afterwards
        )
        parameters = [copy(common) for _ in requests]
        for own, (prompt, k) in zip(parameters, requests, strict=True):
            own.seed = request_seed(
                step_key, prompt_id=prompt.id, sample=k, purpose=sampling.purpose
            )
        return parameters

    def _rollout(self, prompt_id: str, sample: int, output: RequestOutput) -> Rollout:
        completion = output.outputs[0]
        token_ids = tuple(completion.token_ids)
        drawn: Any = completion.logprobs
        assert list(token_ids) == drawn.token_ids, "one log-probability per drawn token"
        return Rollout(
            prompt_id=prompt_id,
            sample=sample,
            token_ids=token_ids,
            logprobs=tuple(drawn.logprobs),
            text=self._decode(token_ids),
            truncated=completion.finish_reason == "length",
        )

    def _free_memory(self) -> None:
        if self._can_sleep:
            self._llm.sleep(level=SLEEP_DISCARDS_WEIGHTS)

    def _wake(self, tag: str) -> None:
        if self._can_sleep:
            torch.cuda.empty_cache()  # vLLM cannot use memory that torch caches
            self._llm.wake_up(tags=[tag])


def _start(config: VllmEngineConfig) -> LLM:
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    os.environ["VLLM_CPU_KVCACHE_SPACE"] = str(config.kv_cache_gib)
    os.environ["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"  # the run sets its threads itself
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    try:
        from vllm import LLM
    except ImportError as error:
        raise UserError(
            f"rollout=vllm, but vLLM cannot be imported ({error}); install the cpu or gpu extra, "
            "or use rollout=hf"
        ) from error
    return LLM(
        model=str(config.model_path),
        skip_tokenizer_init=True,
        dtype=config.dtype,
        load_format="dummy",
        seed=0,
        max_model_len=config.max_length,
        max_num_seqs=config.max_sequences,
        # between two chunks vLLM winds a request's generator back, which CPU generators refuse
        enable_chunked_prefill=torch.cuda.is_available(),
        tensor_parallel_size=config.tensor_parallel,
        distributed_executor_backend="external_launcher",
        gpu_memory_utilization=config.gpu_memory_utilization,
        enable_sleep_mode=torch.cuda.is_available(),
        enforce_eager=not torch.cuda.is_available(),
        logprobs_mode="processed_logprobs",
        trust_remote_code=config.trust_remote_code,
        disable_log_stats=True,
    )
