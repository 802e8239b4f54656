"""`rlavr plan KEY=VALUE ...`: what a run would need, before it is started."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from typing import Any

from rlavr_hpc.cluster.effects import Asked, refuse_idle
from rlavr_hpc.cluster.overrides import config_of
from rlavr_hpc.config.shipped import CONF
from rlavr_hpc.errors import ExitCode, UserError
from rlavr_hpc.planning.derive import derived
from rlavr_hpc.planning.hardware import ACCELERATORS, CPU, Machines
from rlavr_hpc.planning.model_config import shape_of
from rlavr_hpc.planning.report import as_table, as_values
from rlavr_hpc.planning.shape import KNOWN
from rlavr_hpc.planning.sizes import Sizes

DESCRIPTION = f"""\
Estimate memory, step time and GPU-hours of a run. Says what does not fit, and which setting helps.
What a forward pass holds is chosen as a run chooses it, where it is not set. Takes the run's own
overrides, and:

  nodes=1 gpus=1         number of nodes, and of GPUs per node (on CPU: processes)
  gpu=h100-80            {", ".join((*ACCELERATORS, CPU))}
  host_gib=GIB           memory of a node in GiB; not checked if it is left out
  mean_response=TOKENS   mean length of a response (default: half of rollout.max_response_tokens)
  mfu=0.35               model FLOPs utilization of training
  bandwidth_share=0.6    share of the memory bandwidth that decoding reaches
  price=P                price of a GPU-hour

model=NAME or model=./FOLDER is short for model=pretrained model.path=NAME (with data=knights if no
data is given). Only the model's config.json is read, from its folder or the hub's cache; for
{", ".join(KNOWN)}
from a table. No network is used.
"""
EPILOG = """\
Examples:
  rlavr plan experiment=math nodes=1 gpus=8 gpu=h100-80
  rlavr plan model=Qwen/Qwen3-8B nodes=2 gpus=4 gpu=a100-40

Exit codes: 0 it fits, 1 it does not, 2 your mistake.
"""
READERS: dict[str, Callable[[str], Any]] = {
    "gpu": str,
    "nodes": int,
    "gpus": int,
    "mfu": float,
    "bandwidth_share": float,
    "host_gib": float,
    "price": float,
    "mean_response": float,
}
"""Keys of `Machines`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `rlavr plan`."""
    parser.add_argument(
        "overrides",
        metavar="KEY=VALUE",
        nargs="*",
        help="overrides, as for `rlavr run`, and the keys above",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(given: argparse.Namespace) -> int:
    """Plan; returns the exit code."""
    values = as_values(derived(sizes_of(given.overrides)))
    print(json.dumps(values) if given.json else as_table(values))
    return ExitCode.DONE if values["fits"] else ExitCode.FAILED


def sizes_of(overrides: Sequence[str]) -> Sizes:
    """What is planned.

    Raises:
        UserError: a key or value that cannot be, or a model of unknown shape.
    """
    ours = [text for text in overrides if text.partition("=")[0] in READERS]
    theirs = _expanded([text for text in overrides if text not in ours])
    config = config_of(theirs)
    refuse_idle([Asked(config=config, overrides=theirs, exists=False)])
    machines = Machines(**dict(_read(text) for text in ours))
    if machines.ranks % config.rollout.tensor_parallel:
        raise UserError(
            f"rollout.tensor_parallel={config.rollout.tensor_parallel} does not divide the "
            f"{machines.ranks} ranks"
        )
    return Sizes(config=config, shape=shape_of(config.model), machines=machines)


def _read(text: str) -> tuple[str, Any]:
    key, _, value = text.partition("=")
    try:
        return key, READERS[key](value)
    except ValueError:
        raise UserError(f"{text}: {key} is a number") from None


def _expanded(overrides: Sequence[str]) -> list[str]:
    """With `model=NAME` written out."""
    expanded: list[str] = []
    groups = [text.partition("=")[0] for text in overrides]
    for text in overrides:
        key, _, name = text.partition("=")
        if key != "model" or (CONF / f"model/{name}.yaml").exists():
            expanded.append(text)
            continue
        expanded += ["model=pretrained", f"model.path={name}"]
        expanded += [] if {"data", "experiment"} & set(groups) else ["data=knights"]
    return expanded
