"""Before anything is loaded: does the run fit this machine, and how much does a pass hold?

What the config leaves open is chosen at the run's first start and recorded with the attempt. Later
starts take what is on record, on whatever machine, so that a resumed run computes what it would
have computed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rlavr_hpc.cluster.topology import Topology
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.errors import RlavrError, UserError
from rlavr_hpc.offline.missing_inputs import on_hub
from rlavr_hpc.planning.derive import PassSettings, choose, leaves_open, named, unplanned
from rlavr_hpc.planning.devices import find_gpus, machine_gib
from rlavr_hpc.planning.hardware import CPU, Accelerator, Machines
from rlavr_hpc.planning.model_config import shape_of
from rlavr_hpc.planning.sizes import Sizes
from rlavr_hpc.planning.verdict import verdict
from rlavr_hpc.runs.attempts import read_attempts
from rlavr_hpc.runs.folder import CONFIG, read_config
from rlavr_hpc.runs.provenance import read_provenance
from rlavr_hpc.telemetry.sinks import read_line

PASSES = "passes"
"""Key of a provenance record."""
log = logging.getLogger("rlavr_hpc")


def check_memory(
    config: RunConfig, run_dir: Path, topology: Topology, environment: Mapping[str, str]
) -> PassSettings:
    """Log the plan's verdict; returns how much a forward pass holds.

    A run that has done steps goes on all the same: it fitted, whatever the plan says.

    Raises:
        UserError: it cannot fit; the message names the keys that mend it.
    """
    if config.model.built_here:
        return named(config)
    before = recorded(config, run_dir) if leaves_open(config) else named(config)
    path = config.model.path
    if path is not None and not on_hub(path) and not Path(path).expanduser().is_dir():
        return before or unplanned(config)  # the check of the inputs says it
    try:
        sizes = _sizes(config, topology, environment)
    except UserError as error:
        log.info("plan: none was made, memory is not checked: %s", error)
        return before or unplanned(config)
    passes = before or choose(sizes)
    told = verdict(replace(sizes, config=passes.applied(config)), passes)
    for line in told.lines:
        log.info("%s", line)
    _tell_change(config, before, sizes)
    if told.refusal and config.cluster.check_memory:
        _refuse_or_tell(told.refusal, run_dir)
    return passes


def _refuse_or_tell(refusal: str, run_dir: Path) -> None:
    """Refuse the start of a run that has done no step; tell others how to go on with less."""
    begun = (run_dir / CONFIG).exists() and bool(read_attempts(run_dir))
    if not begun:
        raise UserError(refusal)
    text = (
        f"{refusal}\n  this run has begun, and other keys name another run: add run_dir={run_dir} "
        "and allow_change=[KEY,...] with theirs"
    )
    if not any(row["step"] > 0 for row in read_line(run_dir)):
        raise UserError(text)
    log.warning("warning: by the plan, %s\n  it goes on, for it has done steps", text)


def _tell_change(config: RunConfig, before: PassSettings | None, sizes: Sizes) -> None:
    """Where the plan would choose otherwise on this machine than at the run's first start."""
    if before is None or not leaves_open(config) or (now := choose(sizes)) == before:
        return
    log.info(
        "plan: these were chosen at the run's first start and stay, so that its results do; here "
        "the plan would take %s",
        " ".join(now.overrides),
    )


def recorded(config: RunConfig, run_dir: Path) -> PassSettings | None:
    """What a run that is there already has used, with what the config names; None = it is new."""
    attempts = len(read_attempts(run_dir)) if (run_dir / CONFIG).exists() else 0
    if not attempts:
        return None
    for number in range(attempts, 0, -1):
        found = _on_record(run_dir, number)
        if found is not None:
            return _joined(config, found)
    old = read_config(run_dir)  # of a version that recorded none, and left nothing open
    return None if leaves_open(old) else _joined(config, named(old))


def _joined(config: RunConfig, before: PassSettings) -> PassSettings:
    """What the config leaves open is as before."""
    sizes = before if config.algorithm.derives_passes else named(config)
    again = config.deepspeed.gradient_checkpointing
    return replace(
        sizes,
        gradient_checkpointing=before.gradient_checkpointing if again is None else again,
    )


def _on_record(run_dir: Path, number: int) -> PassSettings | None:
    try:
        record: Any = read_provenance(run_dir, number).get(PASSES)
        return None if record is None else PassSettings(**record)
    except (RlavrError, TypeError):
        return None


def _sizes(config: RunConfig, topology: Topology, environment: Mapping[str, str]) -> Sizes:
    return Sizes(
        config=config,
        shape=shape_of(config.model),
        machines=machines_of(config, topology, environment),
    )


def machines_of(config: RunConfig, topology: Topology, environment: Mapping[str, str]) -> Machines:
    """The machine that this rank is on, and as many like it as the run has nodes.

    Raises:
        UserError: there is a GPU of which nothing is known.
    """
    gpus = find_gpus(environment)
    if gpus is None:
        raise UserError("the driver does not tell how much memory this GPU has")
    here = topology.local_world_size
    machine = Machines(
        gpu=CPU,
        gpus=here,
        nodes=max(1, topology.world_size // here),
        host_gib=machine_gib(environment) / config.cluster.runs_per_node,
    )
    if not gpus:
        return machine
    mine = gpus[min(topology.local_rank, len(gpus) - 1)]
    # only its memory is asked for
    found = Accelerator(memory_gib=mine.memory_gib, tflops=1, memory_gb_s=1, link_gb_s=1)
    return replace(machine, gpu=mine.name, found=found)


def as_record(passes: PassSettings) -> dict[str, Any]:
    """For the provenance of an attempt."""
    return {PASSES: asdict(passes)}
