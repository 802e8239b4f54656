"""Writes checkpoints: a snapshot at once, the files during the next steps, then one rename.

Every rank writes, flushes and hashes its own files into a temporary folder; when all are done rank
0 adds the manifest and renames the folder. Until then no reader takes it for a checkpoint.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rlavr_hpc.errors import CheckpointError, FencedError, UserError
from rlavr_hpc.io import canonical_json, make_folder, sync_folder, write_atomic
from rlavr_hpc.runs.attempts import read_attempts
from rlavr_hpc.runs.checkpoint_retention import RetentionPolicy, steps_to_keep
from rlavr_hpc.runs.checkpoints import (
    FOLDER,
    LATEST,
    MANIFEST,
    VERSION,
    TrainingState,
    in_line,
    read_manifest,
    remove_leftovers,
    step_folders,
    stored_state,
)
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.reduce import Mean, Metrics
from rlavr_hpc.trainer import distributed
from rlavr_hpc.trainer.acquisition_state import AcquisitionState
from rlavr_hpc.trainer.checkpoint import random_state
from rlavr_hpc.trainer.checkpoint.shards import Written, write_file
from rlavr_hpc.trainer.policy.protocol import SavedPolicy

MIB = 1 << 20

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class PendingCheckpoint:
    """A checkpoint whose files this rank is writing from a snapshot."""

    state: TrainingState
    folder: Path
    """Temporary; renamed when complete."""
    contents: Mapping[Path, Any]
    """What this rank writes, by file."""
    files: dict[str, Written] = field(default_factory=dict)
    seconds: float = 0.0
    """Time that the writing took."""
    error: str | None = None

    def write(self) -> None:
        """Write and flush this rank's files; an error is kept, to be raised on all ranks."""
        start = time.perf_counter()
        try:
            for path, content in self.contents.items():
                self.files[str(path.relative_to(self.folder))] = write_file(path, content)
            for folder in {path.parent for path in self.contents}:
                sync_folder(folder)
        except Exception as error:  # noqa: BLE001  whatever a plug-in's state may raise
            self.error = str(error) or type(error).__name__
            for path in self.contents:  # leave the disk space to the ledger and the metrics
                path.unlink(missing_ok=True)
        self.seconds = time.perf_counter() - start


