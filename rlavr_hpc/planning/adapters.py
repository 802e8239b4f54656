"""How many parameters a run trains: all, or adapters beside some of a layer's matrices.

Shapes: r rank, I inputs and O outputs of a matrix: r (I + O) parameters each.
"""

from __future__ import annotations

from rlavr_hpc.config.lora import ALL_LINEAR, LoraConfig
from rlavr_hpc.errors import UserError
from rlavr_hpc.planning.shape import ModelShape

FUSED = ("phi3",)
"""Model types that hold queries, keys and values in one matrix, and gate and up in another."""


def trained_parameters(shape: ModelShape, lora: LoraConfig) -> int:
    """Parameters that the optimizer moves.

    Raises:
        UserError: a target that no layer of such a model has.
    """
    if not lora.rank:
        return shape.parameters
    matrices = _matrices(shape)
    ends = [target.rpartition(".")[2] for target in lora.targets]
    names = list(matrices) if lora.targets == [ALL_LINEAR] else ends
    if unknown := [name for name in names if name not in matrices]:
        raise UserError(
            f"lora.targets: {shape.kind} has no {unknown[0]}; it has {', '.join(matrices)}"
        )
    return shape.layers * lora.rank * sum(sum(matrices[name]) for name in set(names))


def _matrices(shape: ModelShape) -> dict[str, tuple[int, int]]:
    """Inputs and outputs of a layer's matrices."""
    hidden, q, kv, ffn = shape.hidden, shape.q_dim, shape.kv_dim, shape.ffn
    ends = {"o_proj": (q, hidden), "down_proj": (ffn, hidden)}
    if shape.kind in FUSED:
        return {"qkv_proj": (hidden, q + 2 * kv), "gate_up_proj": (hidden, 2 * ffn), **ends}
    return {
        "q_proj": (hidden, q),
        "k_proj": (hidden, kv),
        "v_proj": (hidden, kv),
        "gate_proj": (hidden, ffn),
        "up_proj": (hidden, ffn),
        **ends,
    }
