"""`rlavr run KEY=VALUE ...`: compose a config, check it, start one run or a sweep of runs.

Hydra reads the arguments. Everything but the help is its own.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from collections.abc import Sequence
from difflib import get_close_matches

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from rlavr_hpc.cluster.effects import Asked, idle_of, refuse_idle, refuse_outside_sweep
from rlavr_hpc.cluster.outcomes import OUTCOMES, outcome
from rlavr_hpc.cluster.overrides import config_of
from rlavr_hpc.commands.command_reference import as_text, config_groups
from rlavr_hpc.config.hydra_argparse import lazy_help_allowed
from rlavr_hpc.config.run import RunConfig, resolve
from rlavr_hpc.config.shipped import CONF
from rlavr_hpc.errors import ExitCode, RlavrError, UserError
from rlavr_hpc.runs.folder import CONFIG, single_run_dir
from rlavr_hpc.trainer.job import run_job, say

DESCRIPTION = """\
Start a run, or resume it: the same command continues a run that was stopped or killed. With -m a
sweep, one run per combination of values. GROUP=OPTION chooses a file of conf/GROUP, KEY=VALUE sets
a value. --help with overrides shows the values that they lead to.

On several GPUs: torchrun --nproc-per-node N -m rlavr_hpc run ...
`python -m rlavr_hpc.run` is the same command.
"""
EPILOG = """\
Examples:
  rlavr run steps=50 budget=0.1
  rlavr run experiment=math model.path=Qwen/Qwen3-4B rollout=vllm
  rlavr run -m budget=0.05,0.1 seed=1,2
  rlavr run -m hydra/launcher=slurm cluster=template budget=0.05,0.1

Exit codes: 0 done, or already done, 1 failed, 2 your mistake, 3 early warning, 75 stopped with a
checkpoint, 76 the same, waiting for labels, 77 superseded by a newer attempt, 130 second signal.
"""


REFUSED: list[RlavrError] = []
"""Why this process's run could not be started or failed; raised once Hydra has returned."""


MEANT = {
    **dict.fromkeys(
        ("data.train", "data.file", "data.files", "data.dataset", "data.train_path"), "data.path"
    ),
    **dict.fromkeys(
        ("data.test", "data.val", "data.valid", "data.eval", "data.held_out"), "data.eval_path"
    ),
}
"""What other programs call a key of this one."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `rlavr run`: those of Hydra that serve here."""
    add = parser.add_argument
    add("overrides", metavar="KEY=VALUE", nargs="*", help="group options and values; see the keys")
    add("-m", "--multirun", action="store_true", help="a sweep; values are separated by commas")
    add(
        "-c",
        "--cfg",
        choices=["job", "hydra", "all"],
        help="print the composed config and start nothing",
    )
    add("-p", "--package", metavar="KEY", help="with --cfg: only this part of the config")
    add("--resolve", action="store_true", help="with --cfg: with interpolations resolved")
    add(
        "-i",
        "--info",
        choices=["all", "config", "defaults", "defaults-tree", "plugins", "searchpath"],
        help="print how the config is composed and start nothing",
    )
    add("--hydra-help", action="store_true", help="show all options of Hydra")


def pass_on(arguments: Sequence[str], parser: argparse.ArgumentParser) -> int:
    """Run what Hydra reads from the arguments; returns the exit code."""
    if {"-h", "--help"} & set(arguments):
        print(_help([text for text in arguments if "=" in text], parser))
        return ExitCode.DONE
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let errors come here instead of ending the process
    os.umask(0o027)  # Hydra makes folders too, and they are to be private like ours
    ConfigStore.instance().store(name="schema", node=RunConfig)
    sys.argv = ["rlavr run", *options_first(arguments)]  # where Hydra reads them
    try:
        with lazy_help_allowed():
            compose_and_run()
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(_readable(error, error.__cause__ or error)) from error
    except ValueError as error:
        if not str(error).startswith("Only one of"):  # options of Hydra that exclude each other
            raise
        raise UserError(str(error)) from error
    except OSError as error:  # Hydra makes a sweep's folder before any code of ours runs
        raise UserError(f"{error}; choose another root") from error
    if REFUSED:
        raise REFUSED.pop()
    return outcome()


def options_first(arguments: Sequence[str]) -> list[str]:
    """The same with all overrides at the end: Hydra refuses an option between two of them."""

    def is_override(text: str) -> bool:
        return not text.startswith("-") and ("=" in text or text.startswith("~"))

    return sorted(arguments, key=is_override)  # stable


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def compose_and_run(composed: DictConfig) -> None:
    """Hydra's entry: one run. A sweep's runs go through the launcher instead."""
    try:
        OUTCOMES.append(_run_single(composed))
    except RlavrError as error:  # kept from Hydra, which would put its own words around it
        REFUSED.append(error)


def _run_single(composed: DictConfig) -> ExitCode:
    config = resolve(composed)
    hydra_config = HydraConfig.get()
    if str(hydra_config.mode).endswith("MULTIRUN"):
        raise UserError(
            "sweeps need a launcher of this project: leave hydra/launcher out, or say slurm"
        )
    if hydra_config.runtime.choices["hydra/launcher"] == "slurm":
        raise UserError("hydra/launcher=slurm starts sweeps, also of one run: add -m")
    own = hydra_config.overrides
    refuse_outside_sweep(own.task, own.hydra, hydra_config)
    folder = single_run_dir(config)
    asked = Asked(config=config, overrides=own.task, exists=(folder / CONFIG).exists())
    refuse_idle([asked], hydra_config)
    for idle in idle_of(asked, hydra_config):
        say(f"note: {idle.sentence(config)}", mistake=True)
    return run_job(config, folder)


def _readable(error: BaseException, cause: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    reason = str(cause).splitlines()[0] if cause is not error and str(cause) else ""
    if len(lines) > 1 and "Could not find" not in lines[0]:
        lines = [line for line in lines if not line.strip().startswith(("full_key", "object_type"))]
    lines = [line for line in lines if not line.strip().startswith("To append to your config")]
    missing = re.search(r"Could not override '([^']+)'", text := "\n  ".join(lines))
    if missing and (close := _meant(missing[1])):
        text += f"; did you mean {' or '.join(close)}?"
    return text if not reason or reason in text else f"{text}\n  {reason}"


def _meant(key: str) -> list[str]:
    """Keys that somebody may have meant who typed this one, the likeliest first."""
    known = [key.key for group in config_groups() for key in group.keys]
    if key in MEANT:
        return [MEANT[key]]
    begun = [one for one in known if one.startswith(f"{key}_")]
    return begun[:2] or get_close_matches(key, known, n=2)


def _help(overrides: Sequence[str], parser: argparse.ArgumentParser) -> str:
    """The options, then every group and key with the value that these overrides lead to."""
    note = ""
    try:
        values: RunConfig | None = config_of(overrides)
    except RlavrError as error:
        values, note = None, f"The values are the defaults, because of: {error}\n\n"
    width = min(shutil.get_terminal_size().columns, 100)
    options = parser.format_help().removesuffix(f"\n{EPILOG}")
    keys = "\n".join(as_text(config_groups(), values, width=width))
    return f"{options}\n{note}{keys}\n{EPILOG}".rstrip("\n")
