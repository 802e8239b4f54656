"""Builds a run's components from its config.

Mistakes in the config are found before a model is loaded. Only here is the policy's class named.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from rlavr_hpc.acquisition.buyable import buyable_prompts
from rlavr_hpc.acquisition.cag import true_cag
from rlavr_hpc.acquisition.ledger_state import budget_rules
from rlavr_hpc.acquisition.policy_protocol import AcquisitionPolicy
from rlavr_hpc.answers.build_verifier import build_verifier
from rlavr_hpc.answers.recorded_verifier import RecordedVerifier
from rlavr_hpc.answers.verifier import Verifier
from rlavr_hpc.cluster.preemption import Deadline
from rlavr_hpc.cluster.topology import Topology
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.data import templates
from rlavr_hpc.data.dataset import Dataset
from rlavr_hpc.data.load_split import Split
from rlavr_hpc.learning.loss import PolicyLoss
from rlavr_hpc.learning.rewards import PseudoReward
from rlavr_hpc.learning.self_verify import SelfVerifyReward
from rlavr_hpc.planning.derive import PassSettings, named
from rlavr_hpc.plugins import load_plugin
from rlavr_hpc.rollout.engine import RolloutEngine
from rlavr_hpc.telemetry.audit import Audit, Judge
from rlavr_hpc.trainer.acquisition_state import AcquisitionState
from rlavr_hpc.trainer.build_engine import build_engine, pick_device
from rlavr_hpc.trainer.components import HELD_OUT, Components, HeldOutSet, Records
from rlavr_hpc.trainer.label_market import build_market
from rlavr_hpc.trainer.policy.deepspeed_policy import DeepspeedPolicy
from rlavr_hpc.trainer.policy.protocol import Policy
from rlavr_hpc.trainer.policy.settings import settings_of
from rlavr_hpc.trainer.policy.tokenizer import TokenizerBundle
from rlavr_hpc.trainer.policy.weight_sync import states_offloaded
from rlavr_hpc.trainer.prepare_data import PreparedPrompts
from rlavr_hpc.trainer.stages.self_verification import SelfVerifier, build_self_verifier
from rlavr_hpc.types import Group, Prompt, StepKey

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugins:
    """The acquisition policy, reward and loss that the config names."""

    acquisition: AcquisitionPolicy
    pseudo: PseudoReward
    loss: PolicyLoss


def load_plugins(config: RunConfig) -> Plugins:
    """Build them; UserError for a class or a setting that does not exist."""
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
class Inputs:
    """A run's data, tokenizer and plug-ins, read and checked."""

    plugins: Plugins
    split: Split
    bundle: TokenizerBundle
    prompts: PreparedPrompts
    passes: PassSettings | None = None
    """How much a forward pass holds; None = the config says all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """What takes long to load: once per process, for all of its attempts."""

    policy: Policy
    engine: RolloutEngine
    verifier: Verifier
    self_verifier: SelfVerifier | None


def load_models(config: RunConfig, inputs: Inputs, topology: Topology) -> Models:
    """Load the model and start the engine. All ranks call this together."""
    device, bundle, plugins = pick_device(topology), inputs.bundle, inputs.plugins
    passes = inputs.passes or named(config)
    settings = settings_of(passes.applied(config), bundle)
    policy = DeepspeedPolicy(settings, loss=plugins.loss, device=device)
    self_verifier = _self_verifier(
        config, plugins.pseudo, inputs.split.train, bundle, inputs.prompts
    )
    longest = 0 if self_verifier is None else self_verifier.longest + self_verifier.room
    with states_offloaded(policy):
        engine = build_engine(config, bundle, topology, device, longest=longest)
    return Models(
        policy=policy,
        engine=engine,
        self_verifier=self_verifier,
        verifier=build_verifier(
            config.grading, config.task, workers=config.cluster.graders or topology.threads
        ),
    )


def build_components(
    config: RunConfig,
    inputs: Inputs,
    models: Models,
    *,
    records: Records,
    deadline: Deadline,
    by_older_version: bool = False,
) -> Components:
    """Everything that one attempt uses.

    Args:
        config: the run's.
        inputs: its data, tokenizer and plug-ins.
        models: what is loaded once.
        records: files of the attempt.
        deadline: when it has to stop.
        by_older_version: whether version 0.1 began the run.
    """
    plugins, split = inputs.plugins, inputs.split
    verifier = RecordedVerifier(models.verifier, records.timed_out)
    return Components(
        config=config,
        run_dir=records.run_dir,
        stream=inputs.prompts.stream,
        engine=models.engine,
        policy=models.policy,
        verifier=verifier,
        acquisition_state=AcquisitionState(
            name=config.acquisition.name, policy=plugins.acquisition
        ),
        rules=budget_rules(config),
        ledger=records.ledger,
        market=None
        if records.ledger is None
        else build_market(
            config,
            split.train,
            models.verifier,
            run_dir=records.run_dir,
            attempt=records.attempt,
        ),
        buyable=_buyable(config, split.train, auto=not by_older_version),
        pseudo=plugins.pseudo,
        self_verifier=models.self_verifier,
        test_sets=_test_sets(inputs.prompts.held_out, split.held_out),
        audit=Audit(judge=_oracle(split.train, verifier, stage="audit"), gap=true_cag)
        if config.audit
        else None,
        oracle=_oracle(split.train, verifier, stage="oracle")
        if config.acquisition.research_only
        else None,
        heartbeat=records.heartbeat,
        deadline=deadline,
    )


def _self_verifier(
    config: RunConfig,
    reward: PseudoReward,
    train: Dataset,
    bundle: TokenizerBundle,
    prompts: PreparedPrompts,
) -> SelfVerifier | None:
    if not isinstance(reward, SelfVerifyReward):
        return None
    write = partial(
        templates.write_prompt,
        tokenizer=bundle.tokenizer,
        config=config.data,
        templated=bool(prompts.facts["templated"]),
        moment=bundle.moment,
    )
    rollout = config.rollout
    return build_self_verifier(
        reward,
        train.questions,
        write,
        longest_pair=rollout.max_prompt_tokens + rollout.max_response_tokens,
        positions=bundle.positions,
    )


def _buyable(config: RunConfig, train: Dataset, *, auto: bool) -> frozenset[str] | None:
    """The prompts that the acquisition policy may choose from; None = all."""
    if config.labels.live:
        return None
    found = buyable_prompts(
        config.acquisition.candidates,
        prompts=train.questions,
        labelled=train.answers.keys(),
        auto=auto,
    )
    if found is not None and config.quota:
        log.info(
            "acquisition=%s chooses among the %d prompts with a label "
            "(acquisition.candidates=all: among all)",
            config.acquisition.name,
            len(found),
        )
    return found


def _test_sets(prompts: tuple[Prompt, ...], held_out: Dataset) -> tuple[HeldOutSet, ...]:
    if not prompts:
        return ()
    return (HeldOutSet(name=HELD_OUT, prompts=prompts, answers=held_out.answers),)


def _oracle(train: Dataset, verifier: RecordedVerifier, *, stage: str) -> Judge:
    """Grades by all labels of the data, for the audit and for research-only policies."""

    def grade(groups: Sequence[Group], step_key: StepKey) -> dict[str, tuple[bool, ...]]:
        grades = verifier.grade(groups, train.answers, step_key=step_key, stage=stage)
        verifier.record_grade_timeouts(groups, grades, step_key=step_key, stage=stage)
        return {prompt: grade.correct for prompt, grade in grades.items()}

    return grade
