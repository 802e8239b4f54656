"""Whether a config fits its machines, and the cheapest settings that make it fit."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rlavr_hpc.config.deepspeed import Offload
from rlavr_hpc.config.rollout import Engine
from rlavr_hpc.planning.duration import cache_room
from rlavr_hpc.planning.memory import GIB, Phase, phases
from rlavr_hpc.planning.sizes import MICRO_BATCH, Sizes

MARGIN = 0.95
"""Share of a memory that a plan may fill: allocators leave gaps."""
MOST_NODES = 64
ADAPTER_RANK = 16
STATES, OPTIMIZER = "deepspeed.offload_states", "deepspeed.offload_optimizer"
EXCLUSIVE = {STATES, OPTIMIZER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """Something that does not fit."""

    what: str
    missing: float
    """Bytes."""
    place: str = "GPU"
    """Or host."""


def shortages(sizes: Sizes) -> list[Shortage]:
    """What does not fit, phase by phase; empty when all does."""
    found = [shortage for phase in phases(sizes) for shortage in _of_phase(phase, sizes)]
    return [*found, *_of_engine(sizes)]


def _of_phase(phase: Phase, sizes: Sizes) -> Iterator[Shortage]:
    machines = sizes.machines
    places = [("GPU", phase.device, machines.accelerator and machines.accelerator.memory_gib)]
    places += [("host", phase.host, machines.host_gib and machines.host_gib / machines.gpus)]
    for place, held, gib in places:
        needed = sum(held.values()) - MARGIN * (gib or 0) * GIB
        if gib is not None and needed > 0:
            what = f"{phase.name}: {place} memory of a rank"
            yield Shortage(what=what, missing=needed, place=place)


def _of_engine(sizes: Sizes) -> Iterator[Shortage]:
    """VLLM starts only with room for one sequence of the greatest length."""
    if sizes.machines.accelerator is None or sizes.config.rollout.engine is Engine.hf:
        return
    missing = sizes.longest * sizes.cache_per_token - cache_room(sizes)
    if missing > 0:
        yield Shortage(what="vLLM's weights and the cache of one sequence", missing=missing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Another value of one setting."""

    key: str
    value: object
    off: str | None = None
    """A setting that it excludes, and so switches off."""

    @property
    def overrides(self) -> list[str]:
        """As they are given on the command line."""
        value = str(self.value).lower() if isinstance(self.value, bool) else self.value
        return [f"{self.key}={value}"] + ([f"{self.off}=false"] if self.off else [])

    def excludes(self, other: Change) -> bool:
        """Whether only one of the two can be chosen."""
        return self.key == other.key or {self.key, other.key} == EXCLUSIVE


def suggest(sizes: Sizes) -> list[str]:
    """The cheapest overrides with which everything fits; empty when none of those known is enough.

    First single settings are tried, from the one that costs least time to the one that costs most.
    Where no single one is enough, the one that helps most is added until all fits; then each is
    made as mild as it can be. More nodes come last.
    """
    nodes = sizes.machines.nodes
    while nodes <= max(MOST_NODES, sizes.machines.nodes):
        more = nodes > sizes.machines.nodes
        wider = replace(sizes, machines=replace(sizes.machines, nodes=nodes))
        chosen = _suggest_here(wider)
        if chosen is not None:
            return [f"nodes={nodes}"] * more + [o for c in chosen for o in c.overrides]
        nodes *= 2
    return []


