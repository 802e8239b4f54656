"""What the launcher must know of the cluster it submits to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rlavr_hpc.cluster.slurm import commands
from rlavr_hpc.cluster.slurm.settings import SlurmSettings, seconds_of
from rlavr_hpc.errors import UserError

UNLIMITED = ("UNLIMITED", "NONE", "INFINITE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A cluster, as far as the launcher's choices depend on it."""

    grace_seconds: float
    """Between TERM and the kill when a job is preempted: the shortest of the partitions'."""
    warning_seconds: float
    """Between USR2 and the kill."""
    max_array: int
    """Most tasks of one array."""
    gpus: bool
    """Whether the partition's nodes have any."""


def read_site(settings: SlurmSettings) -> Site:
    """Ask Slurm.

    Raises:
        SlurmError: it does not answer.
        UserError: no such partition, or its longest time limit is shorter.
    """
    return judge_site(
        settings, commands.settings(), commands.partitions(), commands.gres(settings.partition)
    )


def judge_site(
    settings: SlurmSettings,
    cluster: Mapping[str, str],
    known: Mapping[str, Mapping[str, str]],
    gres: str,
) -> Site:
    """The site, from what Slurm's commands printed.

    Args:
        settings: the launcher's.
        cluster: `scontrol show config`.
        known: the partitions by name.
        gres: generic resources of the partition's nodes.

    Raises:
        UserError: no such partition, or its longest time limit is shorter.
    """
    chosen = _chosen_partitions(settings, known)
    for name in chosen:
        _check_time(settings, name, known[name])
    grace = min(_grace(known[name], cluster) for name in chosen) if chosen else _kill_wait(cluster)
    sends_signal = "send_user_signal" in cluster.get("SlurmctldParameters", "") + cluster.get(
        "PreemptParameters", ""
    )
    lead = float(settings.signal_seconds)
    return Site(
        grace_seconds=grace,
        warning_seconds=min(lead, grace) if sends_signal else lead,
        max_array=int(cluster.get("MaxArraySize", "1001")),
        gpus="gpu" in gres,
    )


def _chosen_partitions(
    settings: SlurmSettings, known: Mapping[str, Mapping[str, str]]
) -> Sequence[str]:
    if settings.partition is None:
        return [name for name, values in known.items() if values.get("Default") == "YES"]
    chosen = settings.partition.split(",")
    for name in chosen:
        if name not in known:
            raise UserError(
                f"hydra.launcher.partition={name}: this cluster has no such partition; it has "
                f"{', '.join(sorted(known))}"
            )
    return chosen


def _check_time(settings: SlurmSettings, name: str, partition: Mapping[str, str]) -> None:
    most = partition.get("MaxTime", "UNLIMITED")
    if most in UNLIMITED or settings.time_seconds <= seconds_of(most):
        return
    raise UserError(
        f"hydra.launcher.time={settings.time} is more than partition {name} allows ({most}); ask "
        "for less: a run that needs longer is continued"
    )


def _grace(partition: Mapping[str, str], cluster: Mapping[str, str]) -> float:
    """GraceTime, which `scontrol show partition` gives in seconds; without one, KillWait."""
    text = partition.get("GraceTime", "0")
    seconds = float(text) if text.isdigit() else float(seconds_of(text))
    return seconds or _kill_wait(cluster)


def _kill_wait(cluster: Mapping[str, str]) -> float:
    found = re.match(r"\d+", cluster.get("KillWait", ""))
    return float(found[0]) if found else 30.0
