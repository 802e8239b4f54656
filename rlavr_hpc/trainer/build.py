"""Builds a run's parts from its config; what can be wrong is checked before a model loads."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from rlavr_hpc.acquisition.cag import true_cag
from rlavr_hpc.acquisition.ledger import budget_rules
from rlavr_hpc.acquisition.policy import AcquisitionPolicy
from rlavr_hpc.answers.recorded_verifier import RecordedVerifier
from rlavr_hpc.answers.sandbox.process import Limits
from rlavr_hpc.answers.verifier import Verifier
from rlavr_hpc.cluster.preemption import Deadline
from rlavr_hpc.cluster.topology import Topology
from rlavr_hpc.config.grading import GradingConfig
from rlavr_hpc.config.rollout import Engine
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.data import templates
from rlavr_hpc.data.dataset import Dataset, answers_fingerprint, questions_fingerprint
from rlavr_hpc.data.sources import Split
from rlavr_hpc.data.stream import PromptStream
from rlavr_hpc.errors import UserError
from rlavr_hpc.labels.source import DatasetLabels
from rlavr_hpc.learning.loss import PolicyLoss
from rlavr_hpc.learning.rewards import PseudoReward
from rlavr_hpc.learning.self_verify import SelfVerifyReward
from rlavr_hpc.plugins import load_plugin
from rlavr_hpc.rollout.engine import RolloutEngine
from rlavr_hpc.telemetry.audit import Audit, Judge
from rlavr_hpc.trainer.acquisition_state import AcquisitionState
from rlavr_hpc.trainer.components import HELD_OUT, Components, HeldOutSet, Records
from rlavr_hpc.trainer.policy.deepspeed_policy import DeepspeedPolicy
from rlavr_hpc.trainer.policy.settings import settings_of
from rlavr_hpc.trainer.policy.tokenizer import Generates, TokenizerBundle
from rlavr_hpc.trainer.policy.weight_sync import away
from rlavr_hpc.trainer.self_verification import SelfVerifier, build_self_verifier
from rlavr_hpc.types import Group, Prompt, Question, StepKey

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugins:
    """The classes that the config names."""

    acquisition: AcquisitionPolicy
    pseudo: PseudoReward
    loss: PolicyLoss


def load_plugins(config: RunConfig) -> Plugins:
    """Build them, checking their settings."""
    return Plugins(
        acquisition=load_plugin(
            config.acquisition.target, config.acquisition.settings, where="acquisition"
        ),
        pseudo=load_plugin(config.reward.target, config.reward.settings, where="reward"),
        loss=load_plugin(
            config.algorithm.loss.target, config.algorithm.loss.settings, where="algorithm.loss"
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedData:
    """Prompts of the run, and what of them goes on record."""

    train: tuple[Prompt, ...]
    held_out: tuple[Prompt, ...]
    stream: PromptStream
    fingerprint: str
    """Of the training prompts that are left after filtering."""
    facts: dict[str, Any]


def prepare_prompts(config: RunConfig, split: Split, bundle: TokenizerBundle) -> PreparedData:
    """Template, tokenize and filter both data sets.

    Raises:
        UserError: too long prompts that may not be filtered, or too few prompts for a step.
    """
    limit = config.rollout.max_prompt_tokens
    train = templates.prepare(
        split.train.questions, bundle.tokenizer, config=config.data, max_tokens=limit
    )
    labelled = [q for q in split.held_out.questions if q.id in split.held_out.answers]
    held_out = _prepare_held_out(labelled, config, bundle, templated=train.templated)
    kept = {prompt.id for prompt in train.prompts}
    fingerprint = questions_fingerprint(q for q in split.train.questions if q.id in kept)
    shared = len({q.text for q in labelled} & {q.text for q in split.train.questions})
    facts = {
        "prompts": len(train.prompts),
        "overlong": train.overlong,
        "templated": train.templated,
        "held_out": len(held_out.prompts),
        "held_out_overlong": held_out.overlong,
        "held_out_also_in_training": shared,
        "prompts_fingerprint": fingerprint,
        "labels_fingerprint": answers_fingerprint(split.train.answers),
    }
    for note in split.train.notes:
        log.info("%s", note)
    if shared:
        log.warning("%d held-out prompts stand in the training data too", shared)
    log.info(
        "data: %d training prompts (%d too long and left out), %d held out (%d too long); chat "
        "template %s",
        len(train.prompts),
        train.overlong,
        len(held_out.prompts),
        held_out.overlong,
        "applied" if train.templated else "not applied",
    )
    stream = PromptStream(prompts=train.prompts, batch=config.algorithm.drawn)
    return PreparedData(
        train=train.prompts,
        held_out=held_out.prompts,
        stream=stream,
        fingerprint=fingerprint,
        facts=facts,
    )


def _prepare_held_out(
    questions: Sequence[Question], config: RunConfig, bundle: TokenizerBundle, *, templated: bool
) -> templates.Prepared:
    """Held-out prompts, written as the training prompts are; none without questions."""
    if not questions:
        return templates.Prepared(prompts=(), templated=templated, overlong=0)
    return templates.prepare(
        questions,
        bundle.tokenizer,
        config=config.data,
        max_tokens=config.rollout.max_prompt_tokens,
        templated=templated,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a run is built from, read and checked."""

    plugins: Plugins
    split: Split
    bundle: TokenizerBundle
    prompts: PreparedData


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """What takes long to start, once a process."""

    policy: DeepspeedPolicy
    engine: RolloutEngine
    verifier: Verifier
    self_verifier: SelfVerifier | None


