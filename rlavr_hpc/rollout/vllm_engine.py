"""vLLM inside the trainer's process: the only importer of vllm.

The engine shares the trainer's ranks (external launcher), takes weights by `reload_weights` with an
iterator (without one vLLM would reload the initial weights from disk), sleeps between generations
where the platform can, and seeds every request.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist

from rlavr_hpc.errors import OutOfTimeError, UserError
from rlavr_hpc.rollout import global_random
from rlavr_hpc.rollout.engine import Sampling, never, refuse_stale, request_seed
from rlavr_hpc.types import Prompt, Rollout, StepKey

if TYPE_CHECKING:
    from vllm import LLM, RequestOutput

SLEEP_DISCARDS_WEIGHTS = 2
STEPS_BETWEEN_POLLS = 16
"""Engine steps after which ranks that share a model ask one another whether to give up."""
SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmEngineConfig:
    """What the engine needs to know."""

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
        """Start vLLM with weights of no value; `sync` brings the policy's.

        Raises:
            UserError: vLLM is not installed, or the ranks do not divide into replicas.
        """
        if world_size % config.tensor_parallel:
            raise UserError(
                f"rollout.tensor_parallel={config.tensor_parallel} does not divide "
                f"the {world_size} ranks"
            )
        self.replica = rank // config.tensor_parallel
        self.replicas = world_size // config.tensor_parallel
        self.is_leader = rank % config.tensor_parallel == 0
        self._config = config
        self._decode = decode
        self.held: int | None = None
        self._sharing = _ranks_sharing_a_model(config.tensor_parallel, world_size)
        with (
            _threads_kept(),
            global_random.kept(),
            _no_shared_memory_left(rank, config.tensor_parallel),
        ):
            try:
                self._llm = _start(config)
            except ValueError as error:
                raise UserError(f"vLLM refuses these settings: {error}") from error
        self._can_sleep = torch.cuda.is_available()
        self._sleep()

    def sync(
        self, weights: Iterable[tuple[str, torch.Tensor]], *, version: int, partial: bool = False
    ) -> None:
        """Wake the weights' memory, take over the policy's weights, then wake the cache's.

        vLLM leaves a layer alone of which it is given nothing; of any other it wants all weights.
        """
        self._wake("weights")
        self.held = None
        self._llm.collective_rpc("reload_weights", kwargs={"weights_iterator": iter(weights)})
        self._llm.reset_prefix_cache()
        self._wake("kv_cache")
        self.held = version

    def sample(
        self,
        prompts: Sequence[Prompt],
        *,
        sampling: Sampling,
        step_key: StepKey,
        version: int,
        should_abort: Callable[[], bool] = never,
    ) -> list[list[Rollout]]:
        """Responses per prompt, in order; every request carries its own seed.

        Cached prefixes of earlier calls are dropped: a prefix taken from the cache differs in its
        last bits from one computed, and a resumed run has no such cache.
        """
        refuse_stale(self.held, version)
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
        """Step the engine until all requests are done, or given up."""
        engine, outputs, steps = self._llm.llm_engine, [], 0
        while engine.has_unfinished_requests():
            outputs += [output for output in engine.step() if output.finished]
            steps += 1
            if self._agreed(should_abort, steps):
                engine.abort_request(names, internal=True)
                raise OutOfTimeError("generation was given up")
        return sorted(outputs, key=lambda output: int(output.request_id))

    def _agreed(self, should_abort: Callable[[], bool], steps: int) -> bool:
        """Whether to give up; ranks that share a model must take the same engine steps."""
        if self._sharing is None:
            return should_abort()
        if steps % STEPS_BETWEEN_POLLS:
            return False
        vote = torch.tensor(float(should_abort()))
        dist.all_reduce(vote, op=dist.ReduceOp.MAX, group=self._sharing)
        return bool(vote.item())

    def rest(self) -> None:
        """Free the accelerator's memory until the next sync; the weights are gone after it."""
        if self._can_sleep:
            self.held = None
            self._sleep()

    def _parameters(
        self, requests: Sequence[tuple[Prompt, int]], sampling: Sampling, step_key: StepKey
    ) -> list[Any]:
        """One per request: built and checked once, as they differ in their seeds alone."""
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
            skip_clone=True,  # else vLLM copies each deeply; nobody uses them afterwards
        )
        parameters = [copy(common) for _ in requests]
        for its, (prompt, k) in zip(parameters, requests, strict=True):
            its.seed = request_seed(
                step_key, prompt_id=prompt.id, sample=k, purpose=sampling.purpose
            )
        return parameters

    def _rollout(self, prompt_id: str, sample: int, output: RequestOutput) -> Rollout:
        completion = output.outputs[0]
        token_ids = tuple(completion.token_ids)
        drawn: Any = completion.logprobs
        assert list(token_ids) == drawn.token_ids, "a log-probability for each token that was drawn"
        return Rollout(
            prompt_id=prompt_id,
            sample=sample,
            token_ids=token_ids,
            logprobs=tuple(drawn.logprobs),
            text=self._decode(token_ids),
            truncated=completion.finish_reason == "length",
        )

    def _sleep(self) -> None:
        if self._can_sleep:
            self._llm.sleep(level=SLEEP_DISCARDS_WEIGHTS)

    def _wake(self, tag: str) -> None:
        if self._can_sleep:
            torch.cuda.empty_cache()  # what torch keeps of gathered weights is out of vLLM's reach
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


@contextmanager
def _no_shared_memory_left(rank: int, tensor_parallel: int) -> Iterator[None]:
    """Remove the name of this rank's shared memory, before vLLM makes it and when all have joined.

    On CPU ranks that share a model talk through memory whose name is the same for every run. One
    that was killed would leave it behind, and the next could not start; without its name the
    memory ends with the processes.
    """
    first = rank - rank % tensor_parallel
    group = "-".join(str(first + i) for i in range(tensor_parallel))
    ending = f"-[{group}]-cpushm_{rank - first}"

    def remove() -> None:
        for path in SHARED_MEMORY.iterdir() if tensor_parallel > 1 else ():
            if path.name.endswith(ending) and path.owner() == Path("/proc/self").owner():
                path.unlink(missing_ok=True)

    remove()
    yield
    remove()


@contextmanager
def _threads_kept() -> Iterator[None]:
    """VLLM replaces torch's function that sets the number of threads."""
    before = torch.set_num_threads
    try:
        yield
    finally:
        torch.set_num_threads = before


def _ranks_sharing_a_model(tensor_parallel: int, world_size: int) -> Any:  # noqa: ANN401
    """The process group on CPU of this rank's replica; None when it is alone in it."""
    if tensor_parallel == 1:
        return None
    ranks = range(world_size)
    groups = [list(ranks[i : i + tensor_parallel]) for i in range(0, world_size, tensor_parallel)]
    mine, _ = dist.new_subgroups_by_enumeration(groups, backend="gloo")
    return mine
