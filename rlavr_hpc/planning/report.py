"""A plan as plain values for programs, and as a table for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rlavr_hpc.planning import duration
from rlavr_hpc.planning.derive import leaves_open, named
from rlavr_hpc.planning.fit import MARGIN, shortages, suggest
from rlavr_hpc.planning.hardware import NETWORK_GB_S
from rlavr_hpc.planning.memory import GIB, phases
from rlavr_hpc.planning.sizes import Sizes

HOUR = 3600.0


def as_values(sizes: Sizes) -> dict[str, Any]:
    """Everything that the plan says, sizes in GiB of a rank."""
    missing = shortages(sizes)
    rows: list[dict[str, Any]] = [
        {"phase": phase.name, "gpu_gib": _gib(phase.device), "host_gib": _gib(phase.host)}
        for phase in phases(sizes)
    ]
    peak = {key: max(sum(phase[key].values()) for phase in rows) for key in ("gpu_gib", "host_gib")}
    return {
        "parameters": sizes.shape.parameters,
        "trained": sizes.trained,
        "nodes": sizes.machines.nodes,
        "ranks": sizes.machines.ranks,
        "gpu": sizes.machines.gpu,
        "phases": rows,
        "peak": peak,
        "time": _time(sizes),
        "checked": sizes.on_gpu or sizes.machines.host_gib is not None,
        "fits": not missing,
        "shortages": [
            {"what": shortage.what, "missing_gib": shortage.missing / GIB} for shortage in missing
        ],
        "passes": _passes(sizes),
        "suggestion": suggest(sizes) if missing else [],
        "assumptions": _assumptions(sizes),
    }


def _passes(sizes: Sizes) -> list[str]:
    """How much a forward pass holds, as overrides."""
    return [] if leaves_open(sizes.config) else named(sizes.config).overrides


def _gib(held: Mapping[str, float]) -> dict[str, float]:
    return {name: size / GIB for name, size in held.items()}


def _time(sizes: Sizes) -> dict[str, float] | None:
    parts = duration.seconds(sizes)
    if parts is None:
        return None
    hours = parts.step * sizes.config.steps * sizes.machines.ranks / HOUR
    values = {**asdict(parts), "step": parts.step, "gpu_hours": hours}
    return (
        values if sizes.machines.price is None else values | {"cost": hours * sizes.machines.price}
    )


def _assumptions(sizes: Sizes) -> list[str]:
    machines, rollout = sizes.machines, sizes.config.rollout
    lines = [
        f"micro-batches of {sizes.micro_tokens} tokens: every sequence as long as it may be",
        "fused attention, which stores no scores",
    ]
    if machines.accelerator is None:
        return [
            *lines,
            "the size of a process without a model, as measured with the pinned libraries",
            "no estimate of time on CPU",
            "labels, graders' processes and probes left out",
        ]
    return [
        *lines,
        "not measured on a GPU: formulas only",
        f"{MARGIN:.0%} of a memory may be filled; context, NCCL and fragments take a few GiB",
        f"responses of {duration.mean_response(sizes):.0f} tokens in the mean (mean_response=), "
        f"the longest {rollout.max_response_tokens}; all are scored and trained on",
        f"{machines.mfu:.0%} of the peak in training and prefill (mfu=), "
        f"{machines.bandwidth_share:.0%} of the memory's bandwidth in decoding (bandwidth_share=)",
        f"{NETWORK_GB_S:g} GB/s per GPU between nodes; gathers overlap with arithmetic",
        f"{duration.OTHER_SHARE:.0%} of a step for all else; start, evaluations and "
        "what offloading costs in time left out",
    ]


def as_table(values: Mapping[str, Any]) -> str:
    """The same for people."""
    ranks = values["ranks"]
    lines = [
        f"{values['parameters'] / 1e9:.3f} billion parameters, {values['trained'] / 1e9:.3f} "
        f"trained; nodes={values['nodes']}, "
        f"{ranks} ranks, gpu={values['gpu']}",
        "",
        f"{'GiB of a rank':14s} {'GPU':>7s} {'host':>7s}  of it",
        *(_row(phase) for phase in values["phases"]),
        f"{'peak':14s} {values['peak']['gpu_gib']:7.2f} {values['peak']['host_gib']:7.2f}",
        "",
        *_time_lines(values["time"]),
        f"a forward pass: {' '.join(values['passes'])}",
        *(f"- {line}" for line in values["assumptions"]),
        "",
        *_verdict(values),
    ]
    return "\n".join(lines)


def _row(phase: Mapping[str, Any]) -> str:
    gpu, host = phase["gpu_gib"], phase["host_gib"]
    largest = sorted((gpu or host).items(), key=lambda part: -part[1])[:4]
    parts = ", ".join(f"{name} {size:.2f}" for name, size in largest)
    return f"{phase['phase']:14s} {sum(gpu.values()):7.2f} {sum(host.values()):7.2f}  {parts}"


def _time_lines(time: Mapping[str, float] | None) -> list[str]:
    if time is None:
        return []
    parts = ", ".join(f"{name} {time[name]:.1f}" for name in ("generate", "sync", "score", "train"))
    cost = f", cost {time['cost']:.0f}" if "cost" in time else ""
    return [
        f"step {time['step']:.1f} s ({parts}); {time['gpu_hours']:.1f} GPU-hours{cost}",
        "",
    ]


def _verdict(values: Mapping[str, Any]) -> list[str]:
    if values["fits"]:
        return ["fits" if values["checked"] else "not checked: give a node's memory with host_gib="]
    lines = ["DOES NOT FIT"]
    lines += [
        f"  {shortage['what']}: {shortage['missing_gib']:.2f} GiB short"
        for shortage in values["shortages"]
    ]
    if values["suggestion"]:
        return [*lines, f"with this it fits: {' '.join(values['suggestion'])}"]
    return [*lines, "no setting tried makes it fit: take a smaller model or another gpu="]
