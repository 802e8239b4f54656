"""A checkpoint's files without a run."""

from __future__ import annotations

from pathlib import Path

from rlavr_hpc.trainer.learner import Learner
from rlavr_hpc.trainer.shards import write_file


def save(learner: Learner, folder: Path) -> None:
    """Write what the acquisition policy has learnt."""
    for path, content in learner.snapshot(folder).items():
        write_file(path, content)
