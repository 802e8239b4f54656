"""Which attention trains, and what is packed for it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from transformers import LlamaConfig, PreTrainedConfig, Qwen3Config

from rlavr_hpc.config.algorithm import Packing
from rlavr_hpc.config.model import Dtype
from rlavr_hpc.trainer.policy import attention as module
from rlavr_hpc.trainer.policy.attention import attention, packs


class Unheard(PreTrainedConfig):
    model_type = "unheard_of"


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A GPU of today with flash attention installed."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    monkeypatch.setattr(module, "is_flash_attn_2_available", lambda: True)
    return monkeypatch


def test_flash_attention_is_chosen_where_it_runs(gpu: pytest.MonkeyPatch) -> None:
    for config in (Qwen3Config(), LlamaConfig()):
        assert attention("auto", Dtype.bfloat16, config) == "flash_attention_2"
    assert attention("auto", Dtype.float32, Qwen3Config()) is None
    assert attention("auto", Dtype.bfloat16, Unheard()) is None
    assert attention("sdpa", Dtype.bfloat16, Qwen3Config()) == "sdpa"
    gpu.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    assert attention("auto", Dtype.bfloat16, Qwen3Config()) is None
    gpu.undo()
    assert attention("auto", Dtype.bfloat16, Qwen3Config()) is None


@pytest.mark.parametrize(
    ("packing", "chosen", "packed"),
    [
        (Packing.auto, "flash_attention_2", True),
        (Packing.auto, "sdpa", False),
        (Packing.on, "sdpa", True),
        (Packing.off, "flash_attention_2", False),
    ],
)
def test_packing_follows_the_attention_unless_told(
    packing: Packing, chosen: str, packed: bool
) -> None:
    assert packs(packing, SimpleNamespace(_attn_implementation=chosen)) is packed
