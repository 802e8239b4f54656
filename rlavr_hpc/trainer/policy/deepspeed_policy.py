"""The policy under DeepSpeed ZeRO-3: the only importer of deepspeed.

Weights are partitioned over the ranks; a mini-batch is one optimizer update, however many
micro-batches it takes; whole weights are gathered for the sync; each rank has checkpoint shards.

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

from rlavr_hpc.errors import DivergedError
from rlavr_hpc.learning.loss import LossSums, PolicyLoss, loss_divisor
from rlavr_hpc.learning.micro_batch_packing import MicroBatch, length
from rlavr_hpc.telemetry.step_metrics import Update
from rlavr_hpc.trainer.checkpoint.zero_shards import TAG
from rlavr_hpc.trainer.policy.attention import packs
from rlavr_hpc.trainer.policy.collate import MicroBatches
from rlavr_hpc.trainer.policy.device_memory import TrainingStates
from rlavr_hpc.trainer.policy.partitioned import load_partitioned, load_trainable
from rlavr_hpc.trainer.policy.partitioned_linear import PartitionedLinear
from rlavr_hpc.trainer.policy.reference_policy import ReferencePolicy
from rlavr_hpc.trainer.policy.scoring_model import OldLogProbs, Scores, ScoringOutputs, joined
from rlavr_hpc.trainer.policy.settings import PolicySettings, engine_config
from rlavr_hpc.trainer.policy.sharded_state import ShardedState
from rlavr_hpc.trainer.policy.token_sums import largest, summed
from rlavr_hpc.trainer.policy.whole_weights import GatheredWeights
from rlavr_hpc.training_types import MiniBatch, Sample


def load_cpu_op() -> None:
    """Compile and load DeepSpeed's shared-memory op, which it needs where there is no GPU."""
    with contextlib.redirect_stdout(io.StringIO()):
        get_accelerator().create_op_builder("ShareMemCommBuilder").load(verbose=False)


def init_ranks(*, device: torch.device, rank: int, world_size: int) -> None:
    """Join the process group of all ranks."""
    backend = "gloo" if device.type == "cpu" else "cpu:gloo,cuda:nccl"
    if world_size == 1:  # needs no rendezvous, and so no port
        alone = dist.HashStore()  # type: ignore[attr-defined]
        dist.init_process_group(backend, store=alone, rank=0, world_size=1)
    with contextlib.redirect_stdout(io.StringIO()):  # DeepSpeed prints that its op was built
        deepspeed.init_distributed(
            dist_backend=backend,
            rank=rank,
            world_size=world_size,
            auto_mpi_discovery=False,
            verbose=False,
        )