@dataclass(slots=True, kw_only=True)
class CheckpointWriter:
    """The checkpoints of one attempt, one at a time. All ranks call its methods together."""

    run_dir: Path
    policy: SavedPolicy
    acquisition_state: AcquisitionState
    fence: Callable[[], None]
    """Raises FencedError when a newer attempt owns the run folder; called on rank 0."""
    keep: RetentionPolicy
    background: bool
    """Write during the next steps, from a copy of the state in host memory."""
    seconds: float = 0.0
    """Time that the last checkpoint took, from the snapshot to the rename."""
    newest: int
    """Step of the newest one that was loaded, is being written, or is complete."""
    attempt: int
    _snapshot_seconds: float = 0.0
    _pending: PendingCheckpoint | None = None
    _thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether this rank is still writing files."""
        return self._thread is not None and self._thread.is_alive()

    def begin(self, state: TrainingState) -> Metrics:
        """Take a snapshot and start writing it; the checkpoint before it is finished first.

        Returns:
            What it cost.

        Raises:
            CheckpointError: the checkpoint before could not be written; older ones are intact.
            FencedError: a newer attempt owns the run folder.
        """
        before = self.finish()
        start = time.perf_counter()
        final = self.run_dir / FOLDER / f"step_{state.step}"
        work = final.with_name(f".{final.name}.{state.attempt}.tmp")
        distributed.on_main(lambda: self._prepare(work))
        contents = self.policy.snapshot(work, copy=self.background)
        contents |= random_state.snapshot(work)
        contents |= distributed.on_main_only(lambda: self.acquisition_state.snapshot(work)) or {}
        self._pending = PendingCheckpoint(state=state, folder=work, contents=contents)
        self.newest = state.step
        if self.background:
            self._thread = threading.Thread(target=self._pending.write, daemon=True)
            self._thread.start()
        else:
            self._pending.write()
        self._snapshot_seconds = time.perf_counter() - start
        return {**before, names.TIME_SAVE: Mean(self._snapshot_seconds)}

    def finish(self) -> Metrics:
        """Wait for the files and make the checkpoint complete; nothing when there is none.

        Returns:
            What it cost.

        Raises:
            CheckpointError: it could not be written; older ones are intact.
            FencedError: a newer attempt owns the run folder.
        """
        pending, start = self._pending, time.perf_counter()
        if pending is None:
            return {}
        if self._thread is not None:
            self._thread.join()
        self._pending = self._thread = None
        results = distributed.gather_on_main([(pending.files, pending.error)])
        size = distributed.on_main(lambda: self._publish(pending, [part[0] for part in results]))
        blocked = time.perf_counter() - start
        self.seconds = blocked + pending.seconds + self._snapshot_seconds
        return {
            names.TIME_PUBLISH: Mean(blocked),
            names.TIME_SAVE_FILES: Mean(pending.seconds),
            names.SYS_CHECKPOINT_MIB: Mean(size / MIB),
        }

    def _prepare(self, work: Path) -> None:
        self.fence()
        try:
            make_folder(work.parent)
            remove_leftovers(self.run_dir, until=self.attempt)
            self.policy.make_folders(work)
        except OSError as error:
            raise _unwritable(work.parent, error.strerror) from error

    def _publish(
        self, pending: PendingCheckpoint, results: list[tuple[Mapping[str, Written], str | None]]
    ) -> int:
        """Complete the checkpoint and remove those not to be kept; its size in bytes."""
        self.fence()
        final = self.run_dir / FOLDER / f"step_{pending.state.step}"
        errors = [error for _, error in results if error is not None]
        if errors:
            raise _unwritable(final, errors[0])
        files = {name: asdict(w) for written, _ in results for name, w in written.items()}
        manifest = {"version": VERSION, "state": stored_state(pending.state), "files": files}
        try:
            write_atomic(pending.folder / MANIFEST, canonical_json(manifest) + "\n")
            sync_folder(pending.folder)
            self._replace(final, pending)
            write_atomic(final.with_name(LATEST), f"{final.name}\n")
            self._prune()
        except (OSError, ValueError) as error:
            raise _unwritable(final, str(error)) from error
        return sum(w.size for written, _ in results for w in written.values())

    def _replace(self, final: Path, pending: PendingCheckpoint) -> None:
        """Rename the finished folder, unless a newer attempt's checkpoint is there already."""
        self.fence()
        if final.exists():  # of an attempt after which the run resumed from an earlier step
            try:
                before = read_manifest(final).state.attempt
            except (CheckpointError, UserError):
                before = 0
            if before > pending.state.attempt:
                raise FencedError(
                    f"{final} was written by the newer attempt {before}; this attempt ends here"
                )
            final.rename(final.with_name(f".{final.name}.{pending.state.attempt}.old"))
        pending.folder.rename(final)
        sync_folder(final.parent)

    def _prune(self) -> None:
        """Remove older checkpoints; each is renamed first, so that none is seen incomplete."""
        self.fence()
        attempts, line, dropped = read_attempts(self.run_dir), {}, []
        for folder in step_folders(self.run_dir):
            try:
                found = read_manifest(folder)
            except CheckpointError as error:
                log.warning("%s is damaged and is removed: %s", folder, error)
                dropped.append(folder)
                continue
            if in_line(found.state, attempts):
                line[folder] = found.state
            else:
                dropped.append(folder)
        kept = steps_to_keep(line.values(), self.keep)
        for folder in [*dropped, *(f for f, state in line.items() if state.step not in kept)]:
            folder.rename(folder.with_name(f".{folder.name}.del"))
        remove_leftovers(self.run_dir, until=self.attempt)


def _unwritable(path: Path, reason: str | None) -> CheckpointError:
    return CheckpointError(
        f"{path}: cannot be written ({reason}); older checkpoints are intact. Free disk space and "
        "start the same command again"
    )