def load_models(config: RunConfig, inputs: Inputs, topology: Topology) -> Models:
    """Load the model and start the engine. All ranks call this together."""
    device, bundle, plugins = pick_device(topology), inputs.bundle, inputs.plugins
    policy = DeepspeedPolicy(settings_of(config, bundle), loss=plugins.loss, device=device)
    self_verifier = _self_verifier(
        config, plugins.pseudo, inputs.split.train, bundle, inputs.prompts
    )
    longest = 0 if self_verifier is None else self_verifier.longest + self_verifier.room
    with away(policy):
        engine = build_engine(config, bundle, topology, device, longest=longest)
    return Models(
        policy=policy,
        engine=engine,
        self_verifier=self_verifier,
        verifier=build_verifier(config.grading, workers=config.cluster.graders or topology.threads),
    )


def build_components(
    config: RunConfig, inputs: Inputs, models: Models, *, records: Records, deadline: Deadline
) -> Components:
    """Put everything together for one attempt."""
    plugins, split = inputs.plugins, inputs.split
    verifier = RecordedVerifier(models.verifier, records.timed_out)
    return Components(
        config=config,
        stream=inputs.prompts.stream,
        engine=models.engine,
        policy=models.policy,
        verifier=verifier,
        acquisition_state=AcquisitionState(
            name=config.acquisition.name, policy=plugins.acquisition
        ),
        rules=budget_rules(config),
        ledger=records.ledger,
        labels=DatasetLabels(answers=split.train.answers),
        pseudo=plugins.pseudo,
        self_verifier=models.self_verifier,
        test_sets=_test_sets(inputs.prompts.held_out, split.held_out),
        audit=Audit(judge=_oracle(split.train, verifier, stage="audit"), gap=true_cag)
        if config.audit
        else None,
        oracle=_oracle(split.train, verifier, stage="oracle")
        if config.acquisition.research_only
        else None,
        deadline=deadline,
    )


