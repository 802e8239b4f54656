"""The caches of a job: what it may look up, and where it may keep what it compiles.

A node without network must not look for anything on the hub. What PyTorch, Triton and vLLM compile
lies on the node's own disk, in a folder that only this job uses: a shared one would be read by
other users' jobs, and a home on a network file system is slow. DeepSpeed's op is kept for good
(`cluster.op_cache`).
"""

from __future__ import annotations

import shlex

from rlavr_hpc.cluster import hub

OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
COMPILED = {
    "TORCHINDUCTOR_CACHE_DIR": "torchinductor",
    "TRITON_CACHE_DIR": "triton",
    "VLLM_CACHE_ROOT": "vllm",
}
NODE_CACHE = "RLAVR_NODE_CACHE"
"""The job's folder on its node. Its name cannot be guessed, so nobody can lay code there before."""


def job_environment(*, offline: bool) -> dict[str, str]:
    """Variables whose values are known before a job starts.

    Args:
        offline: the job's nodes have no network. It then looks for models where this process found
            them, whatever its own environment calls home.
    """
    if not offline:
        return {}
    return {**dict.fromkeys(OFFLINE, "1"), "HF_HUB_CACHE": str(hub.cache_folder().absolute())}


def setup_lines(offline: bool) -> list[str]:
    """Lines of a batch script, before its srun; what the user has set stays.

    Args:
        offline: the job's nodes have no network.
    """
    fixed = job_environment(offline=offline)
    name = "rlavr_hpc-$(id -u)-${SLURM_JOB_ID:-0}.XXXXXXXX"
    return [
        *(_default(variable, shlex.quote(value)) for variable, value in fixed.items()),
        f'{NODE_CACHE}="$(mktemp -d "${{SLURM_TMPDIR:-${{TMPDIR:-/tmp}}}}/{name}" 2>/dev/null ||'
        f' mktemp -d "/tmp/{name}")"',
        f"export {NODE_CACHE}",
        *(_default(name, f'"${NODE_CACHE}/{folder}"') for name, folder in COMPILED.items()),
    ]


def _default(variable: str, value: str) -> str:
    return f'[ -n "${{{variable}:-}}" ] || export {variable}={value}'


def teardown_lines() -> list[str]:
    """Lines for the end of the script: the node's disk is left as it was."""
    return [f'rm -rf -- "${{{NODE_CACHE}:?}}"']
