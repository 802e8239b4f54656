"""A learning acquisition policy's state in a checkpoint: `acquisition.pt`, written by rank 0."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from rlavr_hpc.acquisition.policy_protocol import AcquisitionPolicy, LearningPolicy
from rlavr_hpc.errors import CheckpointError
from rlavr_hpc.trainer.checkpoint.shards import on_host
from rlavr_hpc.trainer.late_labels import LateLabels

VERSION = 1
FILE = "acquisition.pt"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AcquisitionState:
    """The acquisition policy, and the name under which its state is stored."""

    name: str
    policy: AcquisitionPolicy
    late: LateLabels = field(default_factory=LateLabels)
    """Groups whose label is pending."""

    def snapshot(self, folder: Path) -> dict[Path, Any]:
        """A copy of the state, by file; empty for a policy that does not learn."""
        if not isinstance(self.policy, LearningPolicy):
            return {}
        content = {"version": VERSION, "name": self.name, "state": self.policy.state()}
        if self.late.groups:
            content["late"] = self.late.state()
        return {folder / FILE: on_host(content)}

    def load(self, folder: Path, *, seed: int, allowed: Collection[str]) -> None:
        """Continue from the state in a checkpoint.

        Args:
            folder: the checkpoint.
            seed: of the run.
            allowed: `allow_change`; if it contains `acquisition`, another policy starts untrained.

        Raises:
            CheckpointError: there is no state, or it is of another policy or model.
        """
        if not isinstance(self.policy, LearningPolicy):
            return
        may_change = any(key.partition(".")[0] == "acquisition" for key in allowed)
        path = folder / FILE
        name = None
        if path.exists():
            content = _read(path)
            name = content["name"]
            self.late.load(content.get("late", ()))
            if name == self.name and not self._refused(content["state"], path, seed, may_change):
                return
        if not may_change:
            held = f"the probes of acquisition={name}" if name else "no probes"
            raise CheckpointError(
                f"{folder} holds {held}, and "
                f"acquisition={self.name} would start with untrained probes; restore the "
                "checkpoint, or allow it with allow_change=[acquisition]"
            )
        log.warning("acquisition=%s starts with untrained probes", self.name)

    def _refused(self, state: Mapping[str, Any], path: Path, seed: int, may_change: bool) -> bool:
        """Load the state; True if it does not fit the settings, which may have changed."""
        assert isinstance(self.policy, LearningPolicy)
        try:
            self.policy.load(state, seed=seed)
        except CheckpointError as error:
            if not may_change:
                raise CheckpointError(
                    f"{path}: {error}; or go on with untrained probes: allow_change=[acquisition]"
                ) from error
            log.warning("%s: %s", path, error)
            self.policy.load({}, seed=seed)
            return True
        return False


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = torch.load(path, weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    if content.get("version") != VERSION:
        raise CheckpointError(f"{path}: version {content.get('version')!r} is not {VERSION}")
    return content
