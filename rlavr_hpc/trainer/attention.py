"""Which attention trains the policy, and whether samples are packed for it."""

from __future__ import annotations

import torch
from transformers.utils.import_utils import is_flash_attn_2_available

from rlavr_hpc.config_algorithm import Packing
from rlavr_hpc.config_groups import Dtype

FLASH = "flash_attention_2"


def attention(wanted: str, dtype: Dtype) -> str | None:
    """Transformers' `attn_implementation`; None leaves the choice to Transformers.

    Args:
        wanted: `model.attention`.
        dtype: of the weights; flash attention computes in half precision only.
    """
    if wanted != "auto":
        return wanted
    flash = torch.cuda.is_available() and is_flash_attn_2_available()
    return FLASH if flash and dtype is Dtype.bfloat16 else None


def packs(packing: Packing, model_config: object) -> bool:
    """Whether a micro-batch is one row without padding."""
    if packing is Packing.auto:
        return "flash" in str(getattr(model_config, "_attn_implementation", ""))
    return packing is Packing.on