def suggest_other_results(sizes: Sizes) -> list[str]:
    """Overrides that make it fit and change what is computed: adapters, shorter responses."""
    limit = sizes.config.rollout.max_response_tokens
    adapters = [] if sizes.config.lora.rank else [Change(key="lora.rank", value=ADAPTER_RANK)]
    shorter = [Change(key="rollout.max_response_tokens", value=limit // k) for k in (2, 4, 8)]
    tried = [*([a] for a in adapters), *([s] for s in shorter)]
    for changes in (*tried, *([*adapters, s] for s in shorter)):
        chosen = _suggest_here(_with(sizes, changes))
        if chosen is not None:
            return [o for change in (*changes, *chosen) for o in change.overrides]
    return []


def _suggest_here(sizes: Sizes) -> list[Change] | None:
    """On so many nodes; None when nothing helps."""
    changes = list(_changes(sizes))
    for alone in ([], *([change] for change in changes)):
        if not shortages(_with(sizes, alone)):
            return alone
    chosen: list[Change] = []
    while missing := _missing(_with(sizes, chosen)):
        best = min(changes, key=lambda change: _missing(_with(sizes, _plus(chosen, change))))
        if _missing(_with(sizes, _plus(chosen, best))) >= missing:
            return None
        chosen = _plus(chosen, best)
    return _milder(chosen, sizes, changes)


def _milder(chosen: list[Change], sizes: Sizes, changes: list[Change]) -> list[Change]:
    for change in chosen:
        same = [other for other in changes if other.key == change.key]
        fitting = (other for other in same if not shortages(_with(sizes, _plus(chosen, other))))
        chosen = _plus(chosen, next(fitting))
    return sorted(chosen, key=changes.index)


def _plus(chosen: list[Change], change: Change) -> list[Change]:
    """With this setting, in place of those that it excludes."""
    return [*(other for other in chosen if not change.excludes(other)), change]


def _missing(sizes: Sizes) -> float:
    return sum(shortage.missing for shortage in shortages(sizes))


def _with(sizes: Sizes, changes: Sequence[Change]) -> Sizes:
    config = copy.deepcopy(sizes.config)
    for change in changes:
        group, _, key = change.key.partition(".")
        setattr(getattr(config, group), key, change.value)
        if change.off is not None:
            config.deepspeed.offload_states = False
    return replace(sizes, config=config)


def _changes(sizes: Sizes) -> Iterator[Change]:
    """In the order in which they are tried."""
    deepspeed = sizes.config.deepspeed
    if not deepspeed.gradient_checkpointing:
        yield Change(key="deepspeed.gradient_checkpointing", value=True)
    yield from _smaller_micro_batches(sizes)
    offloaded = (deepspeed.offload_optimizer, deepspeed.offload_params)
    if sizes.on_gpu and not deepspeed.offload_states and set(offloaded) == {Offload.none}:
        yield Change(key=STATES, value=True)
    yield from _less_on_host(sizes)
    yield from _engine_settings(sizes)


def _smaller_micro_batches(sizes: Sizes) -> Iterator[Change]:
    """Halved until a sequence is alone."""
    algorithm = sizes.config.algorithm
    by_tokens = algorithm.micro_tokens is not None
    key, value = "micro_batch", algorithm.micro_batch or MICRO_BATCH
    least = 1
    if algorithm.micro_tokens is not None:
        key, value, least = "micro_tokens", algorithm.micro_tokens, sizes.longest
    while value > least:
        value = max(least, value // 2)
        yield Change(key=f"algorithm.{key}", value=value)
    if not by_tokens and algorithm.logit_chunk > 1024:
        yield Change(key="algorithm.logit_chunk", value=1024)


def _less_on_host(sizes: Sizes) -> Iterator[Change]:
    """Optimizer states leave the GPU; or, where the host is short, copies are saved there."""
    deepspeed = sizes.config.deepspeed
    if sizes.on_gpu and deepspeed.offload_optimizer is Offload.none:
        off = STATES if deepspeed.offload_states else None
        yield Change(key=OPTIMIZER, value=Offload.cpu, off=off)
    if sizes.config.checkpoint.background:
        yield Change(key="checkpoint.background", value=False)


def _fewer_at_once(sizes: Sizes) -> Iterator[Change]:
    """Transformers holds a cache of the greatest length for every response."""
    value = sizes.at_once
    while value > 1:
        value //= 2
        yield Change(key="rollout.max_sequences", value=value)


def _engine_settings(sizes: Sizes) -> Iterator[Change]:
    rollout, gpus = sizes.config.rollout, sizes.machines.gpus
    if rollout.engine is Engine.hf:
        yield from _fewer_at_once(sizes)
        return
    if not sizes.on_gpu:
        return
    now = rollout.gpu_memory_utilization
    tenths = [tenth / 10 for tenth in range(1, 10)]
    lower = [share for share in reversed(tenths) if share < now]
    for share in (*lower, *(share for share in tenths if share > now)):
        yield Change(key="rollout.gpu_memory_utilization", value=share)
    together = 2 * rollout.tensor_parallel
    while together <= gpus:
        if gpus % together == 0:
            yield Change(key="rollout.tensor_parallel", value=together)
        together *= 2
