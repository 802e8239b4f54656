"""The arithmetic of the GPU benchmark, by hand; what it measures is run in tests/integration."""

from __future__ import annotations

import pytest

from benchmarks.gpu import slug
from benchmarks.gpu_figures import (
    FIGURES,
    GIB,
    SHAPES,
    Budget,
    marginal_rate,
    offloads_optimizer,
    stated_peak,
    table,
    utilization,
)


def test_shapes_have_as_many_parameters_as_the_models_they_are_named_after() -> None:
    counts = {name: shape.parameters for name, shape in SHAPES.items()}
    assert (counts["qwen3-0.6b"], counts["qwen3-4b"]) == (596_049_920, 4_022_468_096)


def test_real_shapes_fill_micro_batches_of_16k_tokens_and_have_enough_samples_for_the_updates() -> (
    None
):
    for name, shape in SHAPES.items():
        assert shape.micro_batches[0] < shape.micro_batches[1]
        assert shape.micro_batches[1] * shape.micro_batch <= shape.prompts * shape.group
        assert name == "tiny" or shape.micro_batch_tokens == 16_384


def test_utilization_is_six_operations_a_parameter_and_token_over_the_peak() -> None:
    # 6 x 10^9 x 1,000 = 6 TFLOP/s of 60
    assert utilization(parameters=10**9, tokens_per_second=1e3, peak_tflops=60) == pytest.approx(
        0.1
    )
    again = utilization(parameters=10**9, tokens_per_second=1e3, peak_tflops=60, operations=8)
    assert again == pytest.approx(8 / 60)


def test_prime_rls_published_figure_gives_the_utilization_beside_it() -> None:
    # 16,450 tokens/s are given as 15%, which counts attention at 16k tokens too
    found = utilization(
        parameters=SHAPES["qwen3-0.6b"].parameters, tokens_per_second=16_450, peak_tflops=989
    )
    assert found == pytest.approx(0.0595, abs=1e-4)


def test_the_rate_without_the_optimizer_is_that_of_the_additional_tokens() -> None:
    # 1 s for the optimizer, 100 tokens/s beside it
    assert marginal_rate(tokens=(100, 400), seconds=(2.0, 5.0)) == 100
    assert marginal_rate(tokens=(100, 400), seconds=(2.0, 2.0)) is None


@pytest.mark.parametrize(
    ("device", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989.0),
        ("NVIDIA H100 PCIe", 756.0),
        ("NVIDIA H200", 989.0),
        ("NVIDIA B200", 2250.0),
        ("NVIDIA GB200", 2500.0),
        ("NVIDIA A100-SXM4-40GB", 312.0),
        ("cpu", None),
        ("Somebody's accelerator", None),
    ],
)
def test_the_peak_is_stated_or_not_at_all(device: str, peak: float | None) -> None:
    assert stated_peak(device) == peak


def test_the_optimizer_of_4b_goes_to_the_host_where_72_gb_do_not_fit() -> None:
    assert offloads_optimizer(SHAPES["qwen3-4b"].parameters, 80 * GIB)
    assert not offloads_optimizer(SHAPES["qwen3-4b"].parameters, 140 * GIB)
    assert not offloads_optimizer(SHAPES["qwen3-0.6b"].parameters, 80 * GIB)


def test_the_budget_counts_down() -> None:
    now = [100.0]
    budget = Budget(60, clock=lambda: now[0])
    now[0] += 45
    assert budget.left == 15
    assert (budget.allows(15), budget.allows(15.1)) == (True, False)


def test_the_table_has_every_figure_and_says_what_was_not_measured() -> None:
    figures = {"agreement_after_sync": 0.00123, "mfu": 0.1234, "train_tokens_per_second": 9_876.5}
    text = table(
        {
            "model": "qwen3-0.6b",
            "measured_on": "gpu",
            "device": "NVIDIA H100",
            "settings": "s",
            "versions": {"torch": "2.11"},
            "peak_tflops": 989.0,
            "figures": figures,
            "notes": ["a whole step: skipped, 3 s were left"],
        }
    )
    rows = {
        cells[1].strip(): cells[2:4]
        for line in text.splitlines()
        if "|" in line
        for cells in [line.split("|")]
    }
    assert len(rows) == len(FIGURES) + 2
    assert rows[FIGURES["agreement_after_sync"]][0].strip() == "1.23e-03"
    assert rows[FIGURES["mfu"]][0].strip() == "12.3%"
    ours, theirs = (cell.strip() for cell in rows[FIGURES["train_tokens_per_second"]])
    assert ours == "9,876"
    assert theirs.startswith("11,896 prime-rl")
    assert rows[FIGURES["step_seconds"]][0].strip() == "not measured"
    assert "- a whole step: skipped, 3 s were left" in text
    assert "989 TFLOP/s" in text


def test_a_device_names_its_file() -> None:
    assert slug("NVIDIA H100 80GB HBM3") == "nvidia-h100-80gb-hbm3"
    assert slug("") == "none"
