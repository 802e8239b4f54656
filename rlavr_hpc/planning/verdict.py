"""The plan's verdict on a run that is about to start, in a few lines."""

from __future__ import annotations

from dataclasses import dataclass

from rlavr_hpc.planning.derive import PassSettings
from rlavr_hpc.planning.fit import Shortage, shortages, suggest, suggest_other_results
from rlavr_hpc.planning.memory import GIB, Phase, phases
from rlavr_hpc.planning.sizes import Sizes

GO_ON = "cluster.check_memory=false"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the plan says of a start."""

    lines: tuple[str, ...]
    refusal: str
    """Why it cannot fit and which keys mend it; "" = it fits."""


def verdict(sizes: Sizes, passes: PassSettings) -> Verdict:
    """Whether the run fits the machine it is on.

    A GPU's memory decides, on CPU that of the machine. Beside a GPU the host's memory is told and
    not judged: what a process needs there is assumed.

    Args:
        sizes: with the settings of the passes.
        passes: these settings.
    """
    missing = shortages(sizes)
    judged = [one for one in missing if one.place == _place(sizes)]
    fits = "does not fit" if judged else "fits"
    lines = [
        f"plan: {sizes.shape.parameters / 1e6:,.1f} million parameters on {_machines(sizes)}: "
        f"{_peak(sizes)}; {fits}",
        f"plan: a forward pass: {' '.join(passes.overrides)}",
    ]
    lines += [f"plan: {_short(one)}; not judged" for one in missing if one not in judged]
    return Verdict(lines=tuple(lines), refusal=_refusal(sizes, judged) if judged else "")


def _place(sizes: Sizes) -> str:
    return "GPU" if sizes.on_gpu else "host"


def _machines(sizes: Sizes) -> str:
    machines, accelerator = sizes.machines, sizes.machines.accelerator
    ranks = f"{machines.ranks} rank{'s' if machines.ranks > 1 else ''}"
    if accelerator is not None:
        return f"{ranks}, each on {machines.gpu} with {accelerator.memory_gib:.1f} GiB"
    gib = "" if machines.host_gib is None else f" with {machines.host_gib:.1f} GiB a node"
    return f"{ranks} on CPU{gib}"


def _peak(sizes: Sizes) -> str:
    def held(phase: Phase) -> float:
        return sum((phase.device if sizes.on_gpu else phase.host).values())

    most = max(phases(sizes), key=held)
    return f"a rank holds at most {held(most) / GIB:.1f} GiB, in {most.name}"


def _short(one: Shortage) -> str:
    return f"{one.what}: {one.missing / GIB:.2f} GiB short"


def _refusal(sizes: Sizes, judged: list[Shortage]) -> str:
    worst = max(judged, key=lambda one: one.missing)
    lines = [f"the run does not fit the memory here: {_short(worst)}", *_way_out(sizes)]
    lines.append(f"the plan is an estimate: {GO_ON} starts the run all the same")
    return "\n  ".join(lines)


def _way_out(sizes: Sizes) -> list[str]:
    advice = suggest(sizes)
    nodes = [one.removeprefix("nodes=") for one in advice if one.startswith("nodes=")]
    if advice and not nodes:
        return [f"with this it fits: {' '.join(advice)}"]
    found = []
    if other := suggest_other_results(sizes):
        found.append(f"with this it fits, and learns otherwise: {' '.join(other)}")
    if nodes:
        rest = " ".join(advice[1:])
        found.append(f"or on {nodes[0]} such nodes{f', with {rest}' if rest else ''}")
    return found or ["no setting tried makes it fit: take a smaller model"]
