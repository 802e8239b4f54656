"""mean@n, pass@k and maj@n with bootstrap intervals over problems. Needs numpy only.

Shapes: P problems, N samples of a problem, S statistics, R resamples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
CONFIDENCE = 0.95
BOOTSTRAP_STREAM = 13
"""Seed of the resampling: the same results always get the same interval."""
BLOCK = 1 << 24
"""Counts held at once, so that a large test set does not fill the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A statistic of a test set."""

    value: float
    low: float
    """Lower end of the 95% interval over problems."""
    high: float


def pass_orders(samples: int) -> list[int]:
    """Every k that pass@k is reported for: the powers of two up to `samples`, and `samples`."""
    powers = [1 << i for i in range(samples.bit_length()) if 1 << i <= samples]
    return powers if powers[-1] == samples else [*powers, samples]


def pass_at_k(right_P: NDArray[np.int64], *, samples: int, k: int) -> NDArray[np.float64]:
    """Probability that k of a problem's samples, drawn without replacement, hold a right one.

    Unbiased for k fresh samples: 1 - C(n-c, k) / C(n, k), in exact integers.

    Args:
        right_P: c, how many samples of each problem are right.
        samples: n, samples of a problem.
        k: at most n.
    """
    by_count = [1 - comb(samples - c, k) / comb(samples, k) for c in range(samples + 1)]
    return np.array(by_count)[right_P]


def bootstrap(
    values_PS: NDArray[np.float64], *, resamples: int = RESAMPLES
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(S,) ends of the interval of each mean; problems are drawn with replacement.

    All statistics are computed on the same resamples.
    """
    problems = len(values_PS)
    rng = np.random.default_rng(np.random.SeedSequence([BOOTSTRAP_STREAM]))
    even_P = np.full(problems, 1 / problems)
    rows = max(1, BLOCK // problems)
    means = [
        rng.multinomial(problems, even_P, size=min(rows, resamples - start)) @ values_PS / problems
        for start in range(0, resamples, rows)
    ]
    tail = 100 * (1 - CONFIDENCE) / 2
    low_S, high_S = np.percentile(np.concatenate(means), [tail, 100 - tail], axis=0)
    return low_S, high_S


def estimate(
    correct_PN: NDArray[np.bool_], vote_right_P: NDArray[np.bool_]
) -> Mapping[str, Estimate]:
    """All statistics of a test set, by name, in the order of the report.

    Args:
        correct_PN: whether each sample is right; at least one problem and one sample.
        vote_right_P: whether each problem's majority vote is right.
    """
    samples = correct_PN.shape[1]
    right_P = correct_PN.sum(axis=1)
    columns: dict[str, NDArray[np.float64]] = {f"mean@{samples}": right_P / samples}
    for k in pass_orders(samples):
        columns[f"pass@{k}"] = pass_at_k(right_P, samples=samples, k=k)
    columns[f"maj@{samples}"] = vote_right_P.astype(np.float64)
    values_PS = np.stack(list(columns.values()), axis=1)
    low_S, high_S = bootstrap(values_PS)
    return {
        name: Estimate(value=float(mean), low=float(low), high=float(high))
        for name, mean, low, high in zip(
            columns, values_PS.mean(axis=0), low_S, high_S, strict=True
        )
    }
