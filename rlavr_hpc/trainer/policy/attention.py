"""Chooses the attention implementation of training, and whether samples are packed."""

from __future__ import annotations

import torch
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, PreTrainedConfig
from transformers.utils.import_utils import is_flash_attn_2_available

from rlavr_hpc.config.algorithm import Packing
from rlavr_hpc.config.model import Dtype

FLASH = "flash_attention_2"
AMPERE = (8, 0)
"""Lowest compute capability with flash attention."""


def attention(setting: str, dtype: Dtype, model_config: PreTrainedConfig) -> str | None:
    """Transformers' `attn_implementation`; None leaves the choice to Transformers.

    Args:
        setting: `model.attention`.
        dtype: of the weights; flash attention computes in half precision only.
        model_config: of the model; its class must support flash attention.
    """
    if setting != "auto":
        return setting
    if not (torch.cuda.is_available() and is_flash_attn_2_available()):
        return None
    model = MODEL_FOR_CAUSAL_LM_MAPPING.get(type(model_config), None)
    supports = getattr(model, "_supports_flash_attn", False)
    recent = torch.cuda.get_device_capability() >= AMPERE
    return FLASH if supports and recent and dtype is Dtype.bfloat16 else None


def packs(packing: Packing, model_config: object) -> bool:
    """Whether a micro-batch is one row without padding."""
    if packing is Packing.auto:
        return "flash" in str(getattr(model_config, "_attn_implementation", ""))
    return packing is Packing.on
