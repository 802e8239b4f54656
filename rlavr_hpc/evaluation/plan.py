"""What is decided before any weights are loaded, and how the records state it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from rlavr_hpc.config.grading import GradingConfig, Thoughts
from rlavr_hpc.data.dataset import answers_fingerprint
from rlavr_hpc.data.findings import log_findings
from rlavr_hpc.evaluation.evaluated_model import RunSubject, Settings, Subject
from rlavr_hpc.evaluation.measure import SetToMeasure
from rlavr_hpc.evaluation.options import EvaluationOptions
from rlavr_hpc.evaluation.prompts import fingerprint, prepare, with_limits
from rlavr_hpc.evaluation.test_sets import ProblemSet
from rlavr_hpc.evaluation.weights import FoundWeights, find_weights
from rlavr_hpc.runs.first_start import first_start
from rlavr_hpc.trainer import distributed
from rlavr_hpc.trainer.policy.tokenizer import TokenizerBundle, load_tokenizer

FOLDER = "evaluation"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured, and where it goes."""

    out: Path
    found: FoundWeights
    bundle: TokenizerBundle
    settings: Settings
    jobs: tuple[SetToMeasure, ...]
    headers: tuple[dict[str, Any], ...]
    """Per job, what decides its results."""


def make_plan(
    options: EvaluationOptions, subject: Subject, settings: Settings, sets: Sequence[ProblemSet]
) -> Plan:
    """Find the weights and make the prompts. All ranks call this together.

    Raises:
        UserError: the model, its checkpoint or its size do not fit what is asked.
    """
    unlimited = replace(settings.rollout, max_prompt_tokens=1, max_response_tokens=1)
    bundle = load_tokenizer(replace(settings, rollout=unlimited), quiet=True)
    if isinstance(subject, RunSubject):
        bundle = bundle.as_begun(first_start(subject.run_dir))
    else:  # one date for all ranks
        now = distributed.on_main(lambda: datetime.now().astimezone())
        bundle = replace(bundle, moment=now)
    found = distributed.on_main(lambda: find_weights(subject, bundle))
    jobs = tuple(prepare(s, settings, bundle, chunk=options.chunk) for s in sets)
    bundle = bundle.for_chats(any(job.chats for job in jobs))
    for job in jobs:
        log_findings(job.problems.findings, log)
        left_out = len(job.problems.questions) - len(job.prompts)
        if left_out:
            log.warning("%s: %d prompts are too long and left out", job.problems.name, left_out)
    return Plan(
        out=options.out or _default_out(subject, found),
        found=found,
        bundle=bundle,
        settings=with_limits(settings, jobs, bundle),
        jobs=jobs,
        headers=tuple(_header(job, options, settings, bundle, found) for job in jobs),
    )


def _default_out(subject: Subject, found: FoundWeights) -> Path:
    if isinstance(subject, RunSubject):
        assert found.checkpoint is not None
        return subject.run_dir / FOLDER / found.checkpoint.folder.name
    return Path(FOLDER) / Path(found.identity.name).name


def _added_grading(grading: GradingConfig) -> dict[str, Any]:
    """Keys that came later, where they are not as everything was before."""
    added = {} if grading.thoughts is Thoughts.read else {"thoughts": str(grading.thoughts)}
    return added if grading.evaluate_expressions else {**added, "evaluate_expressions": False}


def _header(
    job: SetToMeasure,
    options: EvaluationOptions,
    settings: Settings,
    bundle: TokenizerBundle,
    found: FoundWeights,
) -> dict[str, Any]:
    asked, data, task = job.problems.settings, settings.data, settings.task
    own_task = {"task": [task.name, task.settings]} if task.named else {}
    return {
        "set": job.problems.name,
        "model": found.identity.as_dict(),
        "settings": {
            "samples": asked.samples,
            "temperature": asked.temperature,
            "top_p": asked.top_p,
            "max_response_tokens": asked.max_response_tokens,
            "seed": options.seed,
            "limit": options.limit,
            "chunk": job.chunk,
            "engine": str(settings.rollout.engine),
            "dtype": str(settings.model.dtype),
            "chat_template": str(data.chat_template),
            "system_prompt": data.system_prompt,
            "extract": str(settings.grading.extract),
            **_added_grading(settings.grading),
            "cpu_seconds": settings.grading.cpu_seconds,
            "memory_mib": settings.grading.memory_mib,
            "enable_thinking": data.enable_thinking,
            "stop_token_ids": sorted(bundle.stop_ids),
            **own_task,
        },
        "data": {
            "prompts": fingerprint(job.prompts),
            "answers": answers_fingerprint(job.problems.answers),
        },
    }
