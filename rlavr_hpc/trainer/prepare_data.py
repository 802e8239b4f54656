"""A run's prompts: templated, tokenized, and filtered by length."""

from __future__ import annotations

import hashlib
import logging
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.data import templates
from rlavr_hpc.data.chat_template import is_dated, template_fingerprint
from rlavr_hpc.data.dataset import answers_fingerprint, questions_fingerprint
from rlavr_hpc.data.findings import DataFinding
from rlavr_hpc.data.load_split import Split
from rlavr_hpc.data.prompt_findings import find_dropped, find_in_questions, find_too_long
from rlavr_hpc.data.stream import PromptStream
from rlavr_hpc.data.template_findings import find_stops, find_templates
from rlavr_hpc.io import canonical_json
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
    """Of the texts of the training prompts left after filtering."""
    identity: Mapping[str, str]
    """What a resumed run must read again: see `ProcessSetup.prompts`."""
    bundle: TokenizerBundle
    """With the stop tokens that these prompts ask for."""
    findings: tuple[DataFinding, ...] = ()
    """About the prompts, and about what ends a response."""
    facts: dict[str, Any]


def prepare_prompts(config: RunConfig, split: Split, bundle: TokenizerBundle) -> PreparedPrompts:
    """Template, tokenize and filter both data sets.

    Raises:
        UserError: a prompt is too long and must not be filtered, the template refuses one, or a
            step has too few.
    """
    limit = config.rollout.max_prompt_tokens
    train = templates.prepare(
        split.train.questions,
        bundle.tokenizer,
        config=config.data,
        max_tokens=limit,
        moment=bundle.moment,
    )
    findings = find_in_training(config, split, bundle, train)
    bundle = bundle.for_chats(train.chats)
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
        "stop_token_ids": sorted(bundle.stop_ids),
    }
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
        identity=_identity(split, bundle, train, held_out, fingerprint),
        bundle=bundle,
        findings=(*findings, *find_in_held_out(config, labelled)),
        facts=facts,
    )


def find_in_training(
    config: RunConfig, split: Split, bundle: TokenizerBundle, train: templates.Prepared
) -> tuple[DataFinding, ...]:
    """What was found in the training prompts as the model reads them.

    Args:
        config: the run's.
        split: its data.
        bundle: with the stop tokens that model and config name.
        train: the prompts made of it.
    """
    questions, tokenizer = split.train.questions, bundle.tokenizer
    kept = {prompt.id for prompt in train.prompts}
    return (
        *find_templates(questions, tokenizer, config.data, templated=train.templated),
        *find_in_questions(questions),
        *find_dropped(questions, train.prompts),
        *find_too_long(questions, kept, max_tokens=config.rollout.max_prompt_tokens),
        *find_stops(tokenizer, named=bundle.stop_ids, turn_end=bundle.turn_end, chats=train.chats),
    )


def find_in_held_out(config: RunConfig, questions: Sequence[Question]) -> tuple[DataFinding, ...]:
    """What was found in prompts of a held-out file of their own, which it names."""
    path = config.data.eval_path
    found = find_in_questions(questions) if path and questions else ()
    return tuple(replace(one, text=f"{path}: {one.text}") for one in found)


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
        moment=bundle.moment,
    )


def _identity(
    split: Split,
    bundle: TokenizerBundle,
    train: templates.Prepared,
    held_out: templates.Prepared,
    fingerprint: str,
) -> dict[str, str]:
    """Fingerprints of what the model reads, apart so that a message can name what changed."""
    every = questions_fingerprint(split.train.questions) if train.overlong else fingerprint
    identity = {
        "questions": every,
        "template": template_fingerprint(bundle.tokenizer),
        "tokens": tokens_fingerprint(train.prompts),
        "held_out": tokens_fingerprint(held_out.prompts),
        "tasks": tasks_fingerprint(split.train.questions),
    }
    if bundle.moment is not None and is_dated(bundle.tokenizer):
        identity["date"] = bundle.moment.isoformat()
    return identity


def tasks_fingerprint(questions: Iterable[Question]) -> str:
    """Hash of ids and tasks."""
    digest = hashlib.sha256()
    for question in questions:
        digest.update(canonical_json([question.id, question.task]).encode())
    return digest.hexdigest()[:16]


def tokens_fingerprint(prompts: Iterable[Prompt]) -> str:
    """Hash of ids and tokens."""
    digest = hashlib.sha256()
    for prompt in prompts:
        name = prompt.id.encode()
        digest.update(array("q", (len(name), len(prompt.token_ids), *prompt.token_ids)).tobytes())
        digest.update(name)
    return digest.hexdigest()[:16]
