"""What an error or a log looks like: patterns of known problems, each with what to do."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorSignature:
    """A known problem."""

    name: str
    words: str
    """What it is, and what to do."""


_NCCL = (
    "the ranks could not talk to each other, or one of them stopped answering. If another rank "
    "failed first, that is the reason; else the network interface may be the wrong one: set "
    "NCCL_SOCKET_IFNAME and GLOO_SOCKET_IFNAME (NCCL_DEBUG=INFO tells more)"
)
MARKS = (
    (
        "gpu_memory",
        r"CUDA out of memory|torch\.OutOfMemoryError|CUBLAS_STATUS_ALLOC_FAILED|"
        r"No available memory for the cache blocks|HIP out of memory",
        "a GPU's memory was full: lower algorithm.micro_tokens or algorithm.logit_chunk, say "
        "deepspeed=zero3_offload, or take more ranks or larger GPUs",
    ),
    (
        "memory",
        r"oom[-_ ]kill|Out Of Memory|OUT_OF_MEMORY|[Ee]xceeded (job |step )?memory limit|"
        r"OOM Killed|\bMemoryError|DefaultCPUAllocator: can't allocate memory|"
        r"Cannot allocate memory",
        "the memory that the job requested was used up: ask the launcher for more memory or fewer "
        "runs per node, or lower algorithm.micro_tokens",
    ),
    (
        "port",
        r"EADDRINUSE|[Aa]ddress already in use",
        "another process has the port at which the ranks were to meet: start again",
    ),
    (
        "rendezvous",
        r"nccl\w*Error|NCCL (error|WARN)|Watchdog caught collective|DistNetworkError|"
        r"DistStoreError|RendezvousTimeout|connectFullMesh|[Gg]loo.{0,80}(failed|timeout|closed)|"
        r"Connection (refused|closed by peer)|[Tt]imed out.{0,60}(connect|barrier|clients)",
        _NCCL,
    ),
    (
        "disk",
        r"No space left on device|[Dd]isk quota exceeded|ENOSPC|EDQUOT",
        "the disk or your quota is full: make room (old checkpoints: checkpoint.keep_last), then "
        "go on; everything up to the last checkpoint is safe",
    ),
    (
        "shared_memory",
        r"Bus error|unable to (mmap|open shared memory)",
        "the node's shared memory (/dev/shm) is full or too small: make sure that nothing else "
        "fills it, or ask for a whole node",
    ),
    (
        "gpu",
        r"no CUDA-capable device|CUDA driver version is insufficient|invalid device ordinal|"
        r"No CUDA GPUs are available|uncorrectable ECC|CUDA error: unspecified launch failure|"
        r"\bXid\b",
        "the node's GPU was not there or is broken: ask the launcher for GPUs; if it did, leave "
        "the node out and tell the administrators",
    ),
    (
        "module",
        r"ModuleNotFoundError|cannot open shared object file|GLIBC\w*_[\d.]+' not found",
        "what runs on the login node is missing on the compute node: the same modules and Python "
        "must be there; `doctor` says what is",
    ),
    (
        "node",
        r"DUE TO NODE FAILURE|NODE_FAIL|Node failure",
        "the node failed; nothing is wrong with the run",
    ),
    (
        "time",
        r"DUE TO TIME LIMIT",
        "its time was over; it goes on from its last checkpoint when it starts again",
    ),
    (
        "ended",
        r"JOB \d+ ON \S+ CANCELLED AT \S+( DUE TO (PREEMPTION|JOB REQUEUE))? \*",
        "Slurm ended the job: preempted, requeued or cancelled; nothing is wrong with the run",
    ),
    (
        "stale",
        r"Stale file handle|Transport endpoint is not connected",
        "the shared file system went away for a while: start again",
    ),
)
KILLED = ErrorSignature(
    name="killed",
    words="killed from outside by signal 9. By Slurm after its time to end was over, or, more "
    "often, by the kernel because memory ran out: ask the launcher for more memory",
)
SRUN = re.compile(r"srun: error: (?P<node>\S+): tasks? (?P<tasks>[\d,-]+): (?P<how>.+)")


def match_signatures(texts: Iterable[str], *, exit_code: int = 0) -> list[ErrorSignature]:
    """What these texts (errors, ends of logs) and this exit code look like, likeliest first."""
    text = "\n".join(texts)
    found = [
        ErrorSignature(name=name, words=words)
        for name, mark, words in MARKS
        if re.search(mark, text)
    ]
    memory = any(signature.name == "memory" for signature in found)
    if signal_of(exit_code) == signal.SIGKILL and not memory:
        found.append(KILLED)
    return found


def signal_of(exit_code: int) -> int | None:
    """The signal that an exit code tells of: 128 + n by shells and srun, -n by Python."""
    if exit_code < 0:
        return -exit_code
    return exit_code - 128 if 128 < exit_code <= 128 + signal.NSIG else None


def signal_in_words(exit_code: int) -> str:
    """The signal's name, "" where the exit code tells of none."""
    number = signal_of(exit_code)
    if number is None:
        return ""
    try:
        return f"signal {number}, {signal.Signals(number).name}"
    except ValueError:
        return f"signal {number}"


def first_rank(batch_log: Iterable[str]) -> tuple[int, str] | None:
    """Which rank srun saw end first, and how; those that were ended because of it do not count."""
    seen = [match for line in batch_log if (match := SRUN.search(line))]
    own = [match for match in seen if not match["how"].startswith("Terminated")]
    if not seen:
        return None
    match = (own or seen)[0]
    return int(re.split("[,-]", match["tasks"])[0]), f"{match['how'].strip()} on {match['node']}"
