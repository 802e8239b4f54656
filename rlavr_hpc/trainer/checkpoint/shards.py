"""A checkpoint's files: kept in memory as a snapshot, then written durably and hashed."""

from __future__ import annotations

import copy as copying
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A file on disk."""

    size: int
    sha256: str


class _Hashing:
    """A binary file that hashes what is written to it; it has the methods that torch.save needs."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._digest = hashlib.sha256()
        self._size = 0

    def write(self, data: Any) -> int:  # noqa: ANN401  bytes or a buffer of them
        """Append."""
        self._digest.update(data)
        self._size += memoryview(data).nbytes
        return self._file.write(data)

    def flush(self) -> None:
        """Flush to the operating system."""
        self._file.flush()

    def close(self) -> Written:
        """Flush to disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return Written(size=self._size, sha256=self._digest.hexdigest())


def write_file(path: Path, content: object) -> Written:
    """Write a file for `torch.load`; it is on disk on return.

    Raises:
        OSError: it cannot be written; RuntimeError likewise, from inside torch.
    """
    file = _Hashing(path)
    torch.save(content, file)  # type: ignore[arg-type]
    return file.close()


def on_host(value: Any, *, copy: bool = True) -> Any:  # noqa: ANN401
    """The same nested value in host memory.

    Args:
        value: dicts, lists and tuples of tensors and of anything that can be copied.
        copy: also copy what is in host memory already, so that later changes do not show.
    """
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=copy)
    if isinstance(value, dict):
        same = copying.copy(value)
        for key, item in value.items():
            same[key] = on_host(item, copy=copy)
        return same
    if type(value) in (list, tuple):
        return type(value)(on_host(item, copy=copy) for item in value)
    return copying.deepcopy(value) if copy else value


@dataclass(slots=True, kw_only=True)
class ShardFiles:
    """Replaces the checkpoint engine of DeepSpeed's engine, and writes nothing itself.

    DeepSpeed calls `save` between collectives, where a full disk on one rank would leave the others
    waiting for ever. So contents are kept in memory and written afterwards.
    """

    copy: bool = True
    """Whether contents must survive the next optimizer update."""
    held: dict[Path, Any] = field(default_factory=dict)

    def save(self, state_dict: Mapping[str, Any], path: str) -> None:
        """Keep what DeepSpeed wants in this file."""
        self.held[Path(path)] = on_host(dict(state_dict), copy=self.copy)

    def load(self, path: str, map_location: Any = None) -> Any:  # noqa: ANN401
        """Read a file; it is the user's own, and its manifest has been checked."""
        return torch.load(path, map_location=map_location, weights_only=False)

    def take(self) -> dict[Path, Any]:
        """Return what was kept since the last call."""
        held, self.held = self.held, {}
        return held

    def makedirs(self, path: str, *, exist_ok: bool = False) -> None:
        """Do nothing: rank 0 makes the folders before."""

    def create(self, info: object) -> None:
        """Do nothing."""

    def commit(self, info: object) -> bool:
        """Do nothing: the manifest decides whether a checkpoint is complete."""
        return True

    def is_data_parallel_writer(self, dp_rank: int) -> bool:
        """Whether this rank writes what all ranks have in common: rank 0 does."""
        return dp_rank == 0

    def is_decoupled(self) -> bool:
        """Whether DeepSpeed must wait for writes: never."""
        return False

    def preserves_storage_sharing(self) -> bool:
        """Whether saved tensors share storage: copies do not."""
        return False

    def cleanup(self) -> None:
        """Do nothing."""