def device_name(topology: Topology) -> str:
    """What the maker calls this rank's accelerator, or `cpu`."""
    device = pick_device(topology)
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def pick_device(topology: Topology) -> torch.device:
    """This rank's accelerator, or the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    if topology.local_rank >= torch.cuda.device_count():
        raise UserError(
            f"rank {topology.rank} is number {topology.local_rank} on its node, which has "
            f"{torch.cuda.device_count()} GPUs; start one rank per GPU"
        )
    torch.cuda.set_device(topology.local_rank)
    return torch.device("cuda", topology.local_rank)


def _self_verifier(
    config: RunConfig,
    reward: PseudoReward,
    train: Dataset,
    bundle: TokenizerBundle,
    prompts: PreparedData,
) -> SelfVerifier | None:
    if not isinstance(reward, SelfVerifyReward):
        return None
    write = partial(
        templates.write_prompt,
        tokenizer=bundle.tokenizer,
        config=config.data,
        templated=bool(prompts.facts["templated"]),
    )
    rollout = config.rollout
    return build_self_verifier(
        reward,
        train.questions,
        write,
        longest_pair=rollout.max_prompt_tokens + rollout.max_response_tokens,
        positions=bundle.positions,
    )


def build_engine(
    config: Generates,
    bundle: TokenizerBundle,
    topology: Topology,
    device: torch.device,
    *,
    longest: int = 0,
) -> RolloutEngine:
    """The rollout engine that the config chooses; only its vendor is imported.

    `longest`: tokens of the longest prompt with its response, where it is more than training's.
    """
    if config.rollout.engine is Engine.vllm:
        return _vllm(config, bundle, topology, longest)
    return _hf(config, bundle, topology, device)


def _vllm(
    config: Generates, bundle: TokenizerBundle, topology: Topology, longest: int
) -> RolloutEngine:
    from rlavr_hpc.rollout.vllm_engine import VllmEngine, VllmEngineConfig  # noqa: PLC0415

    rollout = config.rollout
    settings = VllmEngineConfig(
        model_path=bundle.path,
        dtype=str(config.model.dtype),
        stop_ids=bundle.stop_ids,
        max_length=max(longest, rollout.max_prompt_tokens + rollout.max_response_tokens),
        max_sequences=rollout.max_sequences,
        tensor_parallel=rollout.tensor_parallel,
        gpu_memory_utilization=rollout.gpu_memory_utilization,
        kv_cache_gib=rollout.kv_cache_gib,
        trust_remote_code=config.model.trust_remote_code,
    )
    return VllmEngine(
        settings, rank=topology.rank, world_size=topology.world_size, decode=bundle.decode
    )


def _hf(
    config: Generates, bundle: TokenizerBundle, topology: Topology, device: torch.device
) -> RolloutEngine:
    from rlavr_hpc.rollout.hf_engine import HfEngine, HfEngineConfig  # noqa: PLC0415

    settings = HfEngineConfig(
        model_path=bundle.path,
        dtype=getattr(torch, config.model.dtype),
        device=device,
        stop_ids=bundle.stop_ids,
        pad_id=bundle.pad_id,
        max_sequences=config.rollout.max_sequences,
        trust_remote_code=config.model.trust_remote_code,
    )
    return HfEngine(
        settings, rank=topology.rank, world_size=topology.world_size, decode=bundle.decode
    )


def _test_sets(prompts: tuple[Prompt, ...], held_out: Dataset) -> tuple[HeldOutSet, ...]:
    if not prompts:
        return ()
    return (HeldOutSet(name=HELD_OUT, prompts=prompts, answers=held_out.answers),)


def build_verifier(grading: GradingConfig, *, workers: int) -> Verifier:
    """A verifier; its graders start with the first answer that needs them."""
    return Verifier(
        limits=Limits(cpu_seconds=grading.cpu_seconds, memory_mib=grading.memory_mib),
        workers=workers,
        where=grading.extract,
    )


def _oracle(train: Dataset, verifier: RecordedVerifier, *, stage: str) -> Judge:
    """Correctness by all labels there are, for the audit and for research."""

    def grade(groups: Sequence[Group], step_key: StepKey) -> dict[str, tuple[bool, ...]]:
        grades = verifier.grade(groups, train.answers, step_key=step_key, stage=stage)
        verifier.record_grade_timeouts(groups, grades, step_key=step_key, stage=stage)
        return {prompt: grade.correct for prompt, grade in grades.items()}

    return grade
