"""The files that hold a model's weights: which there are, and whether they are whole. No torch.

Pickled weights (`.bin`) are never opened as pickles here: only their kind is looked at.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from rlavr_hpc.errors import UserError
from rlavr_hpc.trainer.model_folder.file_faults import DOWNLOAD, check_content, read_object
from rlavr_hpc.trainer.model_folder.safetensors_header import TensorEntry, read_header

INDEX = ".index.json"
SAFE, PICKLED = "model.safetensors", "pytorch_model.bin"
NAMED = 5
"""Names in a message; the others are counted."""
ZIP = b"PK\x03\x04"
OTHER_FORMS = {
    ".gguf": "GGUF; convert it to a Hugging Face folder first",
    ".h5": "TensorFlow weights; convert them to safetensors first",
    ".msgpack": "Flax weights; convert them to safetensors first",
    ".pth": "weights in their author's own format; convert them to safetensors first",
    ".incomplete": "a download that was not completed; download it again",
    ".part": "a download that was not completed; download it again",
}


def read_weight_files(folder: Path) -> dict[str, TensorEntry] | None:
    """Every tensor that the folder's safetensors files hold, by name; None where it has pickles.

    Files are taken in Transformers' order: one safetensors file, several, pickles.

    Raises:
        UserError: there are no weights, a file is missing, cut short or something else.
    """
    if _exists(folder / SAFE):
        return read_header(folder / SAFE)
    if _exists(folder / f"{SAFE}{INDEX}"):
        return _read_shards(folder, folder / f"{SAFE}{INDEX}")
    if _exists(folder / PICKLED):
        _check_pickle(folder / PICKLED)
        return None
    if _exists(folder / f"{PICKLED}{INDEX}"):
        for name in _shards(folder, folder / f"{PICKLED}{INDEX}"):
            _check_pickle(folder / name)
        return None
    raise UserError(f"{folder} holds no weights: {_instead(folder)}")


def listed(names: list[str]) -> str:
    """Some of the names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _exists(path: Path) -> bool:
    """Also for a link that leads nowhere, so that it is named."""
    return path.exists() or path.is_symlink()


def _read_shards(folder: Path, index: Path) -> dict[str, TensorEntry]:
    shards = _shards(folder, index)
    found: dict[str, TensorEntry] = {}
    for name, expected in shards.items():
        entries = read_header(folder / name)
        if lost := sorted(expected - entries.keys()):
            raise UserError(
                f"{folder / name} lacks {listed(lost)}, which {index.name} says it holds; "
                f"{DOWNLOAD}, with its index"
            )
        found |= entries
    return found


def _shards(folder: Path, index: Path) -> dict[str, set[str]]:
    """Per shard the names of its tensors; all shards are there."""
    weight_map = read_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise UserError(f"{index} has no weight_map; {DOWNLOAD}")
    shards = _by_shard(index, weight_map)
    if missing := [name for name in shards if not _exists(folder / name)]:
        raise UserError(
            f"{folder} lacks {listed(missing)} of the {len(shards)} files that {index.name} names; "
            "download or copy what is missing"
        )
    return shards


def _by_shard(index: Path, weight_map: Mapping[str, Any]) -> dict[str, set[str]]:
    shards: dict[str, set[str]] = {}
    for tensor, name in weight_map.items():
        if not isinstance(name, str) or not name or PurePath(name).name != name:
            raise UserError(f"{index}: {name!r} is no file beside it; {DOWNLOAD}")
        shards.setdefault(name, set()).add(tensor)
    return dict(sorted(shards.items()))


def _check_pickle(path: Path) -> None:
    """What can be said without unpickling: a zip archive has its directory at its end."""
    check_content(path)
    with path.open("rb") as file:
        zipped = file.read(len(ZIP)) == ZIP
    if zipped and not zipfile.is_zipfile(path):
        raise UserError(f"{path} is cut short: its end is missing; {DOWNLOAD}")


def _instead(folder: Path) -> str:
    """What lies there instead of weights, and what to do."""
    for path in sorted(folder.iterdir()):
        if (other := OTHER_FORMS.get(path.suffix)) is not None:
            return f"{path.name} is {other}"
    return (
        f"neither {SAFE} nor {SAFE}{INDEX} nor {PICKLED}; download the whole model, or name its "
        "folder"
    )
