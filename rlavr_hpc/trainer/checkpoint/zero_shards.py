"""Reads ZeRO-3 shards: as whole weights, or redistributed to another number of ranks.

A rank's shard holds, for every parameter in a fixed order, its part of the float32 weights and of
the optimizer's moments: the flattened parameter, padded with zeros to a multiple of the ranks and
cut into as many pieces. The pieces are concatenated in flat tensors, one per sub-group.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import torch

from rlavr_hpc.errors import CheckpointError
from rlavr_hpc.trainer.policy.adapters import Adapters, read_adapters
from rlavr_hpc.trainer.policy.scoring_model import PREFIX

TAG = "shards"
"""Subfolder of a checkpoint that DeepSpeed's files are in."""
ADAPTERS = "adapters"
"""Key of the adapters' description in the model states."""
RANK = re.compile(r"zero_pp_rank_([0-9]+)_")
WEIGHTS = "fp32_flat_groups"
MOMENTS = ("exp_avg", "exp_avg_sq")


def whole_weights(checkpoint: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """Whole float32 weights by their Hugging Face names, one after the other, then the buffers.

    A tied matrix is given under each of its names. Needs no process group and no DeepSpeed, reads
    the shards of any number of ranks, and holds one tensor at a time.

    Raises:
        CheckpointError: shards are missing or do not fit together.
    """
    try:
        for name, tensor in _whole(checkpoint / TAG):
            if name.startswith(PREFIX):
                yield name.removeprefix(PREFIX), tensor
    except (OSError, RuntimeError, ValueError, KeyError, IndexError) as error:
        raise CheckpointError(f"{checkpoint}: the shards do not fit together: {error}") from error


def saved_adapters(checkpoint: Path) -> Adapters | None:
    """The description of a checkpoint's adapters; None where it holds all weights.

    Raises:
        CheckpointError: the shards cannot be read.
    """
    try:
        return read_adapters(_read(checkpoint / TAG, "model_states")[0].get(ADAPTERS))
    except (OSError, RuntimeError, ValueError, KeyError, IndexError, TypeError) as error:
        raise CheckpointError(f"{checkpoint}: the shards cannot be read: {error}") from error


def _whole(shards: Path) -> Iterator[tuple[str, torch.Tensor]]:
    models, parts = _read(shards, "model_states"), _read(shards, "optim_states")
    model = models[0]
    if len(parts) != model["dp_world_size"]:
        raise ValueError(f"files of {len(parts)} of {model['dp_world_size']} ranks are there")
    names: dict[str, list[str]] = {}
    for alias, name in model["shared_params"].items():
        names.setdefault(name, []).append(alias)
    shapes = {name: shape for group in model["param_shapes"] for name, shape in group.items()}
    flats = [list(part["optimizer_state_dict"][WEIGHTS]) for part in parts]
    sizes = [prod(shape) for shape in shapes.values()]
    for (name, shape), flat in zip(
        shapes.items(), _redistribute(flats, sizes, rank=0, ranks=1), strict=True
    ):
        for known in (name, *names.get(name, ())):
            yield known, flat.view(shape)
    for name in model["buffer_names"]:
        yield name, model["module"][name].float()


def reshard(
    checkpoint: Path, *, rank: int, ranks: int, groups: Sequence[int]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The content of this rank's two files, had `ranks` ranks written the checkpoint.

    Args:
        checkpoint: of any number of ranks.
        rank: this one.
        ranks: their present number.
        groups: parameters per sub-group of this rank's optimizer, in its order.

    Returns:
        The model states and the optimizer states.

    Raises:
        CheckpointError: the shards do not belong to such a model.
    """
    shards = checkpoint / TAG
    models, parts = _read(shards, "model_states"), _read(shards, "optim_states")
    model = models[0] | {"dp_world_size": ranks}
    sizes = [prod(shape) for group in model["param_shapes"] for shape in group.values()]
    if sum(groups) != len(sizes):
        raise CheckpointError(
            f"{shards} hold {len(sizes)} parameters, but the model has {sum(groups)}; use the "
            "model that the checkpoint was written with"
        )
    states = [part["optimizer_state_dict"] for part in parts]

    def redistributed(flat: Callable[[dict[str, Any]], list[torch.Tensor]]) -> list[torch.Tensor]:
        pieces = _redistribute([flat(state) for state in states], sizes, rank=rank, ranks=ranks)
        return [torch.cat([next(pieces) for _ in range(count)]) for count in groups]

    first = states[0]["optimizer_state_dict"]
    moments = {name: redistributed(partial(_moments, name=name)) for name in MOMENTS}
    state = {
        index: first["state"][0] | {name: moments[name][index] for name in MOMENTS}
        for index in range(len(groups))
    }
    group = first["param_groups"][0] | {"params": list(range(len(groups)))}
    optimizer = states[0] | {
        "partition_count": ranks,
        WEIGHTS: redistributed(lambda state: list(state[WEIGHTS])),
        "optimizer_state_dict": {"state": state, "param_groups": [group]},
    }
    return model, parts[0] | {"optimizer_state_dict": optimizer}


def _read(shards: Path, kind: str) -> list[dict[str, Any]]:
    """Files of a kind in the order of their ranks; tensors are read lazily."""
    found = {int(m[1]): p for p in shards.glob(f"*_{kind}.pt") if (m := RANK.search(p.name))}
    return [torch.load(found[r], mmap=True, weights_only=False) for r in sorted(found)]


def _moments(state: dict[str, Any], name: str) -> list[torch.Tensor]:
    by_group = state["optimizer_state_dict"]["state"]
    return [by_group[index][name] for index in sorted(by_group)]


def _redistribute(
    flats: Sequence[list[torch.Tensor]], sizes: Sequence[int], *, rank: int, ranks: int
) -> Iterator[torch.Tensor]:
    """This rank's piece of every parameter, from all pieces of the old ranks."""
    lengths = [-(-size // len(flats)) for size in sizes]
    old = [_pieces(groups, lengths) for groups in flats]
    for size in sizes:
        whole = torch.cat([next(pieces) for pieces in old])[:size]
        length = -(-size // ranks)
        mine = whole[rank * length : (rank + 1) * length]
        yield torch.nn.functional.pad(mine, (0, length - mine.numel()))


def _pieces(groups: list[torch.Tensor], lengths: Sequence[int]) -> Iterator[torch.Tensor]:
    """Cut flat tensors, one after the other, into pieces; no piece spans two tensors."""
    index = offset = 0
    for length in lengths:
        if offset == groups[index].numel():
            index, offset = index + 1, 0
        yield groups[index][offset : offset + length]
        offset += length
