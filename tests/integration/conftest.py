"""Runs that several modules look at; none of them writes there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import TINY, command


@pytest.fixture(scope="session")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on two ranks, in bfloat16 and with tied embeddings, and its weights told twice."""
    out = tmp_path_factory.mktemp("two") / "out"
    done = command(
        "tests.support.policy_weights", str(out), *TINY, "rollout=hf", "steps=2",
        "model.tied_embeddings=true", "model.dtype=bfloat16", "acquisition=full", ranks=2,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out
