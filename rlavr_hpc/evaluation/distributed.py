"""All test sets on all ranks: open the records, bring the weights in, measure, report."""

from __future__ import annotations

import logging
import shutil
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from transformers.utils import logging as transformers_logging

from rlavr_hpc.answers.build_verifier import build_verifier
from rlavr_hpc.cluster.preemption import Deadline, StopFlag
from rlavr_hpc.cluster.topology import Topology
from rlavr_hpc.errors import RunStoppedError, UserError
from rlavr_hpc.evaluation.measure import VERSION, SetMeasurement
from rlavr_hpc.evaluation.options import EvaluationOptions
from rlavr_hpc.evaluation.plan import Plan
from rlavr_hpc.evaluation.record import SetRecord
from rlavr_hpc.evaluation.report import summarize, write_summary
from rlavr_hpc.evaluation.responses import ResponsesRecord, responses_path, write_responses
from rlavr_hpc.evaluation.weights import WORK, in_model_format, read_weights
from rlavr_hpc.io import make_folder
from rlavr_hpc.rollout.engine import RolloutEngine
from rlavr_hpc.trainer import build_engine, distributed
from rlavr_hpc.trainer.policy import build_ops
from rlavr_hpc.trainer.policy.deepspeed_policy import init_ranks

GRACE_SECONDS = 30.0
"""From a stop signal on, a chunk of problems that would take longer is given up."""

log = logging.getLogger(__name__)


def join(topology: Topology) -> torch.device:
    """Join the process group; returns this rank's device."""
    transformers_logging.disable_progress_bar()
    device = build_engine.pick_device(topology)
    if device.type == "cpu":
        build_ops.build_ops()
    init_ranks(device=device, rank=topology.rank, world_size=topology.world_size)
    return device


def carry_out(
    plan: Plan,
    topology: Topology,
    device: torch.device,
    *,
    options: EvaluationOptions,
    stop: StopFlag,
) -> list[dict[str, Any]]:
    """Complete every record and report. All ranks call this together.

    Returns:
        On rank 0, the figures of each test set.

    Raises:
        UserError: a record belongs to another evaluation, or another one is writing there.
        RunStoppedError: a signal came; what was finished is on disk.
    """
    with ExitStack() as held:
        records = distributed.on_main_only(lambda: _open_records(plan, held))
        texts = distributed.on_main_only(lambda: _open_texts(plan, options.responses))
        done = distributed.on_main(lambda: _done(records or [], texts))
        if all(len(d) == len(job.prompts) for d, job in zip(done, plan.jobs, strict=True)):
            log.info("%s holds everything already; nothing to sample", plan.out)
        else:
            verifier = build_verifier(
                plan.settings.grading, plan.settings.task, workers=topology.threads
            )
            held.callback(verifier.close)
            measurement = SetMeasurement(
                engine=_engine(plan, topology, device),
                seed=options.seed,
                verifier=verifier,
                deadline=Deadline(stop=stop, grace=GRACE_SECONDS),
                quiet=not topology.is_main,
                with_texts=options.responses is not None,
            )
            try:
                for index, job in enumerate(plan.jobs):
                    record = records[index] if records else None
                    texts_of_set = texts[index] if texts else None
                    measurement.measure(job, done=done[index], record=record, texts=texts_of_set)
            except RunStoppedError:
                distributed.leave()
                raise
        summaries = distributed.on_main_only(
            lambda: _report(plan, records or [], texts, options.responses)
        )
    distributed.leave()
    return summaries or []


def _open_records(plan: Plan, held: ExitStack) -> list[SetRecord]:
    try:
        make_folder(plan.out)
        held.enter_context(FileLock(plan.out / ".lock", timeout=0))
    except Timeout as error:
        raise UserError(
            f"another evaluation is writing to {plan.out}; choose another --out"
        ) from error
    except OSError as error:
        raise UserError(f"{plan.out} cannot be written: {error.strerror}; choose --out") from error
    for leftover in plan.out.glob(f"{WORK}*"):  # of an evaluation that was killed
        shutil.rmtree(leftover)
    return [
        SetRecord(plan.out / f"{job.problems.name}.jsonl", header)
        for job, header in zip(plan.jobs, plan.headers, strict=True)
    ]


def _open_texts(plan: Plan, file: Path | None) -> list[ResponsesRecord] | None:
    if file is None:
        return None
    return [
        ResponsesRecord(responses_path(plan.out, job.problems.name), header)
        for job, header in zip(plan.jobs, plan.headers, strict=True)
    ]


def _done(records: list[SetRecord], texts: list[ResponsesRecord] | None) -> list[frozenset[str]]:
    """Per set the finished problems; those whose texts are asked for and lack are not."""
    done = [frozenset(record.done) for record in records]
    if texts is None:
        return done
    return [ids & kept.done for ids, kept in zip(done, texts, strict=True)]


def _engine(plan: Plan, topology: Topology, device: torch.device) -> RolloutEngine:
    """The engine that the settings choose, with the weights in it."""
    model = plan.settings.model
    with in_model_format(plan.found, plan.out, model=model, bundle=plan.bundle) as path:
        bundle = replace(plan.bundle, path=path)
        engine = build_engine.build_engine(plan.settings, bundle, topology, device)
        engine.sync(read_weights(path, model=model), version=VERSION)
    return engine


def _report(
    plan: Plan,
    records: list[SetRecord],
    texts: list[ResponsesRecord] | None,
    file: Path | None,
) -> list[dict[str, Any]]:
    summaries = []
    for job, header, record in zip(plan.jobs, plan.headers, records, strict=True):
        results = [record.done[prompt.id] for prompt in job.prompts]
        summaries.append(summarize(header, results))
        write_summary(plan.out / f"{job.problems.name}.json", summaries[-1])
    if file is not None and texts is not None:
        write_responses(file, list(zip(records, texts, strict=True)))
        log.info("responses are in %s", file)
    return summaries
