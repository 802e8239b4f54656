"""The policy under DeepSpeed ZeRO-3: the only importer of deepspeed.

Partitioned weights, one optimizer update per mini-batch however many micro-batches it takes,
gathered weights for the sync, and checkpoint shards.

Shapes: R response tokens of a micro-batch.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import deepspeed
import torch
import torch.distributed as dist
from deepspeed.accelerator import get_accelerator

from rlavr_hpc.errors import CheckpointError, DivergedError
from rlavr_hpc.learning.loss import LossSums, PolicyLoss, divisor_of
from rlavr_hpc.learning.microbatching import MicroBatch, length
from rlavr_hpc.telemetry.step_metrics import Update
from rlavr_hpc.trainer.checkpoint.shards import ShardFiles, write_file
from rlavr_hpc.trainer.checkpoint.zero_shards import ADAPTERS, TAG, reshard, saved_adapters
from rlavr_hpc.trainer.policy.adapters import check_same
from rlavr_hpc.trainer.policy.attention import packs
from rlavr_hpc.trainer.policy.device_memory import TrainingStates
from rlavr_hpc.trainer.policy.lora import without_adapters
from rlavr_hpc.trainer.policy.micro_batches import MicroBatches
from rlavr_hpc.trainer.policy.partitioned import load_partitioned, load_trainable
from rlavr_hpc.trainer.policy.partitioned_linear import PartitionedLinear
from rlavr_hpc.trainer.policy.scoring_model import OldLogProbs, Scores, ScoringOutputs, joined
from rlavr_hpc.trainer.policy.sequences import Sequences
from rlavr_hpc.trainer.policy.settings import PolicySettings, engine_config
from rlavr_hpc.trainer.policy.token_sums import largest, summed
from rlavr_hpc.trainer.policy.whole_weights import GatheredWeights
from rlavr_hpc.types import MiniBatch, Sample


def load_cpu_op() -> None:
    """Compile and load DeepSpeed's shared-memory op, which it needs where there is no GPU."""
    with contextlib.redirect_stdout(io.StringIO()):
        get_accelerator().create_op_builder("ShareMemCommBuilder").load(verbose=False)


def init_ranks(*, device: torch.device, rank: int, world_size: int) -> None:
    """Join the process group of all ranks."""
    backend = "gloo" if device.type == "cpu" else "cpu:gloo,cuda:nccl"
    if world_size == 1:  # nobody to meet, so no port that somebody else could take
        alone = dist.HashStore()  # type: ignore[attr-defined]
        dist.init_process_group(backend, store=alone, rank=0, world_size=1)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints that its op was built
        deepspeed.init_distributed(
            dist_backend=backend,
            rank=rank,
            world_size=world_size,
            auto_mpi_discovery=False,
            verbose=False,
        )