class DeepspeedPolicy:
    """A trainable causal language model, partitioned over all ranks; see `protocol.Policy`."""

    def __init__(self, settings: PolicySettings, *, loss: PolicyLoss, device: torch.device) -> None:
        """Load the model's weights, each rank its share. All ranks call this together."""
        self._settings, self._loss, self._device = settings, loss, device
        self._rank, self._ranks = dist.get_rank(), dist.get_world_size()
        self.version = 0
        ds_config = engine_config(settings)
        self._linear = PartitionedLinear()
        with self._linear.building():
            self._build(settings, ds_config)
        self._shards = ShardedState(self._engine)
        self._weights = GatheredWeights(
            self._engine.module, settings.lora, gather=deepspeed.zero.GatheredParameters
        )
        self._states = TrainingStates(self._engine)
        self._warm_up()
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
        self._reference: ReferencePolicy | None = None
        if self._loss.needs_reference and not settings.lora.rank:
            frozen = load_partitioned(settings, ds_config).eval().requires_grad_(False)
            engine, *_ = deepspeed.initialize(model=frozen, config=ds_config)
            self._reference = ReferencePolicy(engine=engine, shares_weights=False)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(
            trained,
            lr=algorithm.lr,
            weight_decay=algorithm.weight_decay,
            betas=(algorithm.beta1, algorithm.beta2),
        )
        self._engine, *_ = deepspeed.initialize(model=model, optimizer=optimizer, config=ds_config)
        if self._loss.needs_reference and settings.lora.rank:
            self._reference = ReferencePolicy(engine=self._engine, shares_weights=True)

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
        old_logprobs: OldLogProbs | None,
        skip_update: bool = False,
    ) -> Update:
        """One optimizer update on a mini-batch that every rank holds whole; see `Policy.update`."""
        shares = self._micro.split(mini_batch.samples)
        micros = shares[self._rank]
        divisor = loss_divisor(self._loss, mini_batch)
        sums: list[LossSums] = []
        for index, micro in enumerate(micros):
            self._engine.set_gradient_accumulation_boundary(index == len(micros) - 1)
            sums.append(self._accumulate(micro, old_logprobs, divisor=divisor))
        lr = self._set_learning_rate(step, skip_update=skip_update)
        self._engine.step()
        self.version += 1
        update = Update(
            sums=summed(sums),
            largest=largest(sums),
            grad_norm=float(self._engine.get_global_grad_norm()),
            lr=lr,
            rank_tokens=tuple(map(_tokens, shares)),
        )
        if not (math.isfinite(update.sums["loss"]) and math.isfinite(update.grad_norm)):
            raise DivergedError(
                f"step {step}: loss {update.sums['loss']}, gradient norm {update.grad_norm}: "
                "training diverged; lower algorithm.lr or algorithm.clip_grad"
            )
        return update

    def _accumulate(self, micro: MicroBatch, old: OldLogProbs | None, *, divisor: int) -> LossSums:
        """Forward and backward pass of one micro-batch."""
        sequences = self._micro.collate(micro)
        with self._linear.computing():
            reference = None if self._reference is None else self._reference.logprobs(sequences)
            self._engine.train()
            logp_R, entropy_R = self._engine(sequences)
            result = self._loss(logp_R, self._micro.tokens(micro, old, reference=reference))
            scale = self._ranks / divisor  # DeepSpeed averages over ranks
            self._engine.backward(result.loss * scale)
        result.stats["entropy"] = (entropy_R * self._micro.loss_mask(micro)).sum()
        result.stats["loss"] = result.loss.detach() / divisor
        return result

    def score(
        self, samples: Sequence[Sample], *, outputs: ScoringOutputs = ScoringOutputs.everything
    ) -> Scores:
        """The policy's present view of samples; see `Policy.score`."""
        parts: list[Scores] = []
        self._engine.eval()
        with torch.no_grad(), self._linear.computing():
            for micro in self._micro.split(samples)[self._rank]:
                columns = self._engine(self._micro.collate(micro), outputs=outputs)
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

    def offload_states(self) -> None:
        """Make room for generation: all but the weights to host memory, if the settings say so."""
        if self._settings.deepspeed.offload_states:
            self._states.offload()

    def reload_states(self) -> None:
        """Undo `offload_states`, before the next update or snapshot."""
        self._states.reload()

    @staticmethod
    def make_folders(folder: Path) -> None:
        """Make the folders that a checkpoint's files need."""
        (folder / TAG).mkdir(parents=True)

    def snapshot(self, folder: Path, *, copy: bool) -> dict[Path, Any]:
        """What this rank's shards below `folder` must hold; see `Policy.snapshot`."""
        return self._shards.snapshot(
            folder, copy=copy, version=self.version, adapters=self._adapters
        )

    def load(self, folder: Path) -> None:
        """Continue from the shards below `folder`; see `Policy.load`."""
        self.version = int(self._shards.load(folder, adapters=self._adapters)["version"])
        self._warm_up()

    def reshard(self, folder: Path, work: Path) -> None:
        """Redistribute the shards below `folder` into `work`; see `Policy.reshard`."""
        self._shards.reshard(folder, work, rank=self._rank, ranks=self._ranks)

    def _warm_up(self) -> None:
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
