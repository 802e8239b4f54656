"""How Hypothesis searches: never with a deadline, and by default the same examples every time."""

from __future__ import annotations

import signal

from hypothesis import settings

settings.register_profile("fixed", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("random", deadline=None, print_blob=True)
settings.load_profile("fixed")  # pytest --hypothesis-profile=random looks elsewhere each time

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job ignores Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
