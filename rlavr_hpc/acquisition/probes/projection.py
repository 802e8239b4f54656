"""Hidden states of large models, on few random directions."""

from __future__ import annotations

import numpy as np

from rlavr_hpc.types import FloatArray

STREAM = 23
"""Keeps these draws apart from every other use of a seed."""


def projected(state_D: FloatArray, *, directions: int) -> FloatArray:
    """A state on `directions` random directions, the same ones each time; a narrower one stays.

    Distances survive it about (Johnson and Lindenstrauss, 1984).

    Args:
        state_D: the state.
        directions: K, at most so many numbers are kept.

    Returns:
        Shape (min(D, K),), float32.
    """
    size = len(state_D)
    if size <= directions:
        return state_D.astype(np.float32)
    rng = np.random.default_rng(np.random.SeedSequence([STREAM, size, directions]))
    directions_DK = rng.standard_normal((size, directions)).astype(np.float32)
    found: FloatArray = state_D @ directions_DK / np.float32(np.sqrt(size))
    return found
