"""A run's prompts: templated, tokenized, and filtered by length."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.data import templates
from rlavr_hpc.data.dataset import answers_fingerprint, questions_fingerprint
from rlavr_hpc.data.load_split import Split
from rlavr_hpc.data.stream import PromptStream
from rlavr_hpc.trainer.policy.tokenizer import TokenizerBundle
from rlavr_hpc.types import Prompt, Question

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedPrompts:
    """The run's prompts, and facts about them for the record."""

    train: tuple[Prompt, ...]
    held_out: tuple[Prompt, ...]
    stream: PromptStream
    fingerprint: str
    """Of the training prompts left after filtering."""
    facts: dict[str, Any]


def prepare_prompts(config: RunConfig, split: Split, bundle: TokenizerBundle) -> PreparedPrompts:
    """Template, tokenize and filter both data sets.

    Raises:
        UserError: a prompt is too long and must not be filtered, or a step has too few prompts.
    """
    limit = config.rollout.max_prompt_tokens
    train = templates.prepare(
        split.train.questions, bundle.tokenizer, config=config.data, max_tokens=limit
    )
    labelled = [q for q in split.held_out.questions if q.id in split.held_out.answers]
    held_out = _prepare_held_out(labelled, config, bundle, templated=train.templated)
    bundle.check_prompts((*train.prompts, *held_out.prompts))
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
        log.warning("%d held-out prompts are in the training data too", shared)
    log.info(
        "data: %d training prompts (%d too long, left out), %d held-out prompts (%d too long); "
        "chat template %s",
        len(train.prompts),
        train.overlong,
        len(held_out.prompts),
        held_out.overlong,
        "applied" if train.templated else "not applied",
    )
    stream = PromptStream(prompts=train.prompts, batch=config.algorithm.drawn)
    return PreparedPrompts(
        train=train.prompts,
        held_out=held_out.prompts,
        stream=stream,
        fingerprint=fingerprint,
        facts=facts,
    )


def _prepare_held_out(
    questions: Sequence[Question], config: RunConfig, bundle: TokenizerBundle, *, templated: bool
) -> templates.Prepared:
    """Held-out prompts, in the same template as the training prompts."""
    if not questions:
        return templates.Prepared(prompts=(), templated=templated, overlong=0)
    return templates.prepare(
        questions,
        bundle.tokenizer,
        config=config.data,
        max_tokens=config.rollout.max_prompt_tokens,
        templated=templated,
    )
