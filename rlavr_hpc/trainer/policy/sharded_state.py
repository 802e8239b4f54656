"""A DeepSpeed engine's state in a checkpoint: one set of shards per rank.

The engine is passed in; only `deepspeed_policy` imports DeepSpeed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlavr_hpc.errors import CheckpointError
from rlavr_hpc.trainer.checkpoint.shards import ShardFiles, write_file
from rlavr_hpc.trainer.checkpoint.zero_shards import ADAPTERS, TAG, reshard, saved_adapters
from rlavr_hpc.trainer.policy.adapters import Adapters, check_same


class ShardedState:
    """Reads and writes the engine's shards; the engine writes nothing itself."""

    def __init__(self, engine: Any) -> None:  # noqa: ANN401  deepspeed has no types
        """Take the place of DeepSpeed's checkpoint engine."""
        self._engine = engine
        engine.checkpoint_engine = self._files = ShardFiles()
        engine._copy_recovery_script = lambda folder: None

    def snapshot(
        self, folder: Path, *, copy: bool, version: int, adapters: Adapters | None
    ) -> dict[Path, Any]:
        """What this rank's shards below `folder` must hold. All ranks call this together."""
        self._files.copy = copy
        state: dict[str, Any] = {"version": version}
        self._engine.save_checkpoint(
            str(folder),
            tag=TAG,
            client_state=state if adapters is None else {**state, ADAPTERS: adapters.as_dict()},
            save_latest=False,
            exclude_frozen_parameters=adapters is not None,
        )
        return self._files.take()

    def load(self, folder: Path, *, adapters: Adapters | None) -> Mapping[str, Any]:
        """Load the shards below `folder`; returns the state that `snapshot` stored with them.

        Raises:
            CheckpointError: they cannot be loaded.
            UserError: they hold other adapters than `adapters`.
        """
        check_same(saved_adapters(folder), adapters, where=folder)
        path, state = self._engine.load_checkpoint(
            str(folder), tag=TAG, load_module_strict=adapters is None
        )
        if path is None:
            raise CheckpointError(f"{folder}: DeepSpeed cannot load these shards")
        loaded: Mapping[str, Any] = state
        return loaded

    def reshard(self, folder: Path, work: Path, *, rank: int, ranks: int) -> None:
        """Write into `work` what this rank's shards would be had `ranks` ranks written `folder`.

        Raises:
            CheckpointError: they do not belong to this model.
        """
        groups = [len(group) for group in self._engine.optimizer.fp16_groups]
        contents = reshard(folder, rank=rank, ranks=ranks, groups=groups)
        engine, place = self._engine, (str(work), TAG)
        names = (engine._get_ckpt_name(*place), engine._get_zero_ckpt_name(*place))
        for name, content in zip(names, contents, strict=True):
            write_file(Path(name), content)
