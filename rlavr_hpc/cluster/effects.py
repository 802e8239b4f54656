"""Refuses keys without an effect, before anything starts or is submitted.

A run that is there already goes on with them: without its key the same command would name another
run, and version 0.1 took keys that did nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hydra.conf import HydraConf
from omegaconf import DictConfig

from rlavr_hpc.cluster.given import (
    EXPERIMENT,
    folders_of,
    given_of,
    read_experiment,
    sweep_of,
)
from rlavr_hpc.config.effect_table import RULES
from rlavr_hpc.config.key_effect import Idle, idle_keys
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.config.shipped import CONF
from rlavr_hpc.errors import UserError

LAUNCHER = "hydra.launcher."


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One run that was asked for."""

    config: RunConfig
    overrides: Sequence[str]
    exists: bool
    """Whether its folder holds a run already."""


def refuse_idle(runs: Sequence[Asked], hydra: DictConfig | HydraConf | None = None) -> None:
    """Raise UserError for every key that was given and does nothing in any of the runs.

    In a sweep a key counts if it does something in one of its runs, begun or not:
    `acquisition=none,care acquisition.settings.gate=0.3`.

    Args:
        runs: all runs of one command.
        hydra: Hydra's own config.
    """
    sentences: dict[str, str] = {}
    acting: set[str] = set()
    for run in runs:
        given = given_of(run.overrides, hydra)
        idle = {one.key: one for one in idle_keys(run.config, given, RULES)}
        if not run.exists:
            sentences |= {key: one.sentence(run.config) for key, one in idle.items()}
        acting |= (given.typed.keys() | given.experiment.keys()) - idle.keys()
    refused = [text for key, text in sentences.items() if key not in acting]
    if refused:
        raise UserError("\n  ".join(refused))


def idle_of(run: Asked, hydra: DictConfig | HydraConf | None = None) -> list[Idle]:
    """The keys of one run that do nothing."""
    return idle_keys(run.config, given_of(run.overrides, hydra), RULES)


def refuse_outside_sweep(
    task: Sequence[str], own: Sequence[str], hydra: DictConfig | HydraConf
) -> None:
    """Raise UserError for what was given to one run and is about sweeps.

    Args:
        task: overrides of the run.
        own: those of Hydra.
        hydra: Hydra's own config.
    """
    told = [text.lstrip("+") for text in own if text.lstrip("+").startswith(LAUNCHER)]
    if told:
        raise UserError(
            f"{' '.join(told)} has no effect: a launcher starts sweeps; add -m, or leave it out "
            "(several ranks of one run: torchrun --nproc-per-node N -m rlavr_hpc run ...)"
        )
    choices = hydra.runtime.choices
    name = choices.get(EXPERIMENT)
    content = read_experiment(str(name), folders_of(hydra)) if name else {}
    if swept := sweep_of(content):
        raise UserError(f"experiment={name} is a sweep over {swept}: add -m")
    given = given_of(task, hydra).typed
    if given.get("retry_failed") is True:
        raise UserError(
            "retry_failed=true has no effect: it is about sweeps on Slurm; leave it out"
        )
    site = given.get("cluster")
    if isinstance(site, str) and _is_for_slurm(site):
        raise UserError(
            f"cluster={site} has no effect: it sets up jobs of Slurm; add -m hydra/launcher=slurm, "
            "or leave it out"
        )


def _is_for_slurm(site: str) -> bool:
    """Whether a shipped preset sets nothing but the launcher."""
    path = CONF / f"cluster/{site}.yaml"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return {line for line in lines if line[:1].isalpha()} == {"hydra:"}
