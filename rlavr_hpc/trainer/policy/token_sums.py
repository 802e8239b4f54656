"""Reduces an update's token sums over its micro-batches and over all ranks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist

from rlavr_hpc.learning.loss import LossSums


def summed(parts: Sequence[LossSums]) -> dict[str, float]:
    """Name -> sum over this rank's micro-batches and over all ranks, which call this together."""
    return _over_ranks([part.stats for part in parts], dist.ReduceOp.SUM)


def largest(parts: Sequence[LossSums]) -> dict[str, float]:
    """Name -> largest value of all micro-batches and ranks, which call this together."""
    return _over_ranks([part.largest for part in parts], dist.ReduceOp.MAX)


def _over_ranks(
    parts: Sequence[dict[str, torch.Tensor]], operation: dist.ReduceOp.RedOpType
) -> dict[str, float]:
    names = list(parts[0])
    if not names:  # the same on every rank: it depends on the loss alone
        return {}
    values_PS = torch.stack([torch.stack([part[n].double() for n in names]) for part in parts])
    reduced_S = values_PS.sum(0) if operation == dist.ReduceOp.SUM else values_PS.amax(0)
    reduced_S = reduced_S.cpu()
    dist.all_reduce(reduced_S, op=operation)
    return dict(zip(names, reduced_S.tolist(), strict=True))
