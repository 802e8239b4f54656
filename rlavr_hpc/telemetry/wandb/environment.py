"""Environment variables that would put a run elsewhere on the dashboard than the config says.

wandb obeys them before what it is called with: below a sweep's agent, for one, it throws away
project, entity and id, and every attempt would become a run of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping

RUN_VARIABLES = (
    "WANDB_SWEEP_ID",
    "WANDB_SWEEP_PARAM_PATH",
    "WANDB_LAUNCH",
    "WANDB_LAUNCH_CONFIG_PATH",
    "WANDB_CONFIG",
    "WANDB_ARTIFACTS",
    "WANDB_RUN_ID",
    "WANDB_RUN_GROUP",
    "WANDB_RUN_NAME",
    "WANDB_NAME",
    "WANDB_RUN_JOB_TYPE",
    "WANDB_JOB_TYPE",
    "WANDB_RUN_TAGS",
    "WANDB_TAGS",
    "WANDB_PROJECT",
    "WANDB_RESUME",
    "WANDB_RESUME_FROM",
    "WANDB_FORK_FROM",
    "WANDB_REINIT",
)
"""What the config decides instead. Who sends, and where to (WANDB_API_KEY, WANDB_BASE_URL,
WANDB_ENTITY, WANDB_DIR, ...) is not among them."""

log = logging.getLogger(__name__)


def without_run_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for a process of wandb's that must not take another run's place."""
    return {name: value for name, value in environ.items() if name not in RUN_VARIABLES}


def drop_run_variables(environ: MutableMapping[str, str]) -> tuple[str, ...]:
    """Take them out of this process's environment, and say so once.

    Returns:
        Those that were there.
    """
    found = tuple(name for name in RUN_VARIABLES if name in environ)
    for name in found:
        del environ[name]
    if found:
        log.warning(
            "%s in the environment %s ignored: all attempts of a run are one run on the dashboard, "
            "under the id, name, group and project that the config gives it",
            ", ".join(found),
            "is" if len(found) == 1 else "are",
        )
    return found
