"""A run's config from its overrides, for commands that run nothing."""

from __future__ import annotations

from collections.abc import Sequence

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from rlavr_hpc.config.run import RunConfig, resolve
from rlavr_hpc.config.shipped import CONF
from rlavr_hpc.errors import UserError


def config_of(overrides: Sequence[str]) -> RunConfig:
    """The config of the run, as `rlavr run` composes it.

    Raises:
        UserError: it is impossible.
    """
    ConfigStore.instance().store(name="schema", node=RunConfig)
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return resolve(compose("config", list(overrides)))
    except (HydraException, OmegaConfBaseException) as error:
        errors = [error, *([error.__cause__] if error.__cause__ else [])]
        lines = dict.fromkeys(line.strip() for e in errors for line in str(e).splitlines()[:2])
        raise UserError("\n  ".join(line for line in lines if line)) from error
