"""Composed configs without the command line."""

from __future__ import annotations

from functools import cache

from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.types import HydraContext, RunMode

from rlavr_hpc.cluster.compose import Composer
from rlavr_hpc.config.run import RunConfig, resolve
from rlavr_hpc.config.shipped import CONF


def composed(*overrides: str) -> RunConfig:
    """The config that `python -m rlavr_hpc.run OVERRIDES` would use.

    Composed as a sweep composes its jobs: every set of chosen groups once in the test session.
    """
    return resolve(_composer().compose(overrides))


@cache
def _composer() -> Composer:
    ConfigStore.instance().store(name="schema", node=RunConfig)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        loader = hydra.config_loader
        sweep = loader.load_configuration("config", [], run_mode=RunMode.MULTIRUN)
    context = HydraContext(config_loader=loader, callbacks=Callbacks())
    return Composer(context=context, config=sweep)
