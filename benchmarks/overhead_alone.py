"""The passes of a step, each measured alone in the process of the run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlavr_hpc.trainer.components import Components


@dataclass(slots=True)
class Seen:
    """What went into the models during one step, to be given to them again."""

    requests: list[tuple[tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)
    """Calls of vLLM's `enqueue`, or of our decoder of static batches."""
    passes: list[tuple[bool, bool, tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)
    """(with gradients, last before the optimizer's update, arguments) of every forward pass."""


def watch(components: Components, seen: Seen) -> Callable[[], None]:
    """Note what the models are given from now on; the function returned ends it."""
    import torch  # noqa: PLC0415

    from rlavr_hpc.rollout.static_batch import Decoder  # noqa: PLC0415

    engine: Any = components.engine
    policy: Any = components.policy
    trained = policy._engine
    owner, name = (engine._llm, "enqueue") if hasattr(engine, "_llm") else (Decoder, "decode")
    original = getattr(owner, name)

    def noted(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        seen.requests.append((args, kwargs))
        return original(*args, **kwargs)

    def before(_: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        last = trained.is_gradient_accumulation_boundary()
        seen.passes.append((torch.is_grad_enabled(), last, args, kwargs))

    setattr(owner, name, noted)
    hook = trained.module.register_forward_pre_hook(before, with_kwargs=True)

    def release() -> None:
        setattr(owner, name, original)
        hook.remove()

    return release


def seconds_of(work: Callable[[], None]) -> float:
    """Seconds that the work takes."""
    import torch  # noqa: PLC0415

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    begin = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def time_generation(components: Components, seen: Seen) -> tuple[float, float]:
    """Seconds of the engine alone, and the mean tokens of a response."""
    engine: Any = components.engine
    if hasattr(engine, "_llm"):
        return time_vllm(engine._llm, seen)
    decoded: list[Any] = []

    def work() -> None:
        for (decoder, *args), given in seen.requests:
            decoded.append(decoder.decode(*args, **given))

    seconds = seconds_of(work)
    drawn = [part.logp_NL != 0 for part in decoded]
    return seconds, float(sum(part.sum() for part in drawn)) / sum(map(len, drawn))


def time_vllm(llm: Any, seen: Seen) -> tuple[float, float]:  # noqa: ANN401
    """The same requests again, from an empty cache and with the step's weights."""
    lengths: list[int] = []
    llm.reset_prefix_cache()

    def work() -> None:
        for args, given in seen.requests:
            llm.enqueue(*args, **given)
            while llm.llm_engine.has_unfinished_requests():
                lengths.extend(
                    len(o.outputs[0].token_ids) for o in llm.llm_engine.step() if o.finished
                )

    seconds = seconds_of(work)
    return seconds, sum(lengths) / len(lengths)


def time_scoring(components: Components, seen: Seen) -> float:
    """Seconds of the forward passes without gradients."""
    import torch  # noqa: PLC0415

    policy: Any = components.policy
    trained = policy._engine
    trained.eval()

    def work() -> None:
        with torch.no_grad():
            for grad, _, args, given in seen.passes:
                if not grad:
                    trained(*args, **given)

    return seconds_of(work)


def time_training(components: Components, seen: Seen) -> float:
    """Seconds of forward, backward and optimizer; the weights stay as they are."""
    policy: Any = components.policy
    trained = policy._engine
    trained.train()
    for group in trained.optimizer.param_groups:
        group["lr"] = 0.0

    def work() -> None:
        for grad, last, args, given in seen.passes:
            if grad:
                trained.set_gradient_accumulation_boundary(last)
                logp_R = trained(*args, **given)[0]
                trained.backward(logp_R.sum() * 0.0)
                if last:
                    trained.step()

    return seconds_of(work)
