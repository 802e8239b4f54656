"""The Slurm launcher's settings: `hydra.launcher.*`, checked before anything is composed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rlavr_hpc.errors import UserError

SECRET = ("KEY", "TOKEN", "SECRET", "PASSWORD")
SECRET_ASSIGNED = re.compile(rf"\b(\w*(?:{'|'.join(SECRET)})\w*)=(?![\"']?\$)")
NOT_IN_SCRIPTS = (
    "what is secret must not be written into a script; export it where you submit, jobs inherit "
    "that environment"
)
LONG_MINUTES = 60 * 24 * 7
TIME = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")


@dataclass(slots=True, kw_only=True)
class SlurmSettings:
    """How a run's jobs are asked for; null leaves a choice to the site."""

    partition: str | None = None
    """Partition of the jobs."""
    account: str | None = None
    """Account that is charged."""
    qos: str | None = None
    """Quality of service."""
    constraint: str | None = None
    """Features that nodes must have, as sbatch takes them."""
    gres: str | None = None
    """Generic resources per node, as sbatch takes them."""
    exclude: str | None = None
    """Nodes not to use."""
    nodelist: str | None = None
    """Nodes to use."""
    nodes: int = 1
    """Nodes per run."""
    tasks_per_node: int = 1
    """Ranks per node: one per GPU."""
    gpus_per_node: int | None = None
    """GPUs per node; null = `tasks_per_node` if the partition has GPUs."""
    cpus_per_task: int | None = None
    """Cores per rank."""
    mem_gb: float | None = None
    """Memory per node, in GB."""
    time: str = "1:00:00"
    """Time limit of one job, as sbatch takes it: minutes, H:MM:SS or D-HH:MM:SS. A run that needs
    longer is continued by the next job."""
    signal_seconds: int = 120
    """Seconds before the time limit at which a run is told to write its checkpoint."""
    throttle: int | None = None
    """Most runs of a sweep at the same time; null = no limit."""
    max_failures: int = 3
    """Crashes, or time limits, in a row without a newer checkpoint after which a run has failed."""
    setup: list[str] = field(default_factory=list)
    """Shell lines before the run: modules, environments."""
    teardown: list[str] = field(default_factory=list)
    """Shell lines after the run."""
    env: dict[str, str] = field(default_factory=dict)
    """Environment variables of the job; secrets belong in the environment of the submission."""
    srun_args: list[str] = field(default_factory=list)
    """More arguments of srun."""
    sbatch: dict[str, Any] = field(default_factory=dict)
    """Any other option of sbatch, e.g. {reservation: tuesday}."""
    container: str | None = None
    """Command before Python on the node, e.g. `apptainer exec --nv image.sif`."""
    python: str | None = None
    """Python on the node; null = the one that submits."""
    snapshot: bool = True
    """Whether jobs run a copy of the code as it is now."""
    offline: bool = True
    """Whether compute nodes have no network: then models and data must be there at submission."""
    evaluate: str | None = None
    """Arguments of `rlavr evaluate` for a job after each run, e.g. `--on held_out`."""
    wait: bool = False
    """Whether the command shows the runs until the last one has ended."""
    dry_run: bool = False
    """Whether to print the plan and the batch script, and submit nothing."""

    def __post_init__(self) -> None:
        """Check ranges."""
        for key in ("nodes", "tasks_per_node", "max_failures", "throttle", "cpus_per_task"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise UserError(f"hydra.launcher.{key}={value} must be at least 1")
        _check_env(self.env)
        self._check_lines()
        if self.signal_seconds < 1:
            raise UserError(f"hydra.launcher.signal_seconds={self.signal_seconds} is too short")
        if self.signal_seconds >= self.time_seconds:
            raise UserError(
                f"hydra.launcher.time={self.time} is no longer than signal_seconds="
                f"{self.signal_seconds}: a run would have to stop as it starts; give it more "
                "time or a shorter lead"
            )

    def _check_lines(self) -> None:
        """Assignments in what goes into the script; `NAME=$VALUE` names a value and tells none."""
        values = [*self.setup, *self.teardown, *self.srun_args, *map(str, self.sbatch.values())]
        for line in (*values, self.container or "", self.evaluate or ""):
            if found := SECRET_ASSIGNED.search(line):
                raise UserError(f"hydra.launcher: {found[1]}=...: {NOT_IN_SCRIPTS}")

    @property
    def time_seconds(self) -> int:
        """The time limit in seconds."""
        return seconds_of(self.time)

    @property
    def ranks(self) -> int:
        """Of one run."""
        return self.nodes * self.tasks_per_node

    def as_dict(self) -> dict[str, Any]:
        """To submit the same again."""
        return asdict(self)


def _check_env(env: Mapping[str, str]) -> None:
    """Scripts are files that others may read."""
    for key in env:
        if not key.isidentifier():
            raise UserError(f"hydra.launcher.env: {key!r} is not a variable's name")
        if any(word in key.upper() for word in SECRET):
            raise UserError(f"hydra.launcher.env.{key}: {NOT_IN_SCRIPTS}")


def seconds_of(time: str) -> int:
    """Seconds of a time as Slurm writes it: M, M:S, H:M:S, D-H, D-H:M or D-H:M:S.

    Raises:
        UserError: it is none.
    """
    found = TIME.fullmatch(time)
    if found is None:
        raise UserError(f"{time!r} is not a time: use minutes, H:MM:SS or D-HH:MM:SS")
    days, first, second, third = (int(part or 0) for part in found.groups())
    if found[1]:
        return ((days * 24 + first) * 60 + second) * 60 + third
    if found[4]:
        return (first * 60 + second) * 60 + third
    return first * 60 + second


def read_settings(values: Mapping[str, Any]) -> SlurmSettings:
    """Checked settings.

    Raises:
        UserError: an unknown key, or a value of the wrong type or out of range.
    """
    known = set(SlurmSettings.__slots__)
    if unknown := sorted(set(values) - known):
        raise UserError(f"hydra.launcher.{unknown[0]}: no such key; known: {', '.join(known)}")
    if isinstance(time := values.get("time"), int) and time > LONG_MINUTES:
        raise UserError(
            f"hydra.launcher.time={time} is {time} minutes; YAML reads 4:00:00 without quotes as "
            '14400, so write "4:00:00"'
        )
    given = {**values, "time": str(values.get("time", "1:00:00"))}
    try:
        merged = OmegaConf.merge(OmegaConf.structured(SlurmSettings), OmegaConf.create(given))
        settings = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", "")
        raise UserError(f"hydra.launcher.{key}: {str(error).splitlines()[0]}") from error
    assert isinstance(settings, SlurmSettings)
    return settings
