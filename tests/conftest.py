"""How Hypothesis searches, and in which order files are run.

The search has no deadline, and by default the same examples every time.
"""

from __future__ import annotations

import signal
from collections import Counter

import pytest
from hypothesis import settings

settings.register_profile("fixed", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("random", deadline=None, print_blob=True)
settings.load_profile("fixed")  # pytest --hypothesis-profile=random looks elsewhere each time

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job ignores Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that start vLLM or several ranks come first, then those of many tests.

    `--dist loadfile` gives a process a whole file: a long one at the end would run alone.
    """
    dear = {item.path for item in items if any(map(item.get_closest_marker, ("vllm", "ranks")))}
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path not in dear, -tests[item.path], item.path))
