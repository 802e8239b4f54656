"""From test sets to prompts, within what the model can hold."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import replace

from transformers import AutoConfig

from rlavr_hpc.data import templates
from rlavr_hpc.errors import UserError
from rlavr_hpc.evaluation.evaluated_model import Settings
from rlavr_hpc.evaluation.measure import CHUNK_SAMPLES, SetToMeasure
from rlavr_hpc.evaluation.test_sets import ProblemSet
from rlavr_hpc.io import canonical_json
from rlavr_hpc.trainer.policy.tokenizer import TokenizerBundle
from rlavr_hpc.types import Prompt


def prepare(
    problems: ProblemSet, settings: Settings, bundle: TokenizerBundle, *, chunk: int | None
) -> SetToMeasure:
    """Template and tokenize a test set.

    No problem is left out for its length, except from a run's held-out set, which the run itself
    filters in the same way.

    Raises:
        UserError: a template is asked for that does not exist, or nothing of the set is left.
    """
    templated, limit = None, sys.maxsize
    if problems.siblings:
        limit = settings.rollout.max_prompt_tokens
        templated = templates.is_to_be_templated(problems.siblings, bundle.tokenizer, settings.data)
    prepared = templates.prepare(
        problems.questions,
        bundle.tokenizer,
        config=settings.data,
        max_tokens=limit,
        templated=templated,
        moment=bundle.moment,
    )
    bundle.check_prompts(prepared.prompts)
    samples = problems.settings.samples
    return SetToMeasure(
        problems=problems,
        prompts=prepared.prompts,
        chats=prepared.chats,
        chunk=chunk or max(1, CHUNK_SAMPLES // samples),
    )


def with_limits(
    settings: Settings, jobs: Sequence[SetToMeasure], bundle: TokenizerBundle
) -> Settings:
    """With token limits that hold every prompt and every response of all sets.

    Raises:
        UserError: the model holds fewer tokens.
    """
    lengths = {
        job.problems.name: max(len(prompt.token_ids) for prompt in job.prompts)
        + job.sampling.max_tokens
        for job in jobs
    }
    name = max(lengths, key=lengths.__getitem__)
    response = max(job.sampling.max_tokens for job in jobs)
    architecture = AutoConfig.from_pretrained(
        bundle.path, trust_remote_code=settings.model.trust_remote_code
    )
    positions = getattr(architecture, "max_position_embeddings", None)
    if positions is not None and lengths[name] > positions:
        raise UserError(
            f"{name}: the longest prompt and its response need {lengths[name]} tokens, the model "
            f"holds {positions}; lower --max-response-tokens"
        )
    rollout = replace(
        settings.rollout,
        max_prompt_tokens=max(1, lengths[name] - response),
        max_response_tokens=response,
    )
    return replace(settings, rollout=rollout)


def fingerprint(prompts: Sequence[Prompt]) -> str:
    """Hash of ids and tokens: another template or tokenizer makes other prompts."""
    ids = [[prompt.id, list(prompt.token_ids)] for prompt in prompts]
    return hashlib.sha256(canonical_json(ids).encode()).hexdigest()[:16]
