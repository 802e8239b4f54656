"""How the C library's heap treats what is freed."""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""glibc's malloc.h."""
SMALL, KEPT = 64 << 20, 256 << 20
"""Bytes of a tensor whose memory is used again, not given back, and how much of it at the heap's
end. Larger ones are given back: a heap of large pieces would fall apart, and the process grow."""


def keep_freed_memory() -> bool:
    """Let the process keep memory that it frees; for ranks that compute on CPU.

    glibc gives tensors of some MiB back to the kernel as soon as they are freed and asks for them
    again at the next operator; the kernel clears every page each time.

    Returns:
        Whether the C library knows how; others are left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    limits = ((M_MMAP_THRESHOLD, SMALL), (M_TRIM_THRESHOLD, KEPT))
    return all(mallopt(which, size) == 1 for which, size in limits)
