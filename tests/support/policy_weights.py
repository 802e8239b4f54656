"""`python -m tests.support.policy_weights OUT OVERRIDES`: a run whose weights are told twice.

OUT/run is the run's folder. OUT/policy.safetensors is what the policy holds after the last step,
still in its trainer; OUT/model is the last checkpoint put together, as for an evaluation.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from rlavr_hpc.cluster.preemption import StopFlag
from rlavr_hpc.cluster.topology import announce_ranks, apply_threads, read_topology
from rlavr_hpc.trainer import job
from tests.support.configs import composed


def main(out: Path, *overrides: str) -> None:
    topology = read_topology(os.environ, threads=0, runs_per_node=1)
    apply_threads(topology, os.environ)
    job.check_rendezvous(topology)
    announce_ranks(topology, os.environ)
    out.mkdir(exist_ok=True)
    config = composed(*overrides)
    run = job.join(config, out / "run", topology, StopFlag()).start()
    run.fit()

    from safetensors.torch import save_file

    from rlavr_hpc.checkpoints import newest_valid
    from rlavr_hpc.trainer import ranks
    from rlavr_hpc.trainer.consolidate import consolidate
    from rlavr_hpc.trainer.language import load_language

    gathered = run.parts.policy.weights(bucket_bytes=1 << 20)
    whole = {name: tensor.clone() for name, tensor in gathered}
    if topology.is_main:
        save_file(whole, out / "policy.safetensors")
        checkpoint = newest_valid(out / "run")
        assert checkpoint is not None
        base = load_language(config, quiet=True)
        consolidate(checkpoint, out / "model", model=config.model, base=base)
    ranks.leave()
    job.end_process(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
