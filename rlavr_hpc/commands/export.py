"""`rlavr export RUN_DIR OUT`: a checkpoint as a Hugging Face model folder."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlavr_hpc.config.model import Dtype
from rlavr_hpc.release.job import CARD, PROVENANCE, ExportOptions, run_export
from rlavr_hpc.trainer.job import end_process

MIB = 1 << 20
DESCRIPTION = f"""\
Write a run's policy as a folder that Transformers and vLLM load: weights (safetensors), config,
tokenizer, the run's sampling (generation_config.json), a model card with its labels, results and
provenance ({CARD}), and the same for programs ({PROVENANCE}).

  RUN  a run's folder (its newest valid checkpoint, or --step), or one of its checkpoints/step_S
  OUT  the folder to be made; it must not exist, or be empty

A run's adapters are merged into the weights; with --adapter they are written alone, for peft.

One process, without a GPU; takes about as much memory as the weights.
"""
EPILOG = """\
The card holds no label, no prompt and no path. OUT appears whole or not at all: an export that
fails or is killed leaves none, and the next one removes what it left beside it. Exit codes: 0 done,
1 failed, 2 your mistake, 130 interrupted.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Export; returns the exit code."""
    given = vars(_parser().parse_args(arguments))
    as_json = given.pop("json")
    os.umask(0o027)
    code, written = run_export(ExportOptions(**given))
    if written:
        print(json.dumps(written) if as_json else _in_words(written))
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rlavr export",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("run", metavar="RUN", help="whose policy")
    add("out", metavar="OUT", type=Path, help="the folder to be made")
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
        help="of a run with adapters (lora=...), write these alone, for peft",
    )
    add("--json", action="store_true", help="print what was written as JSON")
    return parser


def _in_words(written: Mapping[str, Any]) -> str:
    told = written["provenance"]
    size = sum(written["files"].values()) / MIB
    return (
        f"{written['out']}: step {told['origin']['step']} of {told['origin']['run']}-"
        f"{told['origin']['config_hash']}, {told['weights']['parameters']:,} parameters in "
        f"{told['weights']['dtype']}, {len(written['files'])} files, {size:.1f} MiB"
    )


if __name__ == "__main__":
    end_process(main())