class DeepspeedPolicy:
    """A trainable causal language model, partitioned over all ranks."""

    def __init__(self, settings: PolicySettings, *, loss: PolicyLoss, device: torch.device) -> None:
        """Load the model's weights, each rank its share. All ranks call this together."""
        self._settings, self._loss, self._device = settings, loss, device
        self._rank, self._ranks = dist.get_rank(), dist.get_world_size()
        self.version = 0
        """Raised by every optimizer update; a rollout engine must hold the same."""
        ds_config = engine_config(settings)
        self._linear = PartitionedLinear()
        with self._linear.building():
            self._build(settings, ds_config)
        self._engine.checkpoint_engine = self._files = ShardFiles()
        self._engine._copy_recovery_script = lambda folder: None
        self._weights = GatheredWeights(
            self._engine.module, settings.lora, gather=deepspeed.zero.GatheredParameters
        )
        self._states = TrainingStates(self._engine)
        self._first_pass()
        self._adapters = self._weights.describe(dtype=str(settings.dtype))

    def _build(self, settings: PolicySettings, ds_config: dict[str, Any]) -> None:
        """The model in DeepSpeed's engine, and the reference policy where the loss needs one."""
        model = load_trainable(settings, ds_config)
        self._micro = MicroBatches(
            algorithm=settings.algorithm,
            ranks=self._ranks,
            device=self._device,
            pad_id=settings.pad_id,
            packed=packs(settings.algorithm.packing, model.language_model.config),
        )
        algorithm = settings.algorithm
        self._reference: Any = None
        if self._loss.needs_reference and not settings.lora.rank:
            frozen = load_partitioned(settings, ds_config).eval().requires_grad_(False)
            self._reference, *_ = deepspeed.initialize(model=frozen, config=ds_config)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(
            trained,
            lr=algorithm.lr,
            weight_decay=algorithm.weight_decay,
            betas=(algorithm.beta1, algorithm.beta2),
        )
        self._engine, *_ = deepspeed.initialize(model=model, optimizer=optimizer, config=ds_config)
        if self._loss.needs_reference and settings.lora.rank:
            self._reference = self._engine  # without its adapters

    @property
    def has_frozen(self) -> bool:
        """Whether some of the weights never change."""
        return self._adapters is not None

    @property
    def trains_zero_advantage(self) -> bool:
        """Whether responses of advantage 0 move the weights too."""
        return self._reference is not None

    def update(
        self,
        mini_batch: MiniBatch,
        *,
        step: int,
        old: OldLogProbs | None,
        skip_update: bool = False,
    ) -> Update:
        """One optimizer update on a mini-batch that every rank holds whole.

        Args:
            mini_batch: samples of all ranks; this rank takes its share.
            step: the step, for the learning rate.
            old: log-probabilities before the step's first update, at least those of this rank's
                share; None when this is the first.
            skip_update: leave the weights as they are; the optimizer's statistics see the gradient.

        Returns:
            Sums over the tokens of all ranks.

        Raises:
            DivergedError: on every rank, when loss or gradient is not a finite number.
        """
        dealt = self._micro.split(mini_batch.samples)
        sums: list[LossSums] = []
        divisor = divisor_of(self._loss, mini_batch)
        scale = self._ranks / divisor  # DeepSpeed averages over ranks
        for index, micro in enumerate(dealt[self._rank]):
            last = index == len(dealt[self._rank]) - 1
            self._engine.set_gradient_accumulation_boundary(last)
            sequences = self._micro.collate(micro)
            with self._linear.computing():
                reference_R = self._reference_logp(sequences)
                self._engine.train()
                logp_R, entropy_R = self._engine(sequences)
                result = self._loss(logp_R, self._micro.tokens(micro, old, reference=reference_R))
                self._engine.backward(result.loss * scale)
            result.stats["entropy"] = (entropy_R * self._micro.counted(micro)).sum()
            result.stats["loss"] = result.loss.detach() / divisor
            sums.append(result)
        lr = self._set_learning_rate(step, skip_update=skip_update)
        self._engine.step()
        self.version += 1
        update = Update(
            sums=summed(sums),
            largest=largest(sums),
            grad_norm=float(self._engine.get_global_grad_norm()),
            lr=lr,
            rank_tokens=tuple(map(_tokens, dealt)),
        )
        if not (math.isfinite(update.sums["loss"]) and math.isfinite(update.grad_norm)):
            raise DivergedError(
                f"step {step}: loss {update.sums['loss']}, gradient norm {update.grad_norm}: "
                "training diverged; lower algorithm.lr or algorithm.clip_grad"
            )
        return update

    def score(
        self, samples: Sequence[Sample], *, wanted: ScoringOutputs = ScoringOutputs.everything
    ) -> Scores:
        """The policy's view of samples as it is; a rank gets its own share, some of it repeated.

        Args:
            samples: of all ranks.
            wanted: `everything`, or `states` alone.
        """
        parts: list[Scores] = []
        self._engine.eval()
        with torch.no_grad(), self._linear.computing():
            for micro in self._micro.split(samples)[self._rank]:
                columns = self._engine(self._micro.collate(micro), wanted=wanted)
                parts.append(
                    Scores(
                        [sample.key for sample, _ in micro],
                        [len(sample.response_ids) for sample, _ in micro],
                        *(column.float().cpu() for column in columns),
                    )
                )
        return joined(parts)

    def weights(
        self, *, bucket_bytes: int, moving_only: bool = False
    ) -> Iterator[tuple[str, torch.Tensor]]:
        """Whole weights by their Hugging Face names; see `GatheredWeights.whole`."""
        return self._weights.whole(bucket_bytes=bucket_bytes, moving_only=moving_only)

    def leave_device(self) -> None:
        """Make room for generation: all but the weights to host memory, if the settings say so."""
        if self._settings.deepspeed.offload_states:
            self._states.leave()

    def return_to_device(self) -> None:
        """Undo `leave_device`, before the next update or snapshot."""
        self._states.come_back()

    @staticmethod
    def make_folders(folder: Path) -> None:
        """Make what a checkpoint's files need."""
        (folder / TAG).mkdir(parents=True)

    def snapshot(self, folder: Path, *, copy: bool) -> dict[Path, Any]:
        """What this rank's shards below `folder` must hold. All ranks call this together.

        Args:
            folder: the checkpoint; nothing is written.
            copy: the values must survive the next update.
        """
        self._files.copy = copy
        self._engine.save_checkpoint(
            str(folder),
            tag=TAG,
            client_state=self._client_state(),
            save_latest=False,
            exclude_frozen_parameters=self.has_frozen,
        )
        return self._files.take()

    def load(self, folder: Path) -> None:
        """Take over the shards below `folder`, written by the same number of ranks.

        Raises:
            CheckpointError: they cannot be loaded.
            UserError: they are not of this policy: adapters or none, of another base.
        """
        check_same(saved_adapters(folder), self._adapters, where=folder)
        path, state = self._engine.load_checkpoint(
            str(folder), tag=TAG, load_module_strict=not self.has_frozen
        )
        if path is None:
            raise CheckpointError(f"{folder}: DeepSpeed cannot load these shards")
        self.version = int(state["version"])
        self._first_pass()

    def reshard(self, folder: Path, work: Path) -> None:
        """Deal the shards below `folder`, of another number of ranks, into `work`, to be loaded.

        Raises:
            CheckpointError: they do not belong to this model.
        """
        groups = [len(group) for group in self._engine.optimizer.fp16_groups]
        contents = reshard(folder, rank=self._rank, ranks=self._ranks, groups=groups)
        engine, place = self._engine, (str(work), TAG)
        names = (engine._get_ckpt_name(*place), engine._get_zero_ckpt_name(*place))
        for name, content in zip(names, contents, strict=True):
            write_file(Path(name), content)

    def _client_state(self) -> dict[str, Any]:
        state: dict[str, Any] = {"version": self.version}
        return state if self._adapters is None else {**state, ADAPTERS: self._adapters.as_dict()}

    def _first_pass(self) -> None:
        """One forward pass: gathered storage is not initialised before it."""
        pad = self._settings.pad_id
        dummy = Sample(
            key=("", 0),
            prompt_ids=(pad,),
            response_ids=(pad,),
            sampler_logprobs=(0.0,),
            advantage=0.0,
        )
        self.score([dummy])

    def _reference_logp(self, sequences: Sequences) -> torch.Tensor | None:
        if self._reference is None:
            return None
        self._reference.eval()
        with torch.no_grad(), self._initial():
            logp_R: torch.Tensor = self._reference(sequences)[0]
        return logp_R

    def _initial(self) -> contextlib.AbstractContextManager[None]:
        """The reference is the first policy: a copy, or this one without its adapters."""
        own = self._reference is self._engine
        return without_adapters(self._engine.module) if own else contextlib.nullcontext()

    def _set_learning_rate(self, step: int, *, skip_update: bool) -> float:
        algorithm = self._settings.algorithm
        warm = min(1.0, step / algorithm.warmup_steps) if algorithm.warmup_steps else 1.0
        lr = 0.0 if skip_update else algorithm.lr * warm
        for group in self._engine.optimizer.param_groups:
            group["lr"] = lr
        return lr


def _tokens(share: Sequence[MicroBatch]) -> int:
    """Prompt and response tokens of a rank's share."""
    return sum(length(sample) for micro in share for sample, _ in micro)
