"""One process's connection to a run on Weights & Biases: the only importer of wandb."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from rlavr_hpc.telemetry.examples.table import Table
from rlavr_hpc.telemetry.outcome import Attachment
from rlavr_hpc.telemetry.wandb.environment import drop_run_variables
from rlavr_hpc.telemetry.wandb.files import read_artifacts, wandb_files

EXAMPLES = "examples"
"""Key of the tables among a row's values."""
STAGED = "staged"
"""Folder beside wandb's files with the tables and artifacts that are to be sent."""
DATA_DIR = "WANDB_DATA_DIR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """Where a run is shown."""

    run_id: str
    """The same in every attempt."""
    mode: Literal["online", "offline"]
    project: str
    entity: str | None
    group: str
    """The sweep's name."""
    config: Mapping[str, Any]
    tags: tuple[str, ...] = ()
    share_labels: bool = False
    """Whether tables show labels, and rewards that tell one."""
    checkpoints: bool = False
    """Whether a finished run's last checkpoint is stored there."""
    new: bool = False
    """Refuse a run that is there already, instead of continuing it."""


class DashboardRun(Protocol):
    """A run on the dashboard."""

    @property
    def starting_step(self) -> int:
        """The first internal step that the dashboard does not have; 0 of an offline run."""

    def log(self, data: dict[str, Any], step: int, *, examples: Table | None) -> None:
        """Send a row."""

    def attach(self, attachment: Attachment) -> None:
        """Store an artifact, unless it is there already with the same content."""

    def summarize(self, values: Mapping[str, Any]) -> None:
        """Set what the dashboard says of the whole run."""

    def mark_preempting(self) -> None:
        """Say that an end with an error is none: the run goes on later."""

    def finish(self, exit_code: int) -> None:
        """Send what is left, and how the run ended."""


def start_wandb(run_dir: Path, dashboard: Dashboard) -> DashboardRun:
    """Open or continue the run with wandb itself.

    Without machine facts, because wandb would copy all of the environment's SLURM_ variables, and
    without the console, which is in the logs.
    """
    drop_run_variables(os.environ)  # before wandb reads them
    import wandb

    _stage_beside(run_dir)
    known = {
        artifact
        for path in wandb_files(run_dir, run_id=dashboard.run_id)
        for artifact in read_artifacts(path)
    }
    run = wandb.init(
        project=dashboard.project,
        entity=dashboard.entity,
        id=dashboard.run_id,
        name=run_dir.name,
        group=dashboard.group,
        job_type="train",
        tags=list(dashboard.tags),
        resume="never" if dashboard.new else "allow",
        mode=dashboard.mode,
        dir=str(run_dir),
        config=dict(dashboard.config),
        reinit="create_new",
        settings=wandb.Settings(
            silent=True,
            disable_git=True,
            disable_code=True,
            console="off",
            x_disable_meta=True,
            x_save_requirements=False,
        ),
    )
    run.define_metric("step")
    run.define_metric("*", step_metric="step")
    return WandbRun(run, dashboard.run_id, known)


class WandbRun:
    """wandb's own run, as `DashboardRun`."""

    def __init__(self, run: Any, run_id: str, known: set[tuple[str, str]]) -> None:  # noqa: ANN401
        """`known`: (name, digest) of the artifacts that earlier attempts left in their files."""
        self._run, self._run_id, self._known = run, run_id, known

    @property
    def starting_step(self) -> int:
        """The first internal step that the dashboard does not have; 0 of an offline run."""
        return int(self._run.starting_step)

    def log(self, data: dict[str, Any], step: int, *, examples: Table | None) -> None:
        """Send a row, with its table under the key `examples`."""
        import wandb

        if examples is not None:
            rows: list[Iterable[Any]] = [list(row) for row in examples.rows]
            data = {**data, EXAMPLES: wandb.Table(columns=list(examples.columns), data=rows)}
        self._run.log(data, step=step, commit=True)

    def attach(self, attachment: Attachment) -> None:
        """Store an artifact; wandb itself makes no second version of the same content."""
        import wandb

        artifact = wandb.Artifact(f"{self._run_id}-{attachment.kind}", type=attachment.kind)
        for name, content in sorted(attachment.files.items()):
            with artifact.new_file(name, mode="wb") as file:
                file.write(content)
        if attachment.folder is not None:
            folder = str(attachment.folder.resolve())
            artifact.add_dir(folder, policy="immutable", skip_cache=True)
        mark = (str(artifact.name), str(artifact.digest))
        if mark not in self._known:
            self._run.log_artifact(artifact)
            self._known.add(mark)

    def summarize(self, values: Mapping[str, Any]) -> None:
        """Set what the dashboard says of the whole run."""
        self._run.summary.update(dict(values))

    def mark_preempting(self) -> None:
        """Say that an end with an error is none; older versions of wandb cannot."""
        if hasattr(self._run, "mark_preempting"):
            self._run.mark_preempting()

    def finish(self, exit_code: int) -> None:
        """Send what is left, and how the run ended."""
        self._run.finish(exit_code=exit_code)


def end_wandb() -> None:
    """Wait until wandb's own process has written everything, and have the next start make another.

    `finish` comes back before the file is complete, and this process ends soon after.
    """
    wandb = sys.modules.get("wandb")
    if wandb is not None:
        wandb.teardown()


def _stage_beside(run_dir: Path) -> None:
    """Have what is to be sent copied into the run folder, not below the user's home.

    A home is small on most clusters, and an offline run is sent from another machine.
    """
    own = os.environ.get(DATA_DIR)
    if own is None or Path(own).name == STAGED:
        os.environ[DATA_DIR] = str(run_dir.resolve() / "wandb" / STAGED)
