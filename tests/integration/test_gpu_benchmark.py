"""The GPU benchmark's whole path with a tiny model: on CPU here, with vLLM and the trainer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.gpu_figures import SHAPES
from tests.support.commands import command

needs_no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="shows what happens without")


@pytest.mark.vllm
@needs_no_gpu
def test_without_a_gpu_a_tiny_model_takes_the_path_and_nothing_pretends(tmp_path: Path) -> None:
    done = command("benchmarks.gpu", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "no GPU: tiny model on CPU, path only" in done.stdout
    result = json.loads((tmp_path / "gpu-none-tiny.json").read_text())
    assert (result["measured_on"], result["device"], result["peak_tflops"]) == ("cpu", "cpu", None)
    assert {"torch", "deepspeed", "transformers"} <= result["versions"].keys()
    figures = result["figures"]
    assert figures["agreement_after_sync"] < 0.02
    assert figures["agreement_after_update"] < 0.02
    assert figures["moved_by_updates"] > 0.1  # so a sync left out would show
    rates = ("generate", "score", "train", "step")
    assert all(figures[f"{name}_tokens_per_second"] > 0 for name in rates)
    assert figures["wake_weights_seconds"] is figures["sleep_seconds"] is None
    assert "mfu" not in figures


@pytest.mark.slow
@needs_no_gpu
def test_what_there_is_no_time_for_is_skipped_with_a_note(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    seconds = SHAPES["tiny"].start_seconds / 2
    done = command("benchmarks.gpu_measure", "tiny", str(seconds), str(out))
    assert done.returncode == 0, done.stderr
    result = json.loads(out.read_text())
    assert result["figures"] == {}
    assert any(note.startswith("starting: skipped") for note in result["notes"])


def test_a_model_for_which_the_time_is_too_short_is_not_started(tmp_path: Path) -> None:
    done = command("benchmarks.gpu", "--tiny", "--minutes", "0.1", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "tiny: skipped" in done.stdout
    assert list(tmp_path.iterdir()) == []
