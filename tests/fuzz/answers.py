"""Coverage-guided fuzzing of all that reads model text in the trainer's own process.

`python -m tests.fuzz.answers -runs=10000 [-max_len=400]`, libFuzzer's options. What the graders do
in processes of their own is fuzzed in tests/integration/test_graders.py.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["rlavr_hpc.answers"], enable_loader_override=False):
    from rlavr_hpc.answers.exact.compare import equal_exactly
    from rlavr_hpc.answers.exact.read import read_exact
    from rlavr_hpc.answers.knights import puzzle_names, read_roles
    from rlavr_hpc.answers.tasks.choice import ChoiceTask
    from rlavr_hpc.labels.extract import last_answer_block, last_boxed, stated_answer
    from rlavr_hpc.labels.text import accepted_answers

LIMIT = 1000


def read_all(data: bytes) -> None:
    """Everything must return, with answers within their limit; equality must hold for itself."""
    provider = atheris.FuzzedDataProvider(data)
    text = provider.ConsumeUnicode(provider.remaining_bytes())
    for found in (last_boxed(text), last_answer_block(text), stated_answer(text)):
        assert found is None or 0 < len(found) <= LIMIT
    for answer in (text, last_boxed(rf"\boxed{{{text}}}") or ""):
        form = read_exact(answer)
        assert form is None or equal_exactly(form, form) is True
    names = puzzle_names(text)
    read_roles(text, names)
    read_roles(text, ())
    ChoiceTask().extract(text, text)
    assert accepted_answers(text)


if __name__ == "__main__":
    atheris.Setup(sys.argv, read_all)
    atheris.Fuzz()
