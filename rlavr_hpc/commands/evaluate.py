"""`rlavr evaluate MODEL --on SET,SET`: a model on test sets, with intervals."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rlavr_hpc.config.data import ChatTemplate
from rlavr_hpc.config.grading import Extract
from rlavr_hpc.config.model import Dtype
from rlavr_hpc.config.rollout import Engine
from rlavr_hpc.errors import UserError
from rlavr_hpc.evaluation.job import run_evaluation
from rlavr_hpc.evaluation.options import EvaluationOptions
from rlavr_hpc.evaluation.report import as_table
from rlavr_hpc.evaluation.test_sets import HELD_OUT, shipped_names
from rlavr_hpc.trainer.job import end_process

DESCRIPTION = f"""\
Sample test sets from a model and tell mean@n, pass@k and maj@n (n samples a problem; the vote is
the project's own), each with a 95% interval over problems.

  MODEL  a run's folder (its newest valid checkpoint, or --step), one of its checkpoints/step_S, a
         folder in Hugging Face format, or a hub name. A run brings its own chat template settings,
         system prompt, stop tokens, engine, number format and token limits.
  SET    {", ".join(shipped_names())}
         (files below --data-dir; conf/eval says where they come from and how they are sampled),
         {HELD_OUT} (what the run itself is evaluated on), or a .json, .jsonl or .parquet file.

Several ranks: torchrun --nproc-per-node N -m rlavr_hpc.commands.evaluate ...
"""
EPILOG = """\
OUT/SET.jsonl holds a line per finished problem (answers, right or wrong, lengths; no label),
OUT/SET.json the figures. A stopped or killed evaluation goes on when the same command is started
again; with another model or other settings it refuses. Exit codes: 0 done, 1 failed, 2 your
mistake, 75 stopped by a signal with everything finished on disk (a second signal: 130).
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate; returns the exit code."""
    given = vars(_parser().parse_args(arguments))
    as_json = given.pop("json")
    os.umask(0o027)
    try:
        options = EvaluationOptions(**given)
    except UserError as error:
        print(f"rlavr_hpc: {error}", file=sys.stderr)
        return error.exit_code
    code, summaries = run_evaluation(options)
    if summaries:
        print(json.dumps(summaries) if as_json else as_table(summaries))
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rlavr evaluate",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", metavar="MODEL", help="what is evaluated")
    add("--on", metavar="SET[,SET...]", required=True, type=_names, help="the test sets")
    add("--step", type=int, help="of a run: this checkpoint instead of the newest")
    add(
        "--data-dir",
        type=Path,
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
    add("--json", action="store_true", help="print JSON instead of a table")
    _add_sampling(parser.add_argument_group("sampling (defaults: the set's own)"))
    _add_loading(parser.add_argument_group("loading (defaults: the run's own)"))
    return parser


def _add_sampling(group: Any) -> None:  # noqa: ANN401  argparse keeps its group class private
    add: Callable[..., object] = group.add_argument
    add("--samples", type=int, metavar="N", help="responses per problem")
    add("--temperature", type=float, metavar="T", help="0 = always the likeliest token")
    add("--top-p", type=float, metavar="P")
    add("--max-response-tokens", type=int, metavar="N")
    add("--limit", type=int, metavar="N", help="only the first N problems of each set")
    add("--seed", type=int, default=1, help="of all draws (default: 1)")
    add(
        "--chunk",
        type=int,
        metavar="N",
        help="problems whose results go to disk together (default: as many as make 512 responses; "
        "more keep many GPUs busier)",
    )


def _add_loading(group: Any) -> None:  # noqa: ANN401
    add: Callable[..., object] = group.add_argument
    add("--engine", type=Engine, choices=list(Engine), help="who generates (default: vllm)")
    add("--dtype", type=Dtype, choices=list(Dtype), help="number format (default: bfloat16)")
    add("--tensor-parallel", type=int, metavar="N", help="ranks that hold one vLLM model together")
    add(
        "--gpu-memory-utilization",
        type=float,
        default=0.9,
        metavar="SHARE",
        help="of the GPU's memory, for vLLM (default: 0.9)",
    )
    add("--threads", type=int, default=0, metavar="N", help="per rank; 0 = cores / ranks (default)")
    add(
        "--chat-template",
        type=ChatTemplate,
        choices=list(ChatTemplate),
        help="auto leaves prompts alone that carry a template already",
    )
    add("--system-prompt", metavar="TEXT", help="before every prompt; '' = none")
    add(
        "--enable-thinking",
        action=argparse.BooleanOptionalAction,
        help="for chat templates that know it",
    )
    add(
        "--extract",
        type=Extract,
        choices=list(Extract),
        help="where a math answer may stand (default: boxed)",
    )
    add(
        "--stop-token-ids",
        type=int,
        nargs="*",
        metavar="ID",
        help="besides the model's own end-of-sequence tokens",
    )
    add("--trust-remote-code", action="store_true", help="run code that comes with the model")


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name] or [text]


if __name__ == "__main__":
    end_process(main())
