"""A checkpoint's files without a run."""

from __future__ import annotations

from pathlib import Path

from rlavr_hpc.trainer.acquisition_state import AcquisitionState
from rlavr_hpc.trainer.checkpoint.shards import write_file


def save(acquisition_state: AcquisitionState, folder: Path) -> None:
    """Write what the acquisition policy has learnt."""
    for path, content in acquisition_state.snapshot(folder).items():
        write_file(path, content)
