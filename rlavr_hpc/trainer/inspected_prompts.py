"""A run's prompts, made and looked at: what is wrong for all of them ends the run here."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.data.findings import DataFinding
from rlavr_hpc.data.load_split import Split
from rlavr_hpc.data.template_findings import visible
from rlavr_hpc.testbed.recipes import tokenizer_of
from rlavr_hpc.trainer.inspection import inspect_data, refuse_or_tell
from rlavr_hpc.trainer.policy.tokenizer import TokenizerBundle, load_tokenizer
from rlavr_hpc.trainer.prepare_data import PreparedPrompts, prepare_prompts

log = logging.getLogger(__name__)

TESTBED_POSITIONS = 4096
"""Context of the testbeds' models, in tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptExample:
    """One prompt as the model reads it."""

    id: str
    text: str
    """Special tokens stand in «»."""
    tokens: int


def prepare_inspected(
    config: RunConfig, split: Split, bundle: TokenizerBundle, *, quiet: bool
) -> PreparedPrompts:
    """The run's prompts, with what was found in its data among their facts.

    Args:
        config: the run's.
        split: its data.
        bundle: the tokenizer.
        quiet: log nothing, as all ranks but one do.

    Raises:
        UserError: something is wrong for all rows.
    """
    prompts = prepare_prompts(config, split, bundle)
    inspection = inspect_data(config, split, also=prompts.findings)
    refuse_or_tell(inspection, log, quiet=quiet)
    return replace(prompts, facts={**prompts.facts, "inspection": inspection.facts()})


def with_date(
    prompts: PreparedPrompts,
    config: RunConfig,
    split: Split,
    bundle: TokenizerBundle,
    *,
    agreed: datetime | None,
) -> PreparedPrompts:
    """The prompts of a dated template with the first rank's date: each rank has its own clock."""
    if agreed == bundle.moment or "date" not in prompts.identity:
        return prompts
    return prepare_inspected(config, split, replace(bundle, moment=agreed), quiet=True)


def look_at_prompts(config: RunConfig, split: Split) -> tuple[Sequence[DataFinding], PromptExample]:
    """What was found in the prompts as the model reads them, and the first of them.

    Raises:
        UserError: the tokenizer cannot be loaded, or its template refuses a prompt.
    """
    bundle = _tokenizer(config)
    prompts = prepare_prompts(config, split, bundle)
    first = prompts.train[0]
    text = visible(first.token_ids, bundle.tokenizer)
    return prompts.findings, PromptExample(id=first.id, text=text, tokens=len(first.token_ids))


def _tokenizer(config: RunConfig) -> TokenizerBundle:
    """That of the run; that of a testbed's model without building the model."""
    if not config.model.built_here:
        return load_tokenizer(config, quiet=True)
    tokenizer = tokenizer_of(config.model)
    return TokenizerBundle(
        path=f"model={config.model.source}",
        tokenizer=tokenizer,
        stop_ids=frozenset({int(tokenizer.eos_token_id), *config.rollout.stop_token_ids}),
        pad_id=int(tokenizer.pad_token_id),
        positions=TESTBED_POSITIONS,
    )
