"""Whether a folder's weights are those that its architecture needs, by Transformers' own names.

The model is built on the meta device and filled from the files' headers: no weight is read, and
every rule of Transformers on names, prefixes and tied weights holds here too.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM
from transformers.utils import logging as transformers_logging

from rlavr_hpc.errors import UserError
from rlavr_hpc.trainer.model_folder.file_faults import DOWNLOAD
from rlavr_hpc.trainer.model_folder.safetensors_header import TensorEntry
from rlavr_hpc.trainer.model_folder.weight_files import listed, read_weight_files

HEAD = "lm_head.weight"
EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "embed_in.weight", "word_embeddings.weight")
CHUNK = 1 << 22
"""Bytes compared at once."""

log = logging.getLogger(__name__)


def check_architecture(folder: Path, *, trust_remote_code: bool) -> int | None:
    """Compare the folder's weights with what its config.json asks for.

    Args:
        folder: checked by `check_model_folder`.
        trust_remote_code: whether the model's own code may be executed.

    Returns:
        Rows of the embedding; None where pickled or quantized weights hide it.

    Raises:
        UserError: a weight is missing or has another shape, or the architecture is not known.
    """
    entries = read_weight_files(folder)
    if entries is None:
        return None
    model, info = _on_meta(folder, trust_remote_code=trust_remote_code)
    if getattr(model.config, "quantization_config", None) is not None:
        return None
    _check_shapes(info, folder)
    check_complete(info, folder)
    if info["unexpected_keys"]:
        log.warning(
            "%s holds weights that its architecture (%s) has no place for, and that are not used: "
            "%s; if they should be, correct its config.json",
            folder,
            type(model).__name__,
            listed(sorted(info["unexpected_keys"])),
        )
    _check_tied(model, entries, folder)
    weight = getattr(model.get_input_embeddings(), "weight", None)
    return None if weight is None else int(weight.shape[0])


def check_complete(info: Mapping[str, Any], path: Path | str) -> None:
    """Raise UserError where Transformers' loading info names weights that were not in the files."""
    if not info["missing_keys"]:
        return
    missing = sorted(info["missing_keys"])
    way_out = "download the whole model again"
    if missing == [HEAD]:
        way_out += (
            "; if its head is the embedding's matrix, set tie_word_embeddings to true in its "
            "config.json"
        )
    raise UserError(f"{path} is no whole model, its weights lack {listed(missing)}; {way_out}")


@contextmanager
def weights_loaded(path: Path | str) -> Iterator[None]:
    """Turn what Transformers says of damaged weights into a UserError that names the model.

    A folder's files were checked before; those of a hub name, and what is in pickles, were not.
    """
    try:
        yield
    except (SafetensorError, UnpicklingError) as error:
        raise UserError(
            f"{path}: its weights cannot be read ({first_line(error)}); {DOWNLOAD}"
        ) from error
    except RuntimeError as error:
        if "mismatch" not in str(error):
            raise
        raise UserError(
            f"{path}: its weights do not fit its config.json ({first_line(error)}); take both from "
            "the same model"
        ) from error


def _on_meta(folder: Path, *, trust_remote_code: bool) -> tuple[Any, dict[str, Any]]:
    """The model without values, and Transformers' loading info."""
    level = transformers_logging.get_verbosity()
    bar = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(logging.CRITICAL)  # it prints a table
    transformers_logging.disable_progress_bar()
    state = torch.get_rng_state()
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            device_map={"": "meta"},
            trust_remote_code=trust_remote_code,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            use_safetensors=True,
        )
    except Exception as error:  # of many kinds: the folder's config decides
        raise UserError(f"{folder}: the model cannot be built: {first_line(error)}") from error
    finally:
        torch.set_rng_state(state)
        transformers_logging.set_verbosity(level)
        if bar:
            transformers_logging.enable_progress_bar()
    model, info = loaded
    return model, info


def first_line(error: Exception) -> str:
    """What an error says, on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _check_shapes(info: Mapping[str, Any], folder: Path) -> None:
    wrong = [
        f"{name} is {list(found)} instead of {list(asked)}"
        for name, found, asked in sorted(info["mismatched_keys"])
    ]
    if wrong:
        raise UserError(
            f"{folder}: its weights do not fit its config.json: {listed(wrong)}; take both from "
            "the same model"
        )


def _check_tied(model: Any, entries: Mapping[str, TensorEntry], folder: Path) -> None:  # noqa: ANN401
    """A head that is said to be the embedding must not be stored with other values."""
    if not getattr(model.config.get_text_config(), "tie_word_embeddings", False):
        return
    heads = [entry for name, entry in entries.items() if name.endswith(HEAD)]
    rows = [entry for name, entry in entries.items() if name.endswith(EMBEDDINGS)]
    if len(heads) == 1 and len(rows) == 1 and not _same_bytes(heads[0], rows[0]):
        raise UserError(
            f"{folder}: config.json says that the head and the embedding share their weights "
            f"(tie_word_embeddings), but the files hold two different matrices; set it to false "
            "in config.json, or remove the matrix that does not belong there"
        )


def _same_bytes(one: TensorEntry, other: TensorEntry) -> bool:
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    with one.file.open("rb") as left, other.file.open("rb") as right:
        left.seek(one.start)
        right.seek(other.start)
        remaining = one.end - one.start
        while remaining:
            size = min(CHUNK, remaining)
            if left.read(size) != right.read(size):
                return False
            remaining -= size
    return True
