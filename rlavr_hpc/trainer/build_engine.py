"""Builds the rollout engine that the config chooses, on this rank's device."""

from __future__ import annotations

import torch

from rlavr_hpc.cluster.topology import Topology
from rlavr_hpc.config.rollout import Engine
from rlavr_hpc.errors import UserError
from rlavr_hpc.rollout.engine import RolloutEngine
from rlavr_hpc.trainer.policy.tokenizer import GenerationConfigs, TokenizerBundle


def device_name(topology: Topology) -> str:
    """Product name of this rank's accelerator, or `cpu`."""
    device = pick_device(topology)
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def pick_device(topology: Topology) -> torch.device:
    """This rank's accelerator, or the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    if topology.local_rank >= torch.cuda.device_count():
        raise UserError(
            f"rank {topology.rank} is local rank {topology.local_rank} on a node with "
            f"{torch.cuda.device_count()} GPUs; start one rank per GPU"
        )
    torch.cuda.set_device(topology.local_rank)
    return torch.device("cuda", topology.local_rank)


def build_engine(
    config: GenerationConfigs,
    bundle: TokenizerBundle,
    topology: Topology,
    device: torch.device,
    *,
    longest: int = 0,
) -> RolloutEngine:
    """The rollout engine that the config chooses; only that engine's library is imported.

    Args:
        config: model, data and rollout settings.
        bundle: the tokenizer.
        topology: this rank's place.
        device: this rank's.
        longest: tokens of the longest prompt with its response, where that exceeds training's.
    """
    if config.rollout.engine is Engine.vllm:
        return _vllm(config, bundle, topology, longest)
    return _hf(config, bundle, topology, device)


def _vllm(
    config: GenerationConfigs, bundle: TokenizerBundle, topology: Topology, longest: int
) -> RolloutEngine:
    from rlavr_hpc.rollout.vllm_engine import VllmEngine, VllmEngineConfig  # noqa: PLC0415

    rollout = config.rollout
    settings = VllmEngineConfig(
        model_path=bundle.path,
        dtype=str(config.model.dtype),
        stop_ids=bundle.stop_ids,
        max_length=max(longest, rollout.max_prompt_tokens + rollout.max_response_tokens),
        max_sequences=rollout.max_sequences,
        tensor_parallel=rollout.tensor_parallel,
        gpu_memory_utilization=rollout.gpu_memory_utilization,
        kv_cache_gib=rollout.kv_cache_gib,
        trust_remote_code=config.model.trust_remote_code,
    )
    return VllmEngine(
        settings, rank=topology.rank, world_size=topology.world_size, decode=bundle.decode
    )


def _hf(
    config: GenerationConfigs, bundle: TokenizerBundle, topology: Topology, device: torch.device
) -> RolloutEngine:
    from rlavr_hpc.rollout.hf_engine import HfEngine, HfEngineConfig  # noqa: PLC0415

    settings = HfEngineConfig(
        model_path=bundle.path,
        dtype=getattr(torch, config.model.dtype),
        device=device,
        stop_ids=bundle.stop_ids,
        pad_id=bundle.pad_id,
        max_sequences=config.rollout.max_sequences,
        trust_remote_code=config.model.trust_remote_code,
    )
    return HfEngine(
        settings, rank=topology.rank, world_size=topology.world_size, decode=bundle.decode
    )
