"""Builds a run's parts from its config; what can be wrong is checked before a model loads."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from rlavr_hpc.acquisition.gap import true_gap
from rlavr_hpc.acquisition.label_source import DatasetLabels
from rlavr_hpc.acquisition.ledger import rules_of
from rlavr_hpc.acquisition.policy import AcquisitionPolicy
from rlavr_hpc.answers.grader import Limits
from rlavr_hpc.answers.recorded import RecordedReferee
from rlavr_hpc.answers.referee import Referee
from rlavr_hpc.cluster.preemption import Deadline
from rlavr_hpc.cluster.topology import Topology
from rlavr_hpc.config import RunConfig
from rlavr_hpc.config_grading import GradingConfig
from rlavr_hpc.config_groups import Engine
from rlavr_hpc.data import templates
from rlavr_hpc.data.dataset import Dataset, answers_fingerprint, questions_fingerprint
from rlavr_hpc.data.sources import Split
from rlavr_hpc.data.stream import PromptStream
from rlavr_hpc.errors import UserError
from rlavr_hpc.learning.loss import PolicyLoss
from rlavr_hpc.learning.rewards import PseudoReward
from rlavr_hpc.learning.self_verify import SelfVerifyReward
from rlavr_hpc.plugins import load_plugin
from rlavr_hpc.rollout.engine import RolloutEngine
from rlavr_hpc.telemetry.audit import Audit, Judge
from rlavr_hpc.trainer.deepspeed_policy import DeepspeedPolicy
from rlavr_hpc.trainer.language import Generates, Language
from rlavr_hpc.trainer.learner import Learner
from rlavr_hpc.trainer.parts import HELD_OUT, HeldOutSet, Parts, Records
from rlavr_hpc.trainer.policy_settings import settings_of
from rlavr_hpc.trainer.self_verification import SelfVerifier, build_verifier
from rlavr_hpc.trainer.weight_sync import away
from rlavr_hpc.types import Group, Place, Prompt, Question

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
class Prepared:
    """Prompts of the run, and what of them goes on record."""

    train: tuple[Prompt, ...]
    held_out: tuple[Prompt, ...]
    stream: PromptStream
    fingerprint: str
    """Of the training prompts that are left after filtering."""
    facts: dict[str, Any]


def prepare_prompts(config: RunConfig, split: Split, language: Language) -> Prepared:
    """Template, tokenize and filter both data sets.

    Raises:
        UserError: too long prompts that may not be filtered, or too few prompts for a step.
    """
    limit = config.rollout.max_prompt_tokens
    train = templates.prepare(
        split.train.questions, language.tokenizer, config=config.data, max_tokens=limit
    )
    labelled = [q for q in split.held_out.questions if q.id in split.held_out.answers]
    held_out = _prepare_held_out(labelled, config, language, templated=train.templated)
    kept = {prompt.id for prompt in train.prompts}
    fingerprint = questions_fingerprint(q for q in split.train.questions if q.id in kept)
    shared = len({q.text for q in labelled} & {q.text for q in split.train.questions})
    facts = {
        "prompts": len(train.prompts), "overlong": train.overlong, "templated": train.templated,
        "held_out": len(held_out.prompts), "held_out_overlong": held_out.overlong,
        "held_out_also_in_training": shared, "prompts_fingerprint": fingerprint,
        "labels_fingerprint": answers_fingerprint(split.train.answers),
    }  # fmt: skip
    for note in split.train.notes:
        log.info("%s", note)
    if shared:
        log.warning("%d held-out prompts stand in the training data too", shared)
    log.info(
        "data: %d training prompts (%d too long and left out), %d held out (%d too long); chat "
        "template %s",
        len(train.prompts), train.overlong, len(held_out.prompts), held_out.overlong,
        "applied" if train.templated else "not applied",
    )  # fmt: skip
    stream = PromptStream(prompts=train.prompts, batch=config.algorithm.drawn)
    return Prepared(
        train=train.prompts, held_out=held_out.prompts, stream=stream, fingerprint=fingerprint,
        facts=facts,
    )  # fmt: skip


def _prepare_held_out(
    questions: Sequence[Question], config: RunConfig, language: Language, *, templated: bool
) -> templates.Prepared:
    """Held-out prompts, written as the training prompts are; none without questions."""
    if not questions:
        return templates.Prepared(prompts=(), templated=templated, overlong=0)
    return templates.prepare(
        questions, language.tokenizer, config=config.data,
        max_tokens=config.rollout.max_prompt_tokens, templated=templated,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a run is built from, read and checked."""

    plugins: Plugins
    split: Split
    language: Language
    prompts: Prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """What takes long to start, once a process."""

    policy: DeepspeedPolicy
    engine: RolloutEngine
    judge: Referee
    verifier: SelfVerifier | None


