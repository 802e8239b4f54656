"""The only reader of RANK, WORLD_SIZE and SLURM_* variables, and the only setter of threads.

Thread counts must be set before torch is imported: two runs of two threads each on two cores took
170 s instead of 35. So this module imports nothing heavy and the entry points call it first.
"""

from __future__ import annotations

import os
import re
import socket
import zlib
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass

from rlavr_hpc.errors import UserError

TORCHRUN = {
    "rank": "RANK",
    "world_size": "WORLD_SIZE",
    "local_rank": "LOCAL_RANK",
    "local_world_size": "LOCAL_WORLD_SIZE",
}
SLURM = {
    "rank": "SLURM_PROCID",
    "world_size": "SLURM_NTASKS",
    "local_rank": "SLURM_LOCALID",
}
PORTS = range(20000, 32000)
"""For rendezvous: above registered services, below the range that kernels give out."""
FIRST_HOST = re.compile(r"([^\[,]+)(?:\[(\d+))?")
"""Of a list of nodes: gpu[003-005,9] begins with gpu003."""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """This process's place among the ranks of its run."""

    rank: int
    world_size: int
    local_rank: int
    local_world_size: int
    threads: int
    """For every library of this process."""

    @property
    def is_main(self) -> bool:
        """Rank 0: the only writer of the run folder."""
        return self.rank == 0


def read_topology(environment: Mapping[str, str], *, threads: int, runs_per_node: int) -> Topology:
    """The topology that torchrun or srun announced in `environment`; one lone rank otherwise.

    Args:
        environment: usually `os.environ`.
        threads: how many this process shall use; 0 = cores / (ranks x runs on the node).
        runs_per_node: how many runs share the node.

    Raises:
        UserError: a variable is not a number.
    """
    rank, world, local, local_world = _ranks(environment)
    on_node = 1 if is_bound(environment) else local_world
    share = max(1, available_cores(environment) // (on_node * runs_per_node))
    return Topology(
        rank=rank,
        world_size=world,
        local_rank=local,
        local_world_size=local_world,
        threads=threads or share,
    )


def _ranks(environment: Mapping[str, str]) -> tuple[int, int, int, int]:
    if TORCHRUN["rank"] in environment:
        values = {key: _number(environment, name) for key, name in TORCHRUN.items()}
    elif "SLURM_STEP_ID" in environment and _number(environment, SLURM["world_size"]) > 1:
        values = {key: _number(environment, name) for key, name in SLURM.items()}
        nodes = int(environment.get("SLURM_NNODES", "1"))
        values["local_world_size"] = -(-values["world_size"] // nodes)
    else:
        return 0, 1, 0, 1
    return values["rank"], values["world_size"], values["local_rank"], values["local_world_size"]


def _number(environment: Mapping[str, str], name: str) -> int:
    value = environment.get(name, "1" if name.endswith(("SIZE", "NTASKS")) else "0")
    try:
        return int(value)
    except ValueError:
        raise UserError(f"{name}={value!r} in the environment is not a number") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmStart:
    """One start of a Slurm job: what Slurm restarts keeps its job and raises `restart`."""

    job: str
    """A_T for a task of an array, as scontrol wants it: the plain id of the task that happens to
    own the array's id would mean the whole array."""
    restart: int
    node: str
    """Where the batch script runs, or this rank."""

    @property
    def name(self) -> str:
        """A_T.R."""
        return f"{self.job}.{self.restart}"


def slurm_start(environment: Mapping[str, str]) -> SlurmStart | None:
    """The start of the job that this process belongs to; None outside of Slurm."""
    array, task = (environment.get(f"SLURM_ARRAY_{part}_ID") for part in ("JOB", "TASK"))
    job = f"{array}_{task}" if array and task else environment.get("SLURM_JOB_ID")
    if not job:
        return None
    return SlurmStart(
        job=job,
        restart=_number(environment, "SLURM_RESTART_COUNT"),
        node=environment.get("SLURMD_NODENAME", socket.gethostname()),
    )


def start_name(environment: Mapping[str, str]) -> str:
    """Names this start among all starts of a run; the same for all its ranks on a node."""
    start = slurm_start(environment)
    return start.name if start else f"{socket.gethostname()}-{os.getppid()}"


def rendezvous(environment: Mapping[str, str]) -> tuple[str, int] | None:
    """Where the ranks of a Slurm step meet; None outside of one.

    The host is the address at which Slurm itself reached the step's first node, else that node's
    name. The port is drawn from the job and its restart count, so that two jobs on a node rarely
    want the same one, and a start that found it taken gets another.
    """
    start = slurm_start(environment)
    if start is None or "SLURM_STEP_ID" not in environment:
        return None
    nodes = FIRST_HOST.match(environment.get("SLURM_STEP_NODELIST", ""))
    first = f"{nodes[1]}{nodes[2] or ''}" if nodes else start.node
    host = environment.get("SLURM_LAUNCH_NODE_IPADDR") or first
    return host, PORTS[zlib.crc32(start.name.encode()) % len(PORTS)]


def below_torchrun(environment: Mapping[str, str]) -> bool:
    """Whether torchrun started this process; it passes signals on."""
    return "TORCHELASTIC_RUN_ID" in environment


def available_cores(environment: Mapping[str, str]) -> int:
    """Cores this node gives to the job: Slurm's share where it says one, else the affinity mask."""
    cores = environment.get("SLURM_CPUS_ON_NODE", "")
    mine = len(os.sched_getaffinity(0))
    return min(int(cores), mine) if cores.isdigit() and int(cores) > 0 else mine


def is_bound(environment: Mapping[str, str]) -> bool:
    """Whether Slurm has bound this rank to cores of its own: fewer than the job has on the node."""
    cores = environment.get("SLURM_CPUS_ON_NODE", "")
    step = "SLURM_STEP_ID" in environment
    return step and cores.isdigit() and len(os.sched_getaffinity(0)) < int(cores)


def apply_threads(topology: Topology, environment: MutableMapping[str, str]) -> None:
    """Tell every numeric library how many threads to use; call before torch is imported."""
    for name in THREAD_VARIABLES:
        environment[name] = str(topology.threads)
    environment["TOKENIZERS_PARALLELISM"] = "false"


def announce_ranks(topology: Topology, environment: MutableMapping[str, str]) -> None:
    """Give torch.distributed and vLLM the variables they read, also for a lone rank."""
    environment["RANK"] = str(topology.rank)
    environment["WORLD_SIZE"] = str(topology.world_size)
    environment["LOCAL_RANK"] = str(topology.local_rank)
    environment["LOCAL_WORLD_SIZE"] = str(topology.local_world_size)
    met = rendezvous(environment) if topology.world_size > 1 else None
    if met is not None and "MASTER_PORT" not in environment:
        environment["MASTER_ADDR"], environment["MASTER_PORT"] = met[0], str(met[1])
    environment.setdefault("MASTER_ADDR", "127.0.0.1")
