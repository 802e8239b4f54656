"""Writing checkpoints: whole or not at all, and never over a successor's."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
import torch.distributed as dist

from rlavr_hpc.acquisition.policies.none import NonePolicy
from rlavr_hpc.errors import CheckpointError, FencedError
from rlavr_hpc.runs.checkpoint_retention import RetentionPolicy
from rlavr_hpc.runs.checkpoints import TrainingState, newest_valid
from rlavr_hpc.trainer.acquisition_state import AcquisitionState
from rlavr_hpc.trainer.checkpoint import random_state
from rlavr_hpc.trainer.checkpoint.write import CheckpointWriter
from rlavr_hpc.trainer.policy.protocol import SavedPolicy
from tests.support.attempts import begin_attempt
from tests.unit.test_checkpoints import STATE, checkpoint


@pytest.fixture(scope="module", autouse=True)
def one_rank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    store = tmp_path_factory.mktemp("ranks") / "store"
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@dataclass
class Policy:
    """Weights of one number; the gate holds the writing of files back."""

    gate: threading.Event | None = None
    weights: torch.Tensor = field(default_factory=lambda: torch.zeros(1))

    def make_folders(self, folder: Path) -> None:
        (folder / "shards").mkdir(parents=True)

    def snapshot(self, folder: Path, *, copy: bool) -> dict[Path, Any]:
        weights = self.weights.clone() if copy else self.weights
        held = Held(gate=self.gate, weights=weights)
        return {folder / "shards/a.pt": held}


@dataclass
class Held:
    """Pickled when its gate opens."""

    gate: threading.Event | None
    weights: torch.Tensor

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        if self.gate is not None:
            assert self.gate.wait(30)
        return (float, (self.weights.item(),))


def free() -> None:
    """Nobody has superseded this attempt."""


def writer(
    run_dir: Path,
    policy: Policy,
    *,
    fence: Callable[[], None] = free,
    **settings: Any,  # noqa: ANN401
) -> CheckpointWriter:
    return CheckpointWriter(
        run_dir=run_dir,
        policy=cast(SavedPolicy, policy),
        acquisition_state=AcquisitionState(name="none", policy=NonePolicy()),
        fence=fence,
        keep=RetentionPolicy(last=1),
        background=bool(settings.get("background", False)),
        newest=-1,
        attempt=1,
    )


def at(step: int, attempt: int = 1) -> TrainingState:
    return replace(STATE, step=step, attempt=attempt, risk=0.9)


def test_a_state_that_cannot_be_written_is_no_checkpoint(tmp_path: Path) -> None:
    """Whatever the error, on whichever rank: a manifest never leaves a file out."""
    saver = writer(tmp_path, Policy(weights=cast(torch.Tensor, Unwritable())))
    saver.begin(at(5))
    with pytest.raises(CheckpointError, match="such a state"):
        saver.finish()
    assert newest_valid(tmp_path) is None


class Unwritable:
    def item(self) -> float:
        raise AttributeError("nobody can write such a state")


def test_training_goes_on_beside_the_writing_and_does_not_show_in_it(tmp_path: Path) -> None:
    gate = threading.Event()
    policy = Policy(gate=gate)
    saver = writer(tmp_path, policy, background=True)
    waited = saver.begin(at(5))
    assert saver.busy
    assert saver.newest == 5
    assert newest_valid(tmp_path) is None, "not before the last file is on disk"
    policy.weights += 1
    gate.set()
    told = saver.finish()
    assert not saver.busy
    found = newest_valid(tmp_path)
    assert found is not None
    assert found.state.step == 5
    assert torch.load(found.folder / "shards/a.pt", weights_only=False) == 0.0
    assert (tmp_path / "checkpoints/LATEST").read_text() == "step_5\n"
    assert {"time/save"} == set(waited)
    assert {"time/publish", "time/save_files", "sys/checkpoint_mib"} == set(told)


def test_a_file_that_cannot_be_written_leaves_the_older_checkpoint_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = Policy()
    saver = writer(tmp_path, policy)
    saver.begin(at(5))
    saver.finish()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rlavr_hpc.trainer.checkpoint.shards.os.fsync", full)
    saver.begin(at(10))
    with pytest.raises(CheckpointError, match=r"step_10: cannot be written .*No space left"):
        saver.finish()
    assert [p.name for p in tmp_path.glob("checkpoints/step_*")] == ["step_5"]
    assert not [p for p in tmp_path.glob("checkpoints/.*/**/*") if p.is_file()]
    monkeypatch.undo()
    again = writer(tmp_path, policy)
    again.begin(at(10))
    again.finish()
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["LATEST", "step_10"]


def test_an_older_one_goes_only_after_the_newer_one_is_complete(tmp_path: Path) -> None:
    gate = threading.Event()
    policy = Policy(gate=gate)
    gate.set()
    saver = writer(tmp_path, policy, background=True)
    saver.begin(at(5))
    saver.finish()
    gate.clear()
    saver.begin(at(10))
    assert (tmp_path / "checkpoints/step_5/MANIFEST.json").exists()
    gate.set()
    saver.finish()
    assert [p.name for p in tmp_path.glob("checkpoints/step_*")] == ["step_10"]


@pytest.mark.parametrize("passed", [1, 2])
def test_a_superseded_process_does_not_publish(tmp_path: Path, passed: int) -> None:
    """Neither when its files are done, nor when the manifest is written."""
    asked: list[int] = []

    def fence() -> None:
        asked.append(1)
        if len(asked) > passed:
            raise FencedError

    saver = writer(tmp_path, Policy(), fence=fence)
    saver.begin(at(5))
    with pytest.raises(FencedError):
        saver.finish()
    assert newest_valid(tmp_path) is None


def test_a_successors_checkpoint_is_never_replaced(tmp_path: Path) -> None:
    """The fence was asked, then the process was stopped for a long time."""
    begin_attempt(tmp_path, resumed_from=0)
    begin_attempt(tmp_path, resumed_from=0)
    checkpoint(tmp_path, step=5, attempt=2)
    saver = writer(tmp_path, Policy())
    saver.begin(at(5, attempt=1))
    with pytest.raises(FencedError, match="was written by the newer attempt 2"):
        saver.finish()
    found = newest_valid(tmp_path)
    assert found is not None
    assert found.state.attempt == 2


def test_one_that_was_not_continued_from_is_replaced(tmp_path: Path) -> None:
    begin_attempt(tmp_path, resumed_from=0)
    checkpoint(tmp_path, step=5, attempt=1)
    begin_attempt(tmp_path, resumed_from=0)
    saver = writer(tmp_path, Policy())
    saver.begin(at(5, attempt=2))
    saver.finish()
    manifest = json.loads((tmp_path / "checkpoints/step_5/MANIFEST.json").read_text())
    assert manifest["state"]["attempt"] == 2


def test_a_ranks_generators_go_on_from_a_checkpoint(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    saver = writer(tmp_path, Policy())
    saver.begin(at(5))
    saver.finish()
    first = torch.rand(3).tolist()
    random_state.load(tmp_path / "checkpoints/step_5")
    assert torch.rand(3).tolist() == first
    random_state.load(tmp_path)
    assert "holds no random state of this rank" in caplog.text
    (tmp_path / "random_0.pt").write_bytes(b"no")
    with pytest.raises(CheckpointError, match="cannot be read"):
        random_state.load(tmp_path)
