"""How the C library's heap treats what is freed."""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""glibc's malloc.h."""
KEPT = 1 << 30
"""Bytes: up to here a freed tensor's memory is used again, not given back."""


def keep_freed_memory() -> bool:
    """Let the process keep memory that it frees; for ranks that compute on CPU.

    glibc gives tensors of some MiB back to the kernel as soon as they are freed and asks for them
    again at the next operator; the kernel clears every page each time. The most memory in use
    stays the same, but what was in use once is not given back before the process ends.

    Returns:
        Whether the C library knows how; others are left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return all(mallopt(which, KEPT) == 1 for which in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD))
