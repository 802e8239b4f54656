from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlavr_hpc.errors import UserError
from rlavr_hpc.learning.micro_batch_packing import MicroBatch, length, pack_micro_batches
from rlavr_hpc.training_types import Sample
from tests.support.configs import composed


def sample(tokens: int) -> Sample:
    return Sample(
        key=("p", tokens),
        prompt_ids=(1,),
        response_ids=(2,) * (tokens - 1),
        sampler_logprobs=(-1.0,) * (tokens - 1),
        advantage=1.0,
    )


def lengths(shares: list[list[MicroBatch]]) -> list[list[list[int]]]:
    return [[[length(s) for s, _ in micro] for micro in share] for share in shares]


def size(micro: MicroBatch, *, packed: bool) -> int:
    each = [length(s) for s, _ in micro]
    return sum(each) if packed else max(each) * len(each)


@given(
    each=st.lists(st.integers(2, 40), min_size=1, max_size=50),
    ranks=st.integers(1, 4),
    room=st.integers(1, 90),
    packed=st.booleans(),
)
def test_every_sample_is_dealt_once_within_the_budget_and_every_rank_makes_as_many_passes(
    each: list[int], ranks: int, room: int, packed: bool
) -> None:
    samples = [sample(n) for n in each]
    shares = pack_micro_batches(samples, ranks=ranks, micro_tokens=room, packed=packed)
    real = [s for share in shares for micro in share for s, padding in micro if not padding]
    assert sorted(map(id, real)) == sorted(map(id, samples))
    assert len({len(share) for share in shares}) == 1
    assert all(micro for share in shares for micro in share)
    assert all(
        size(micro, packed=packed) <= room or len(micro) == 1 for share in shares for micro in share
    )
    again = pack_micro_batches(samples, ranks=ranks, micro_tokens=room, packed=packed)
    assert lengths(again) == lengths(shares)


@given(each=st.lists(st.integers(2, 40), min_size=8, max_size=50), ranks=st.integers(2, 4))
def test_ranks_get_about_as_many_tokens(each: list[int], ranks: int) -> None:
    shares = pack_micro_batches(
        [sample(n) for n in each], ranks=ranks, micro_tokens=64, packed=True
    )
    tokens = [sum(length(s) for m in share for s, padding in m if not padding) for share in shares]
    assert max(tokens) - min(tokens) <= max(each)


def test_by_hand() -> None:
    samples = [sample(n) for n in (2, 9, 4, 5, 3)]
    whole = pack_micro_batches(samples, ranks=1, micro_tokens=10, packed=True)
    assert lengths(whole) == [[[9], [5, 4], [3, 2]]]
    padded = pack_micro_batches(samples, ranks=1, micro_tokens=10, packed=False)
    assert lengths(padded) == [[[9], [5, 4], [3, 2]]]
    uneven = [sample(n) for n in (9, 8, 2, 2)]
    assert lengths(pack_micro_batches(uneven, ranks=1, micro_tokens=12, packed=True)) == [
        [[9, 2], [8, 2]]
    ]
    assert lengths(pack_micro_batches(uneven, ranks=1, micro_tokens=12, packed=False)) == [
        [[9], [8], [2, 2]]
    ]


def test_a_rank_with_fewer_passes_cuts_finer_and_fills_only_what_cannot_be_cut() -> None:
    samples = [sample(n) for n in (12, 6, 6)]
    shares = pack_micro_batches(samples, ranks=2, micro_tokens=12, packed=True)
    assert lengths(shares) == [[[12]], [[6, 6]]]
    finer = pack_micro_batches([*samples, sample(12)], ranks=2, micro_tokens=12, packed=True)
    assert lengths(finer) == [[[12], [6]], [[12], [6]]]
    shares = pack_micro_batches([sample(12), sample(5)], ranks=3, micro_tokens=12, packed=True)
    assert [[p for _, p in micro] for share in shares for micro in share] == [
        [False],
        [False],
        [True],
    ]


@pytest.mark.parametrize(
    "override", ["algorithm.micro_tokens=0", "model.attention=flash_attention_2"]
)
def test_impossible_settings_are_refused(override: str) -> None:
    with pytest.raises(UserError, match=r"micro_tokens=0|needs model.dtype=bfloat16"):
        composed(override)
