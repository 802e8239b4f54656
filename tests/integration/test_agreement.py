"""The only proof of a weight sync: after an update the engine's log-probs equal the trainer's."""

from __future__ import annotations

import json

import pytest

from tests.support.commands import command

AGREE = 0.05
"""Mean |difference| in bfloat16."""


def gaps(engine: str, *, tied: bool, skip_sync: bool = False, lora: bool = False) -> list[float]:
    """Agreement per step, measured in a process of its own."""
    flags = [*(["--tied"] if tied else []), *(["--skip-sync"] if skip_sync else [])]
    flags += ["--lora"] if lora else []
    done = command("tests.support.agreement", engine, *flags)
    assert done.returncode == 0, done.stderr
    measured: list[float] = json.loads(done.stdout.splitlines()[-1])
    return measured


@pytest.mark.vllm
@pytest.mark.parametrize("tied", [False, True])
def test_vllm_agrees_with_the_trainer_after_every_sync(tied: bool) -> None:
    measured = gaps("vllm", tied=tied)
    assert len(measured) == 4
    assert max(measured) < AGREE


@pytest.mark.vllm
def test_vllm_agrees_when_it_is_sent_only_the_layers_that_adapters_change() -> None:
    assert max(gaps("vllm", tied=True, lora=True)) < AGREE


@pytest.mark.vllm
def test_the_agreement_test_notices_a_skipped_sync() -> None:
    measured = gaps("vllm", tied=False, skip_sync=True)
    assert measured[0] < AGREE < measured[-1]


@pytest.mark.parametrize("tied", [False, True])
def test_transformers_agrees_with_the_trainer_after_every_sync(tied: bool) -> None:
    assert max(gaps("hf", tied=tied)) < AGREE


def test_the_agreement_test_notices_a_skipped_sync_of_transformers() -> None:
    assert gaps("hf", tied=True, skip_sync=True)[-1] > AGREE
