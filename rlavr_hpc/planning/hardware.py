"""What a run gets: ranks, and what an accelerator of a kind has and can do.

Peak bf16 without sparsity, and the bandwidth of its memory and of its links in one direction, are
from the vendor's data sheets (NVIDIA H100 SXM, H200 SXM, A100 SXM, L40S); memory as the driver
reports it.
"""

from __future__ import annotations

from dataclasses import dataclass

from rlavr_hpc.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """One kind."""

    memory_gib: float
    tflops: float
    """Peak of dense bf16."""
    memory_gb_s: float
    link_gb_s: float
    """To the others of its node, one direction."""


ACCELERATORS = {
    "h100-80": Accelerator(memory_gib=79.6, tflops=989, memory_gb_s=3350, link_gb_s=450),
    "h200": Accelerator(memory_gib=140.4, tflops=989, memory_gb_s=4800, link_gb_s=450),
    "a100-80": Accelerator(memory_gib=80.0, tflops=312, memory_gb_s=2039, link_gb_s=300),
    "a100-40": Accelerator(memory_gib=40.0, tflops=312, memory_gb_s=1555, link_gb_s=300),
    "l40s": Accelerator(memory_gib=45.0, tflops=362, memory_gb_s=864, link_gb_s=32),
}
CPU = "cpu"
NETWORK_GB_S = 25.0
"""Assumed between nodes, per GPU and direction (200 Gbit/s)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """The nodes of a run, one rank per GPU (on CPU: per process)."""

    gpu: str = "h100-80"
    nodes: int = 1
    gpus: int = 1
    """Ranks per node."""
    mfu: float = 0.35
    """Share of the peak that training and prefill reach."""
    bandwidth_share: float = 0.6
    """Share of the memory's bandwidth that decoding reaches."""
    host_gib: float | None = None
    """Memory of a node; None = not checked."""
    price: float | None = None
    """Of a GPU-hour."""
    mean_response: float | None = None
    """Tokens; None = half of rollout.max_response_tokens."""
    found: Accelerator | None = None
    """The GPU of this machine, where it is none of the table's."""

    def __post_init__(self) -> None:
        """Check ranges."""
        if self.gpu != CPU and self.gpu not in ACCELERATORS and self.found is None:
            raise UserError(
                f"gpu={self.gpu} is unknown; known are {', '.join((*ACCELERATORS, CPU))}"
            )
        for key in ("nodes", "gpus"):
            if getattr(self, key) < 1:
                raise UserError(f"{key}={getattr(self, key)} must be at least 1")
        for key in ("mfu", "bandwidth_share"):
            if not 0 < getattr(self, key) <= 1:
                raise UserError(f"{key}={getattr(self, key)} is outside (0, 1]")
        for key in ("host_gib", "price", "mean_response"):
            value = getattr(self, key)
            if value is not None and not 0 < value < float("inf"):
                raise UserError(f"{key}={value} must be above 0")

    @property
    def ranks(self) -> int:
        """All."""
        return self.nodes * self.gpus

    @property
    def accelerator(self) -> Accelerator | None:
        """None on CPU."""
        return self.found or ACCELERATORS.get(self.gpu)

    @property
    def exchange_gb_s(self) -> float:
        """Slowest link between ranks, per rank."""
        assert self.accelerator is not None
        return self.accelerator.link_gb_s if self.nodes == 1 else NETWORK_GB_S
