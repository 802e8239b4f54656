"""DeepSpeed's `linear` holds in a partitioned model's passes alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch.nn import functional

from rlavr_hpc.trainer.policy.partitioned_linear import PartitionedLinear


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    plain = functional.linear
    yield
    functional.linear = plain


def replacement(*_: torch.Tensor) -> torch.Tensor:
    return torch.zeros(1)


def test_what_building_puts_in_place_holds_while_the_model_computes_and_not_elsewhere() -> None:
    plain, linear = functional.linear, PartitionedLinear()
    with linear.building():
        functional.linear = replacement  # type: ignore[assignment]
    assert functional.linear is plain
    with linear.computing():
        assert functional.linear is replacement
    assert functional.linear is plain


def test_a_pass_that_fails_leaves_the_plain_one() -> None:
    plain, linear = functional.linear, PartitionedLinear()
    with linear.building():
        functional.linear = replacement  # type: ignore[assignment]
    with pytest.raises(RuntimeError, match="diverged"), linear.computing():
        raise RuntimeError("diverged")
    assert functional.linear is plain


def test_where_nothing_is_replaced_all_stays() -> None:
    plain, linear = functional.linear, PartitionedLinear()
    with linear.building():
        pass
    with linear.computing():
        assert functional.linear is plain
