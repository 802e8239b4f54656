"""`python -m tests.support.policy_weights OUT OVERRIDES`: a run whose weights are told twice.

OUT/run is the run's folder; OUT/shared.json says whether a snapshot, copied or not, shares memory
with the optimizer's weights. OUT/policy.safetensors is what the policy holds after the last step,
still in its trainer; OUT/model is the last checkpoint put together, as for an evaluation.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from rlavr_hpc.cluster.preemption import StopFlag
from rlavr_hpc.cluster.topology import announce_ranks, apply_threads, read_topology
from rlavr_hpc.trainer import job
from tests.support.configs import composed


def main(out: Path, *overrides: str) -> None:
    topology = read_topology(os.environ, threads=1, runs_per_node=1)
    apply_threads(topology, os.environ)
    job.check_rendezvous(topology)
    announce_ranks(topology, os.environ)
    out.mkdir(exist_ok=True)
    config = composed(*overrides)
    run = job.join(config, out / "run", topology, StopFlag()).start()
    run.fit()

    from safetensors.torch import save_file

    from rlavr_hpc.runs.checkpoints import newest_valid
    from rlavr_hpc.trainer import distributed
    from rlavr_hpc.trainer.checkpoint.consolidate import consolidate
    from rlavr_hpc.trainer.policy.tokenizer import load_tokenizer

    shared = {
        str(copy): shares_memory(run.components.policy, out, copy=copy) for copy in (True, False)
    }
    gathered = run.components.policy.weights(bucket_bytes=1 << 20)
    whole = {name: tensor.clone() for name, tensor in gathered}
    if topology.is_main:
        (out / "shared.json").write_text(json.dumps(shared))
        save_file(whole, out / "policy.safetensors")
        checkpoint = newest_valid(out / "run")
        assert checkpoint is not None
        base = load_tokenizer(config, quiet=True)
        consolidate(checkpoint, out / "model", model=config.model, base=base)
    distributed.leave()
    job.end_process(0)


def shares_memory(policy: Any, out: Path, *, copy: bool) -> bool:  # noqa: ANN401
    """Whether the next update would show in a snapshot."""
    [live] = policy._engine.optimizer.fp32_partitioned_groups_flat
    [shard] = [c for p, c in policy.snapshot(out, copy=copy).items() if "optim" in p.name]
    [held] = shard["optimizer_state_dict"]["fp32_flat_groups"]
    return bool(held.data_ptr() == live.data_ptr())


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
