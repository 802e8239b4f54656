"""What the kill benchmark can tell apart, and that no phase is left out."""

from __future__ import annotations

import random

import torch

from benchmarks.kill_tables import PHASES
from benchmarks.resume_tasks import deal, deck
from benchmarks.sameness import unequal


def test_a_hundred_kills_reach_every_phase_and_every_kind() -> None:
    phases = deck(100)
    assert len(phases) == 100
    assert set(phases) == set(PHASES)
    tasks = deal(phases, random.Random(1), first_run=0, again=False)
    assert sorted(phase for task in tasks for phase in task.phases) == sorted(phases)
    assert len({task.kind.name for task in tasks}) == 4


def test_one_bit_of_a_nested_tensor_is_a_difference_and_is_named() -> None:
    ours = {"a": [torch.zeros(2), 1.0]}
    assert unequal(ours, {"a": [torch.zeros(2), 1.0]}) is None
    assert unequal(ours, {"a": [torch.tensor([0.0, -0.0]), 1.0]}) == (
        "[a][0]: values differ by up to 0"
    )
    assert unequal(ours, {"a": [torch.zeros(2), 1.5]}) == "[a][1]: 1.0 != 1.5"
    assert unequal(ours, {"b": []}) == ": keys ['a', 'b'] stand on one side only"
