"""What the trainer needs of a policy; `deepspeed_policy` has the one that there is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from rlavr_hpc.telemetry.step_metrics import Update
from rlavr_hpc.trainer.policy.scoring_model import OldLogProbs, Scores, ScoringOutputs
from rlavr_hpc.training_types import MiniBatch, Sample


class SyncedPolicy(Protocol):
    """A policy whose weights a rollout engine takes over."""

    version: int
    """Raised by every optimizer update; a rollout engine must hold the same."""

    @property
    def has_frozen(self) -> bool:
        """Whether some of the weights never change."""

    def weights(
        self, *, bucket_bytes: int, moving_only: bool = False
    ) -> Iterable[tuple[str, torch.Tensor]]:
        """Whole weights by their Hugging Face names; all ranks consume this together.

        Args:
            bucket_bytes: gathered at once.
            moving_only: leave out what never changes.
        """

    def offload_states(self) -> None:
        """Make room for the engine on the device; the weights stay."""

    def reload_states(self) -> None:
        """Undo `offload_states`, before the next update or snapshot."""


class SavedPolicy(Protocol):
    """A policy whose state is written to checkpoints, each rank its own files."""

    def make_folders(self, folder: Path) -> None:
        """Make the folders that the files below `folder` need; on one rank."""

    def snapshot(self, folder: Path, *, copy: bool) -> dict[Path, Any]:
        """What this rank's files below `folder` must hold. All ranks call this together.

        Args:
            folder: the checkpoint; nothing is written.
            copy: the values must survive the next update.
        """

    def load(self, folder: Path) -> None:
        """Continue from the files below `folder`, written by the same number of ranks.

        Raises:
            CheckpointError: they cannot be loaded.
            UserError: they are of another policy: with or without adapters, or of another base.
        """

    def reshard(self, folder: Path, work: Path) -> None:
        """Redistribute the files below `folder`, of another number of ranks, into `work`.

        Raises:
            CheckpointError: they do not belong to this model.
        """


class Policy(SyncedPolicy, SavedPolicy, Protocol):
    """A trainable causal language model, distributed over all ranks."""

    @property
    def trains_zero_advantage(self) -> bool:
        """Whether responses of advantage 0 move the weights too."""

    def update(
        self,
        mini_batch: MiniBatch,
        *,
        step: int,
        old_logprobs: OldLogProbs | None,
        skip_update: bool = False,
    ) -> Update:
        """One optimizer update on a mini-batch that every rank holds whole.

        Args:
            mini_batch: samples of all ranks; this rank takes its share.
            step: the step, for the learning rate.
            old_logprobs: before the step's first update, at least of this rank's share; None when
                this is the first.
            skip_update: leave the weights as they are; the optimizer's statistics see the gradient.

        Returns:
            Sums over the tokens of all ranks.

        Raises:
            DivergedError: on every rank, when loss or gradient is not a finite number.
        """

    def score(
        self, samples: Sequence[Sample], *, outputs: ScoringOutputs = ScoringOutputs.everything
    ) -> Scores:
        """The policy's present view of samples; a rank gets its share, some samples repeated.

        Args:
            samples: of all ranks.
            outputs: `everything`, or `states` alone.
        """