def load_models(config: RunConfig, inputs: Inputs, topology: Topology) -> Models:
    """Load the model and start the engine. All ranks call this together."""
    device, language, plugins = pick_device(topology), inputs.language, inputs.plugins
    policy = DeepspeedPolicy(settings_of(config, language), loss=plugins.loss, device=device)
    verifier = _verifier(config, plugins.pseudo, inputs.split.train, language, inputs.prompts)
    longest = 0 if verifier is None else verifier.longest + verifier.room
    with away(policy):
        engine = build_engine(config, language, topology, device, longest=longest)
    return Models(
        policy=policy, engine=engine, verifier=verifier,
        judge=build_referee(config.grading, workers=config.cluster.graders or topology.threads),
    )  # fmt: skip


def build_parts(
    config: RunConfig, inputs: Inputs, models: Models, *, records: Records, deadline: Deadline
) -> Parts:
    """Put everything together for one attempt."""
    plugins, split = inputs.plugins, inputs.split
    referee = RecordedReferee(models.judge, records.given_up)
    return Parts(
        config=config,
        stream=inputs.prompts.stream,
        engine=models.engine,
        policy=models.policy,
        referee=referee,
        learner=Learner(name=config.acquisition.name, policy=plugins.acquisition),
        rules=rules_of(config),
        ledger=records.ledger,
        labels=DatasetLabels(answers=split.train.answers),
        pseudo=plugins.pseudo,
        verifier=models.verifier,
        test_sets=_test_sets(inputs.prompts.held_out, split.held_out),
        audit=Audit(judge=_oracle(split.train, referee, stage="audit"), gap=true_gap)
        if config.audit
        else None,
        oracle=_oracle(split.train, referee, stage="oracle")
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


def _verifier(
    config: RunConfig, reward: PseudoReward, train: Dataset, language: Language, prompts: Prepared
) -> SelfVerifier | None:
    if not isinstance(reward, SelfVerifyReward):
        return None
    write = partial(
        templates.write_prompt, tokenizer=language.tokenizer, config=config.data,
        templated=bool(prompts.facts["templated"]),
    )  # fmt: skip
    rollout = config.rollout
    return build_verifier(
        reward, train.questions, write,
        longest_pair=rollout.max_prompt_tokens + rollout.max_response_tokens,
        positions=language.positions,
    )  # fmt: skip


def build_engine(
    config: Generates, language: Language, topology: Topology, device: torch.device,
    *, longest: int = 0,
) -> RolloutEngine:  # fmt: skip
    """The rollout engine that the config chooses; only its vendor is imported.

    `longest`: tokens of the longest prompt with its response, where it is more than training's.
    """
    if config.rollout.engine is Engine.vllm:
        return _vllm(config, language, topology, longest)
    return _hf(config, language, topology, device)


def _vllm(config: Generates, language: Language, topology: Topology, longest: int) -> RolloutEngine:
    from rlavr_hpc.rollout.vllm_engine import VllmEngine, VllmEngineConfig  # noqa: PLC0415

    rollout = config.rollout
    settings = VllmEngineConfig(
        model_path=language.path,
        dtype=str(config.model.dtype),
        stop_ids=language.stop_ids,
        max_length=max(longest, rollout.max_prompt_tokens + rollout.max_response_tokens),
        max_sequences=rollout.max_sequences,
        tensor_parallel=rollout.tensor_parallel,
        gpu_memory_utilization=rollout.gpu_memory_utilization,
        kv_cache_gib=rollout.kv_cache_gib,
        trust_remote_code=config.model.trust_remote_code,
    )
    return VllmEngine(
        settings, rank=topology.rank, world_size=topology.world_size, decode=language.decode
    )


def _hf(
    config: Generates, language: Language, topology: Topology, device: torch.device
) -> RolloutEngine:
    from rlavr_hpc.rollout.hf_engine import HfEngine, HfEngineConfig  # noqa: PLC0415

    settings = HfEngineConfig(
        model_path=language.path,
        dtype=getattr(torch, config.model.dtype),
        device=device,
        stop_ids=language.stop_ids,
        pad_id=language.pad_id,
        max_sequences=config.rollout.max_sequences,
        trust_remote_code=config.model.trust_remote_code,
    )
    return HfEngine(
        settings, rank=topology.rank, world_size=topology.world_size, decode=language.decode
    )


def _test_sets(prompts: tuple[Prompt, ...], held_out: Dataset) -> tuple[HeldOutSet, ...]:
    if not prompts:
        return ()
    return (HeldOutSet(name=HELD_OUT, prompts=prompts, answers=held_out.answers),)


def build_referee(grading: GradingConfig, *, workers: int) -> Referee:
    """A referee; its graders start with the first answer that needs them."""
    return Referee(
        limits=Limits(cpu_seconds=grading.cpu_seconds, memory_mib=grading.memory_mib),
        workers=workers,
        where=grading.extract,
    )


def _oracle(train: Dataset, referee: RecordedReferee, *, stage: str) -> Judge:
    """Correctness by all labels there are, for the audit and for research."""

    def judge(groups: Sequence[Group], place: Place) -> dict[str, tuple[bool, ...]]:
        verdicts = referee.judge(groups, train.answers, place=place, stage=stage)
        referee.settle_verdicts(groups, verdicts, place=place, stage=stage)
        return {prompt: verdict.correct for prompt, verdict in verdicts.items()}

    return judge
