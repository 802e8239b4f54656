"""Which weights are measured: their identity for the record, and the weights themselves."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import AutoModelForCausalLM
from transformers.utils.hub import cached_file

from rlavr_hpc.config.model import ModelConfig
from rlavr_hpc.errors import UserError
from rlavr_hpc.evaluation.evaluated_model import CHECKPOINTS, RunSubject, Subject
from rlavr_hpc.runs.attempts import read_attempts
from rlavr_hpc.runs.checkpoints import MANIFEST, Checkpoint, in_line, newest_valid, read_checkpoint
from rlavr_hpc.trainer import distributed
from rlavr_hpc.trainer.checkpoint.consolidate import consolidate
from rlavr_hpc.trainer.model_folder.architecture import check_complete, weights_loaded
from rlavr_hpc.trainer.policy.tokenizer import TokenizerBundle

log = logging.getLogger(__name__)

MODEL_FILES = (
    ".safetensors",
    ".bin",
    ".pt",
    ".json",
    ".model",
    ".txt",
    ".jinja",
    ".py",
)
"""Endings of the files that decide what a model folder answers."""
WORK = ".weights-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which weights a record is about."""

    name: str
    fingerprint: str
    """Of a checkpoint's manifest or a model folder's files; a hub model's commit."""

    def as_dict(self) -> dict[str, str]:
        """As the header holds it."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundWeights:
    """The weights before they are loaded."""

    identity: Identity
    path: Path | str
    """In Hugging Face format; meaningless where there is a checkpoint."""
    checkpoint: Checkpoint | None


def find_weights(subject: Subject, bundle: TokenizerBundle) -> FoundWeights:
    """Choose the checkpoint and check its files, or fingerprint the model's. On one rank.

    Raises:
        UserError: the run has no such checkpoint, or none that is valid.
        CheckpointError: the wanted one is damaged.
    """
    if not isinstance(subject, RunSubject):
        return FoundWeights(
            identity=_model_identity(subject.path), path=subject.path, checkpoint=None
        )
    checkpoint = find_checkpoint(subject)
    name = f"{subject.run_dir.absolute().name}/{checkpoint.folder.name}"
    identity = Identity(name=name, fingerprint=manifest_digest(checkpoint)[:16])
    return FoundWeights(identity=identity, path=bundle.path, checkpoint=checkpoint)


def find_checkpoint(subject: RunSubject) -> Checkpoint:
    """The run's checkpoint at the step asked for, or its newest valid one; its files are checked.

    Raises:
        UserError: the run has no such checkpoint, or none that is valid.
        CheckpointError: the wanted one is damaged.
    """
    if subject.step is not None:
        found = read_checkpoint(subject.run_dir / CHECKPOINTS / f"step_{subject.step}")
        if not in_line(found.state, read_attempts(subject.run_dir)):
            log.warning("%s was left behind by a roll-back of its run", found.folder)
        return found
    checkpoint = newest_valid(subject.run_dir)
    if checkpoint is None:
        raise UserError(f"{subject.run_dir} holds no valid checkpoint yet")
    return checkpoint


def manifest_digest(checkpoint: Checkpoint) -> str:
    """SHA-256 of the manifest, which holds the hash of every file: names the weights."""
    return hashlib.sha256((checkpoint.folder / MANIFEST).read_bytes()).hexdigest()


def _model_identity(path: Path | str) -> Identity:
    if isinstance(path, Path):
        return Identity(name=path.absolute().name, fingerprint=_folder_fingerprint(path))
    cached = cached_file(path, "config.json")
    return Identity(name=path, fingerprint=Path(str(cached)).parent.name)


def _folder_fingerprint(folder: Path) -> str:
    """Hash of the names and contents of a model's files, also of those in folders below."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in MODEL_FILES:
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"{path.relative_to(folder)}\0{content}\0".encode())
    return digest.hexdigest()[:16]


@contextmanager
def in_model_format(
    found: FoundWeights, out: Path, *, model: ModelConfig, bundle: TokenizerBundle
) -> Iterator[Path | str]:
    """Where the weights lie in Hugging Face format. All ranks call this together.

    A checkpoint is put together in a folder below `out`, which every rank must see; it is gone
    afterwards.
    """
    checkpoint = found.checkpoint
    if checkpoint is None:
        yield found.path
        return

    def put_together() -> TemporaryDirectory[str]:
        work = TemporaryDirectory(prefix=WORK, dir=out)
        try:
            consolidate(checkpoint, Path(work.name) / "model", model=model, base=bundle)
        except BaseException:
            work.cleanup()
            raise
        return work

    work = distributed.on_main_only(put_together)
    try:
        yield Path(distributed.on_main(lambda: work.name if work else "")) / "model"
        distributed.barrier()  # others may still be reading
    finally:
        if work is not None:
            work.cleanup()


def read_weights(path: Path | str, *, model: ModelConfig) -> Iterator[tuple[str, torch.Tensor]]:
    """Whole weights by name, for a rollout engine; a tied matrix under each of its names.

    Raises:
        UserError: the folder lacks weights of its architecture, or they cannot be read.
    """
    try:
        with weights_loaded(path):
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                path,
                dtype=getattr(torch, model.dtype),
                trust_remote_code=model.trust_remote_code,
                output_loading_info=True,
            )
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(
            f"{path}: weights cannot be loaded: {str(error).splitlines()[0]}"
        ) from error
    language_model, loading = loaded
    check_complete(loading, path)
    named = language_model.named_parameters(remove_duplicate=False)
    return ((name, parameter.data) for name, parameter in named)
