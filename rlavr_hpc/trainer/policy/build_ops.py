"""`python -m rlavr_hpc.trainer.policy.build_ops`: compile DeepSpeed's op before the first run."""

from __future__ import annotations

import logging
import os

from rlavr_hpc.cluster.compiled_op_cache import building_alone, prepare_op_cache
from rlavr_hpc.testbed.model_cache import cache_root

log = logging.getLogger(__name__)


def build_ops() -> None:
    """Compile or load the op under the build lock; call before torch.distributed starts."""
    folder = prepare_op_cache(os.environ, cache_root(os.environ))
    from rlavr_hpc.trainer.policy.deepspeed_policy import load_cpu_op  # noqa: PLC0415

    with building_alone(folder) as stale:
        for lock in stale:
            log.warning("removed %s, left behind by a build that was killed", lock)
        load_cpu_op()


if __name__ == "__main__":
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
    build_ops()
