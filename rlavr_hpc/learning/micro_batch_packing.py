"""Micro-batch packing: an optimizer's batch, spread evenly over ranks and forward passes.

Under ZeRO-3 every rank must run the same number of forward passes, or the gathering of parameters
deadlocks. So shares are split further, or padded with samples that have no weight in the loss.
"""

from __future__ import annotations

from collections.abc import Sequence

from rlavr_hpc.training_types import Sample

MicroBatch = list[tuple[Sample, bool]]
"""Samples, and whether each is padding: a repeated one."""


def split_micro_batches(
    samples: Sequence[Sample], *, ranks: int, micro_batch: int
) -> list[list[MicroBatch]]:
    """Micro-batches of `micro_batch` samples: `[rank][micro-batch]`.

    The same samples are always distributed in the same way, so a rank finds what it computed for a
    sample again by the sample's key. Samples of similar length share a micro-batch, which keeps
    padding small; lengths are spread evenly over the ranks; every rank gets the same number of
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
    """Micro-batches of at most `micro_tokens` tokens each: `[rank][micro-batch]`.

    Ranks get about the same number of tokens (longest processing time first, Graham 1969: within a
    third of the optimum). Then each rank's share is split: by first fit decreasing where samples
    are packed; in order of length where they are padded, each to the longest.

    Args:
        samples: of all ranks.
        ranks: number of ranks.
        micro_tokens: prompt and response tokens of a micro-batch, padding included; a sample with
            more is a micro-batch of its own.
        packed: the micro-batches have no padding.
    """
    order = _longest_first(samples)
    split = _first_fit if packed else _in_order
    shares = [split(share, micro_tokens) for share in _balanced(order, ranks)]
    passes = max(map(len, shares))
    return [_as_many(share, passes, order[-1]) for share in shares]


def length(sample: Sample) -> int:
    """Prompt and response tokens."""
    return len(sample.prompt_ids) + len(sample.response_ids)


def _longest_first(samples: Sequence[Sample]) -> list[Sample]:
    return sorted(samples, key=length, reverse=True)


def _balanced(order: Sequence[Sample], ranks: int) -> list[list[Sample]]:
    """Each sample goes to the rank with the fewest tokens so far."""
    shares: list[list[Sample]] = [[] for _ in range(ranks)]
    tokens = [0] * ranks
    for sample in order:
        rank = min(range(ranks), key=tokens.__getitem__)
        shares[rank].append(sample)
        tokens[rank] += length(sample)
    return shares


def _first_fit(share: Sequence[Sample], micro_tokens: int) -> list[list[Sample]]:
    micros: list[list[Sample]] = []
    room: list[int] = []
    for sample in share:
        size = length(sample)
        index = next((i for i, left in enumerate(room) if left >= size), len(micros))
        if index == len(micros):
            micros.append([])
            room.append(micro_tokens)
        micros[index].append(sample)
        room[index] -= size
    return micros


def _in_order(share: Sequence[Sample], micro_tokens: int) -> list[list[Sample]]:
    micros: list[list[Sample]] = []
    for sample in share:
        if not micros or (len(micros[-1]) + 1) * length(micros[-1][0]) > micro_tokens:
            micros.append([])
        micros[-1].append(sample)
    return micros


def _as_many(share: list[list[Sample]], passes: int, filler: Sample) -> list[MicroBatch]:
    """Halve the fullest micro-batches until there are `passes`; then add padding micro-batches."""
    while len(share) < passes and any(len(micro) > 1 for micro in share):
        fullest = max(range(len(share)), key=lambda i: len(share[i]))
        half = (len(share[fullest]) + 1) // 2
        share[fullest : fullest + 1] = [share[fullest][:half], share[fullest][half:]]
    micros = [[(sample, False) for sample in micro] for micro in share]
    return micros + [[(filler, True)] for _ in range(passes - len(micros))]
