"""The caches of a job: what it may look up, and where it may keep what it compiles.

A node without network must not look for anything on the hub. What PyTorch, Triton and vLLM compile
lies on the node's own disk, in a folder that only this job uses: code from a folder that others can
write is not run, and a home on a network file system is slow. DeepSpeed's op is kept for good
(`cluster.op_cache`).
"""

from __future__ import annotations

import shlex

from rlavr_hpc.offline import hub

OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
COMPILED = {
    "TORCHINDUCTOR_CACHE_DIR": "torchinductor",
    "TRITON_CACHE_DIR": "triton",
    "VLLM_CACHE_ROOT": "vllm",
}
HEADERS = "TORCHINDUCTOR_CPP_CACHE_PRECOMPILE_HEADERS"
"""PyTorch keeps precompiled headers in /tmp/torchinductor_USER, whatever its cache is called; doing
without them costs a job no time."""
CHOOSE_FOLDER = r"""
RLAVR_NODE_CACHE="${SLURM_TMPDIR:-${TMPDIR:-/tmp}}"
[ -w "$RLAVR_NODE_CACHE" ] || RLAVR_NODE_CACHE=/tmp
RLAVR_NODE_CACHE="$RLAVR_NODE_CACHE/rlavr_hpc-$(id -u)-${SLURM_JOB_ID:-0}"
# A requeued job finds its folder again. On several nodes, or where somebody else has made a folder
# of this name, the name must be one that nobody can guess.
mine() { [ -d "$1" ] && [ -O "$1" ] && [ ! -L "$1" ]; }
if [ "${SLURM_NNODES:-0}" != 1 ] ||
  ! { mkdir -m 700 "$RLAVR_NODE_CACHE" 2>/dev/null || mine "$RLAVR_NODE_CACHE"; }; then
  RLAVR_NODE_CACHE="$(mktemp -d "$RLAVR_NODE_CACHE.XXXXXXXX")"
fi
export RLAVR_NODE_CACHE
"""


def job_environment(*, offline: bool) -> dict[str, str]:
    """Variables whose values are known before a job starts.

    Args:
        offline: the job's nodes have no network. It then looks for models where this process finds
            them, whatever its own environment calls home.
    """
    fixed = {HEADERS: "0"}
    if not offline:
        return fixed
    where = {"HF_HUB_CACHE": str(hub.cache_folder().absolute())}
    return {**fixed, **dict.fromkeys(OFFLINE, "1"), **where}


def setup_lines(offline: bool) -> list[str]:
    """Lines of a batch script in bash, before its srun; what the user has set stays.

    Args:
        offline: the job's nodes have no network.
    """
    fixed = job_environment(offline=offline)
    return [
        *(_default(name, shlex.quote(value)) for name, value in fixed.items()),
        *CHOOSE_FOLDER.strip().splitlines(),
        *(_default(name, f'"$RLAVR_NODE_CACHE/{folder}"') for name, folder in COMPILED.items()),
    ]


def teardown_lines() -> list[str]:
    """Lines for the end of the script, where the job is not requeued: the disk is as it was."""
    return ['rm -rf -- "${RLAVR_NODE_CACHE:?}"']


def _default(name: str, value: str) -> str:
    return f'[ -n "${{{name}:-}}" ] || export {name}={value}'
