"""A rank's global random states in a checkpoint.

The project's own draws depend on seed, branch and step alone. Libraries may draw from global
generators (a model with dropout does), so their states are saved and restored too.
"""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from rlavr_hpc.errors import CheckpointError
from rlavr_hpc.rollout.global_random import get_states, set_states

log = logging.getLogger(__name__)


def snapshot(folder: Path) -> dict[Path, Any]:
    """This rank's states, by the file they belong in."""
    return {_path(folder): get_states()}


def load(folder: Path) -> None:
    """Restore this rank's states; a checkpoint of another number of ranks may have none.

    Raises:
        CheckpointError: the file is damaged.
    """
    path = _path(folder)
    if not path.exists():
        log.warning("%s holds no random state of this rank; it starts with a new one", folder)
        return
    try:
        set_states(torch.load(path, weights_only=True))
    except (OSError, RuntimeError, ValueError, KeyError, EOFError, pickle.PickleError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error


def _path(folder: Path) -> Path:
    return folder / f"random_{dist.get_rank()}.pt"
