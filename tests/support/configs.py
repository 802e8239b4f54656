"""Composed configs without the command line."""

from __future__ import annotations

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore

from rlavr_hpc.config.run import RunConfig, resolve
from rlavr_hpc.config.shipped import CONF


def composed(*overrides: str) -> RunConfig:
    """The config that `python -m rlavr_hpc.run OVERRIDES` would use."""
    ConfigStore.instance().store(name="schema", node=RunConfig)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return resolve(compose("config", list(overrides)))
