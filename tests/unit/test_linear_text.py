"""Texts from data files are read in a time that grows with their length, not with its square."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from rlavr_hpc.data.message_text import written_messages
from rlavr_hpc.data.prompt_findings import MEDIA_MARK
from rlavr_hpc.data.row_labels import row_label
from rlavr_hpc.data.template_marks import carried_template, is_plain_dialogue

LENGTH = 20_000
ALLOWED_SECONDS = 0.5
"""Of processor time for the longer text: some hundred times what is needed."""


def label(text: str) -> object:
    return row_label([text], task="math", options=None)


def messages(text: str) -> object:
    return written_messages(text, "row 1")


CASES: tuple[tuple[Callable[[str], object], Callable[[int], str]], ...] = (
    (label, lambda n: r"x \boxed{1} x }" + " " * n + "end"),
    (label, lambda n: "####" + " " * n + "#"),
    (label, lambda n: "#### 1" + " " * n + "#"),
    (label, lambda n: "work\nAnswer: a" + " ." * (n // 2) + "x"),
    (label, lambda n: "<answer>" * (n // 8)),
    (label, lambda n: r"\boxed{" * (n // 7)),
    (messages, lambda n: " " * n),
    (messages, lambda n: "[" + " " * n),
    (is_plain_dialogue, lambda n: "User: x\n" * (n // 8)),
    (is_plain_dialogue, lambda n: "\n" * n),
    (is_plain_dialogue, lambda n: "User:" + " " * n + "x"),
    (carried_template, lambda n: " " * n + "<x"),
    (carried_template, lambda n: "<s>" + " " * n + "x"),
    (carried_template, lambda n: "[SYSTEM_PROMPT]" * (n // 15) + "[/INST]"),
    (
        carried_template,
        lambda n: "<|start_of_role|>assistant" + " " * n + "<|start_of_role|>x",
    ),
    (MEDIA_MARK.search, lambda n: "<img " * (n // 5)),
)


@pytest.mark.parametrize(("read", "text"), CASES)
def test_a_text_four_times_as_long_takes_no_sixteen_times_as_long(
    read: Callable[[str], object], text: Callable[[int], str]
) -> None:
    seconds = []
    for length in (LENGTH, 4 * LENGTH):
        written = text(length)
        start = time.process_time()
        read(written)
        seconds.append(time.process_time() - start)
    short, long = seconds
    assert long < ALLOWED_SECONDS or long < 8 * short
    assert long < 5.0
