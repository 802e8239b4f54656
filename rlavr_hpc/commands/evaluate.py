"""`rlavr evaluate MODEL --on SET,SET`: evaluate a model on test sets, with intervals."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from rlavr_hpc.config.data import ChatTemplate, SystemRole
from rlavr_hpc.config.grading import Extract
from rlavr_hpc.config.model import Dtype
from rlavr_hpc.config.rollout import Engine
from rlavr_hpc.evaluation.job import run_evaluation
from rlavr_hpc.evaluation.options import EvaluationOptions
from rlavr_hpc.evaluation.report import as_table
from rlavr_hpc.evaluation.test_sets import HELD_OUT, shipped_names

DESCRIPTION = f"""\
Sample n responses per problem from a model and report mean@n, pass@k and maj@n, each with a 95%
confidence interval over problems. maj@n uses the same majority vote as training.

  MODEL  a run's folder (its newest valid checkpoint, or --step), one of its checkpoints/step_S, a
         folder in Hugging Face format, or a hub name. For a run, its own chat template, system
         prompt, stop tokens, engine, number format and token limits are the defaults.
  SET    {", ".join(shipped_names())}
         (files in --data-dir; conf/eval says where they come from and how they are sampled),
         {HELD_OUT} (the run's own held-out prompts), or a .json, .jsonl or .parquet file.

On several GPUs: torchrun --nproc-per-node N -m rlavr_hpc evaluate ...
"""
EPILOG = """\
OUT/SET.jsonl holds one line per finished problem (answers, correctness, lengths; no label),
OUT/SET.json the results. FILE of --responses holds set, id, sample, prompt, response, answer,
correct, truncated and tokens, and appears when all sets are finished; problems that were measured
without their texts are sampled again, with the same results. An evaluation that was stopped or
killed resumes when the same command is given again; with another model or other settings it
refuses.

Examples:
  rlavr evaluate runs/study-0a1b2c3d --on held_out
  rlavr evaluate Qwen/Qwen3-4B --on aime24,math500 --samples 16
  rlavr evaluate runs/study-0a1b2c3d --on held_out --responses texts.jsonl

Exit codes: 0 done, 1 failed, 2 your mistake, 75 stopped by a signal with all finished problems on
disk, 130 second signal.
"""


def run(given: argparse.Namespace) -> int:
    """Evaluate; returns the exit code."""
    os.umask(0o027)
    options = {field.name: getattr(given, field.name) for field in fields(EvaluationOptions)}
    code, summaries = run_evaluation(EvaluationOptions(**options))
    if summaries:
        print(json.dumps(summaries) if given.json else as_table(summaries))
    return code


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `rlavr evaluate`."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="run, checkpoint, model folder or hub name")
    add("--on", metavar="SET[,SET...]", required=True, type=_names, help="the test sets")
    add("--step", type=int, metavar="S", help="of a run: this checkpoint instead of the newest")
    add(
        "--data-dir",
        type=Path,
        metavar="DIR",
        default=Path(os.environ.get("RLAVR_DATA") or "data"),
        help="folder of the named test sets (default: $RLAVR_DATA, else data)",
    )
    add(
        "--out",
        type=Path,
        metavar="DIR",
        help="where results go (default: evaluation/step_S in the run's folder, else "
        "evaluation/MODEL here)",
    )
    add(
        "--responses",
        type=Path,
        metavar="FILE",
        help="write prompts and responses to this file, for you alone (mode 0600): a line of JSON "
        "per problem and sample",
    )
    add("--json", action="store_true", help="print JSON instead of a table")
    _add_sampling(parser.add_argument_group("sampling (defaults: the set's own)"))
    _add_loading(parser.add_argument_group("loading (defaults: the run's own)"))


def _add_sampling(group: Any) -> None:  # noqa: ANN401  argparse keeps its group class private
    add: Callable[..., object] = group.add_argument
    add("--samples", type=int, metavar="N", help="responses per problem (n)")
    add("--temperature", type=float, metavar="T", help="sampling temperature; 0 = greedy")
    add("--top-p", type=float, metavar="P", help="nucleus sampling: probability mass kept")
    add("--max-response-tokens", type=int, metavar="N", help="limit on a response, in tokens")
    add("--limit", type=int, metavar="N", help="only the first N problems of each set")
    add("--seed", type=int, default=1, metavar="N", help="seed of all sampling (default: 1)")
    add(
        "--chunk",
        type=int,
        metavar="N",
        help="problems per write to disk (default: as many as make 512 responses; more keep many "
        "GPUs busier)",
    )


def _add_loading(group: Any) -> None:  # noqa: ANN401
    add: Callable[..., object] = group.add_argument
    add("--engine", type=Engine, choices=list(Engine), help="inference engine (default: vllm)")
    add("--dtype", type=Dtype, choices=list(Dtype), help="number format (default: bfloat16)")
    add("--tensor-parallel", type=int, metavar="N", help="ranks that share one vLLM model")
    add(
        "--gpu-memory-utilization",
        type=float,
        default=0.9,
        metavar="SHARE",
        help="share of the GPU's memory for vLLM (default: 0.9)",
    )
    add(
        "--threads",
        type=int,
        default=0,
        metavar="N",
        help="CPU threads per rank (default: 0 = cores / ranks)",
    )
    add(
        "--chat-template",
        type=ChatTemplate,
        choices=list(ChatTemplate),
        help="whether to apply it; auto: unless the prompts already have one",
    )
    add("--system-prompt", metavar="TEXT", help="system prompt; '' = none")
    add(
        "--system-role",
        type=SystemRole,
        choices=list(SystemRole),
        help="where system messages are written: merge = in front of the user's",
    )
    add(
        "--enable-thinking",
        action=argparse.BooleanOptionalAction,
        help="passed to chat templates that know it",
    )
    add(
        "--extract",
        type=Extract,
        choices=list(Extract),
        help="where a math answer is looked for (default: as in the run, or auto)",
    )
    add(
        "--stop-token-ids",
        type=int,
        nargs="*",
        metavar="ID",
        help="more stop tokens, besides the model's own",
    )
    add("--trust-remote-code", action="store_true", help="run code that comes with the model")


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name] or [text]
