"""Freed memory is used again."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

COUNT = """
import resource, sys
from rlavr_hpc.cluster.memory_allocator import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
bytearray(48 << 20)
before = faults()
for _ in range(10):
    bytearray(48 << 20)
print(faults() - before)
"""


def page_faults(mode: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", COUNT, mode], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_memory_freed_again_and_again_is_asked_for_once() -> None:
    assert page_faults("kept") * 10 < page_faults("given back")
