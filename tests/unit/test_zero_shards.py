"""Shards read as whole weights and redistributed, from hand-made files of DeepSpeed's format."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from rlavr_hpc.errors import CheckpointError
from rlavr_hpc.trainer.checkpoint.zero_shards import reshard, whole_weights

SHAPES = OrderedDict(
    {"language_model.a": (5,), "language_model.b": (2, 2), "language_model.c": (7,)}
)
VALUES = {
    name: torch.arange(10.0 * n, 10.0 * n + torch.Size(shape).numel())
    for n, (name, shape) in enumerate(SHAPES.items(), start=1)
}


def pieces(rank: int, ranks: int, factor: float) -> list[torch.Tensor]:
    """A rank's flat groups: a and b, then c; each parameter padded and cut by hand."""
    parts = []
    for value in VALUES.values():
        length = -(-value.numel() // ranks)
        padded = torch.nn.functional.pad(value * factor, (0, length * ranks - value.numel()))
        parts.append(padded[rank * length : (rank + 1) * length])
    return [torch.cat(parts[:2]), parts[2]]


def write(folder: Path, ranks: int) -> Path:
    (folder / "shards").mkdir(parents=True)
    for rank in range(ranks):
        name = f"shards/zero_pp_rank_{rank}_mp_rank_00"
        model = {
            "param_shapes": [OrderedDict((n, torch.Size(s)) for n, s in SHAPES.items())],
            "shared_params": {"language_model.head": "language_model.a"},
            "buffer_names": ["language_model.steps"],
            "module": {"language_model.steps": torch.tensor([3])},
            "dp_world_size": ranks,
        }
        weights, first, second = (pieces(rank, ranks, factor) for factor in (1.0, 2.0, 3.0))
        states = {
            index: {"step": torch.tensor(4.0), "exp_avg": m, "exp_avg_sq": v}
            for index, (m, v) in enumerate(zip(first, second, strict=True))
        }
        optimizer = {
            "partition_count": ranks,
            "fp32_flat_groups": weights,
            "overflow": False,
            "optimizer_state_dict": {
                "state": states,
                "param_groups": [{"lr": 0.1, "params": [0, 1]}],
            },
        }
        torch.save(model, folder / f"{name}_model_states.pt")
        torch.save({"optimizer_state_dict": optimizer}, folder / f"{name}_optim_states.pt")
    return folder


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_whole_weights_come_from_the_pieces_of_all_ranks_under_every_name(
    tmp_path: Path, ranks: int
) -> None:
    found = dict(whole_weights(write(tmp_path, ranks)))
    assert list(found) == ["a", "head", "b", "c", "steps"]
    assert found["b"].tolist() == [[20.0, 21.0], [22.0, 23.0]]
    assert torch.equal(found["head"], found["a"])
    assert found["c"].tolist() == [30.0, 31.0, 32.0, 33.0, 34.0, 35.0, 36.0]
    assert found["steps"].tolist() == [3.0]


@pytest.mark.parametrize("before", [1, 2, 4])
def test_redistributed_shards_are_those_that_so_many_ranks_would_have_written(
    tmp_path: Path, before: int
) -> None:
    written = write(tmp_path, before)
    for rank in range(3):
        model, states = reshard(written, rank=rank, ranks=3, groups=[2, 1])
        optimizer: dict[str, Any] = states["optimizer_state_dict"]
        assert (model["dp_world_size"], optimizer["partition_count"]) == (3, 3)
        for factor, flats in (
            (1.0, optimizer["fp32_flat_groups"]),
            (2.0, [optimizer["optimizer_state_dict"]["state"][i]["exp_avg"] for i in (0, 1)]),
            (3.0, [optimizer["optimizer_state_dict"]["state"][i]["exp_avg_sq"] for i in (0, 1)]),
        ):
            assert [flat.tolist() for flat in flats] == [
                flat.tolist() for flat in pieces(rank, 3, factor)
            ]
        assert optimizer["optimizer_state_dict"]["state"][1]["step"].item() == 4.0
    one, _ = reshard(written, rank=0, ranks=1, groups=[3])
    assert one["dp_world_size"] == 1


def test_shards_of_another_model_or_with_a_rank_missing_are_refused(tmp_path: Path) -> None:
    written = write(tmp_path, 2)
    with pytest.raises(CheckpointError, match="3 parameters, but the model has 4"):
        reshard(written, rank=0, ranks=1, groups=[4])
    (written / "shards/zero_pp_rank_1_mp_rank_00_optim_states.pt").unlink()
    with pytest.raises(CheckpointError, match="files of 1 of 2 ranks"):
        list(whole_weights(written))
