"""`rlavr export RUN OUT`: write a checkpoint as a Hugging Face model folder."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from rlavr_hpc.config.model import Dtype
from rlavr_hpc.release.job import CARD, PROVENANCE, ExportOptions, run_export

MIB = 1 << 20
DESCRIPTION = f"""\
Write a run's policy as a folder that Transformers and vLLM load: weights (safetensors), config,
tokenizer, sampling settings (generation_config.json), a model card with labels, results and
provenance ({CARD}), and the same as JSON ({PROVENANCE}).

  RUN  a run's folder (its newest valid checkpoint, or --step), or one of its checkpoints/step_S
  OUT  the folder to create; it must not exist, or be empty

LoRA adapters are merged into the weights; --adapter writes the adapters alone, for peft.

Runs in one process without a GPU, and needs about as much memory as the weights take.
"""
EPILOG = """\
The card holds no label, no prompt and no path. OUT appears complete or not at all: an export that
fails or is killed leaves no OUT, and the next one removes its temporary files.

Examples:
  rlavr export runs/study-0a1b2c3d exported
  rlavr export runs/study-0a1b2c3d exported --step 100 --dtype bfloat16

Exit codes: 0 done, 1 failed, 2 your mistake, 130 interrupted.
"""


def run(given: argparse.Namespace) -> int:
    """Export; returns the exit code."""
    os.umask(0o027)
    options = {field.name: getattr(given, field.name) for field in fields(ExportOptions)}
    code, written = run_export(ExportOptions(**options))
    if written:
        print(json.dumps(written) if given.json else _in_words(written))
    return code


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `rlavr export`."""
    add = parser.add_argument
    add("run", metavar="RUN", help="run or checkpoint whose policy is written")
    add("out", metavar="OUT", type=Path, help="the folder to create")
    add("--step", type=int, metavar="S", help="this checkpoint instead of the newest")
    add(
        "--dtype",
        type=Dtype,
        choices=list(Dtype),
        help="number format of the weights (default: the run's own)",
    )
    add(
        "--adapter",
        action="store_true",
        help="write only the LoRA adapters, for peft",
    )
    add("--json", action="store_true", help="print what was written as JSON")


def _in_words(written: Mapping[str, Any]) -> str:
    facts = written["provenance"]
    size = sum(written["files"].values()) / MIB
    return (
        f"{written['out']}: step {facts['origin']['step']} of {facts['origin']['run']}-"
        f"{facts['origin']['config_hash']}, {facts['weights']['parameters']:,} parameters in "
        f"{facts['weights']['dtype']}, {len(written['files'])} files, {size:.1f} MiB"
    )
