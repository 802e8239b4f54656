"""Deals an optimizer's batch evenly to ranks and micro-batches.

Under ZeRO-3 every rank must run the same number of forward passes, or the gathers of parameters
deadlock; so shares are cut finer, or padded with samples that neither move the weights nor count.
"""

from __future__ import annotations

from collections.abc import Sequence

from rlavr_hpc.types import Sample

MicroBatch = list[tuple[Sample, bool]]
"""Samples, and whether each is padding: a repeated one."""


def split_micro_batches(
    samples: Sequence[Sample], *, ranks: int, micro_batch: int
) -> list[list[MicroBatch]]:
    """Deal samples to ranks and micro-batches of that many samples: `[rank][micro-batch]`.

    The same samples are always dealt the same way, so what one rank has learnt of a sample it finds
    again by the sample's key. Samples of like length meet in a micro-batch, so that little is
    padded; lengths are spread evenly over the ranks; every rank gets the same number of
    micro-batches.
    """
    order = _longest_first(samples)
    shares = [list(order[rank::ranks]) for rank in range(ranks)]
    size = len(shares[0])
    padded = [
        [(s, False) for s in share] + [(order[-1], True)] * (size - len(share)) for share in shares
    ]
    return [[share[i : i + micro_batch] for i in range(0, size, micro_batch)] for share in padded]


def pack_micro_batches(
    samples: Sequence[Sample], *, ranks: int, micro_tokens: int, packed: bool
) -> list[list[MicroBatch]]:
    """Deal samples to ranks and micro-batches of at most that many tokens each.

    Ranks get about as many tokens each (longest processing time first, Graham 1969: within a third
    of the best). Then each share is cut: packed ones first fit decreasing, padded ones in order of
    length, where every sample takes the room of the longest.

    Args:
        samples: of all ranks.
        ranks: how many.
        micro_tokens: prompt and response tokens of a micro-batch, padding included; a sample with
            more is a micro-batch of its own.
        packed: the micro-batches have no padding.
    """
    order = _longest_first(samples)
    cut = _first_fit if packed else _in_order
    shares = [cut(share, micro_tokens) for share in _balanced(order, ranks)]
    passes = max(map(len, shares))
    return [_as_many(share, passes, order[-1]) for share in shares]


def length(sample: Sample) -> int:
    """Prompt and response tokens."""
    return len(sample.prompt_ids) + len(sample.response_ids)


def _longest_first(samples: Sequence[Sample]) -> list[Sample]:
    return sorted(samples, key=length, reverse=True)


def _balanced(order: Sequence[Sample], ranks: int) -> list[list[Sample]]:
    """Each sample to the rank that has the fewest tokens so far."""
    shares: list[list[Sample]] = [[] for _ in range(ranks)]
    tokens = [0] * ranks
    for sample in order:
        rank = min(range(ranks), key=tokens.__getitem__)
        shares[rank].append(sample)
        tokens[rank] += length(sample)
    return shares


def _first_fit(share: Sequence[Sample], micro_tokens: int) -> list[list[Sample]]:
    cut: list[list[Sample]] = []
    room: list[int] = []
    for sample in share:
        size = length(sample)
        index = next((i for i, left in enumerate(room) if left >= size), len(cut))
        if index == len(cut):
            cut.append([])
            room.append(micro_tokens)
        cut[index].append(sample)
        room[index] -= size
    return cut


def _in_order(share: Sequence[Sample], micro_tokens: int) -> list[list[Sample]]:
    cut: list[list[Sample]] = []
    for sample in share:
        if not cut or (len(cut[-1]) + 1) * length(cut[-1][0]) > micro_tokens:
            cut.append([])
        cut[-1].append(sample)
    return cut


def _as_many(share: list[list[Sample]], passes: int, filler: Sample) -> list[MicroBatch]:
    """Halve the fullest micro-batches until there are enough; what cannot be halved is filled."""
    while len(share) < passes and any(len(micro) > 1 for micro in share):
        fullest = max(range(len(share)), key=lambda i: len(share[i]))
        half = (len(share[fullest]) + 1) // 2
        share[fullest : fullest + 1] = [share[fullest][:half], share[fullest][half:]]
    dealt = [[(sample, False) for sample in micro] for micro in share]
    return dealt + [[(filler, True)] for _ in range(passes - len(dealt))]
