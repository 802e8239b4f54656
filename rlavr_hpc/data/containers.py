"""Which files `data.path` means, and what each of them is.

A path is a file, a folder of files, a folder that `datasets.save_to_disk` wrote, or a data set of
the hub that `rlavr fetch` has brought.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from rlavr_hpc.config.data import DataKind
from rlavr_hpc.data.text_rows import GZIP
from rlavr_hpc.errors import UserError


class FileFormat(StrEnum):
    """What a file of rows is."""

    parquet = "Parquet"
    arrow = "Arrow"
    json = "JSON"
    csv = "CSV"


FORMAT_OF = {
    DataKind.parquet: FileFormat.parquet,
    DataKind.jsonl: FileFormat.json,
    DataKind.csv: FileFormat.csv,
}
OPTION_OF = {**{format: kind for kind, format in FORMAT_OF.items()}, FileFormat.arrow: "folder"}
SUFFIXES = {
    ".parquet": FileFormat.parquet,
    ".arrow": FileFormat.arrow,
    ".jsonl": FileFormat.json,
    ".ndjson": FileFormat.json,
    ".json": FileFormat.json,
    ".csv": FileFormat.csv,
    ".tsv": FileFormat.csv,
}
"""In the order in which a folder's files are preferred; `.gz` may follow."""
MAGIC = (
    (b"PAR1", FileFormat.parquet),
    (b"ARROW1", FileFormat.arrow),
    (b"\xff\xff\xff\xff", FileFormat.arrow),
)
POINTER = b"version https://git-lfs"
SPLIT = re.compile(r"(train|test|validation|valid|val|dev|eval)(?![a-z])", re.IGNORECASE)
TRAIN = "train"
NO_ROWS = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json")
LISTED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFiles:
    """The files to read, in order."""

    files: tuple[tuple[Path, FileFormat], ...]
    note: str = ""
    """What was left out; "" = nothing."""


def data_files_of(path: Path, kind: DataKind) -> DataFiles:
    """The files that a path means.

    Raises:
        UserError: it does not exist, holds no such file, is of another kind than `kind` says, or a
            folder holds several data sets.
    """
    if path.is_dir():
        return _of_folder(path, kind)
    if not path.is_file():
        raise UserError(f"data file {path} does not exist")
    return DataFiles(files=((path, _checked_format(path, kind)),))


def _checked_format(path: Path, kind: DataKind) -> FileFormat:
    wanted, found = FORMAT_OF.get(kind), _format(path)
    if wanted is None and found is None:
        raise UserError(
            f"{path}: what it is can be told neither from its name nor from its first bytes; say "
            "data=parquet, data=jsonl or data=csv"
        )
    if found is not None and wanted is not None and found is not wanted:
        raise UserError(
            f"{path} is a file of {found}, and data={kind} reads {wanted}; use "
            f"data={OPTION_OF[found]}"
        )
    return found or wanted or FileFormat.json


def _format(path: Path) -> FileFormat | None:
    """By the first bytes, then by the name, then by the first character."""
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith(POINTER):
        raise UserError(f"{path} is a Git LFS pointer, not the data; bring it with `git lfs pull`")
    if start.startswith(GZIP):
        start = _unpacked(path)
    for magic, found in MAGIC:
        if start.startswith(magic):
            return found
    by_name = _by_suffix(path)
    if by_name in (FileFormat.json, FileFormat.csv):
        return by_name
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    return FileFormat.json if text.startswith((b"{", b"[{", b"[\n")) else None


def _unpacked(path: Path) -> bytes:
    try:
        with gzip.open(path) as file:
            return file.read(64)
    except (OSError, EOFError):
        return b""


def _by_suffix(path: Path) -> FileFormat | None:
    name = path.name.lower().removesuffix(".gz")
    return next((found for end, found in SUFFIXES.items() if name.endswith(end)), None)


def _of_folder(folder: Path, kind: DataKind) -> DataFiles:
    if (folder / "dataset_dict.json").is_file():
        return _of_splits(folder, kind)
    if (folder / "state.json").is_file():
        return DataFiles(files=tuple((file, FileFormat.arrow) for file in _saved(folder)))
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and _may_hold_rows(path, folder)
    ]
    wanted = FORMAT_OF.get(kind)
    by_format = {
        end: [p for p in found if p.name.lower().removesuffix(".gz").endswith(end)]
        for end, format in SUFFIXES.items()
        if wanted in (None, format)
    }
    chosen = next((files for files in by_format.values() if files), [])
    if not chosen:
        what = "data" if wanted is None else str(wanted)
        raise UserError(f"folder {folder} holds no file of {what} ({', '.join(SUFFIXES)})")
    files, note = _one_split(folder, chosen)
    return DataFiles(files=tuple((file, _checked_format(file, kind)) for file in files), note=note)


def _may_hold_rows(path: Path, folder: Path) -> bool:
    parts = path.relative_to(folder).parts
    hidden = any(part.startswith((".", "_", "cache-")) for part in parts)
    return not hidden and path.name not in NO_ROWS and _by_suffix(path) is not None


def _saved(folder: Path) -> list[Path]:
    """The files of `datasets.save_to_disk`, in its order."""
    try:
        listed = json.loads((folder / "state.json").read_text(encoding="utf-8"))["_data_files"]
        files = [folder / str(one["filename"]) for one in listed]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / 'state.json'} does not say which files there are") from error
    lost = next((file for file in files if not file.is_file()), None)
    if lost is not None:
        raise UserError(f"{lost} does not exist, and {folder / 'state.json'} names it; copy it")
    return files


def _of_splits(folder: Path, kind: DataKind) -> DataFiles:
    """Of a saved dictionary of data sets, the one for training."""
    names = sorted(path.parent.name for path in folder.glob("*/state.json"))
    if not names:
        raise UserError(f"folder {folder} holds no split, though dataset_dict.json stands in it")
    chosen = names[0] if len(names) == 1 else TRAIN
    if chosen not in names:
        raise UserError(_which(folder, names))
    files = _of_folder(folder / chosen, kind).files
    return DataFiles(files=files, note=_left_out(folder, chosen, names))


def _one_split(folder: Path, files: Sequence[Path]) -> tuple[Sequence[Path], str]:
    """Those for training, where the names tell several splits apart."""
    splits: dict[str, list[Path]] = {}
    subsets: dict[str, None] = {}
    for file in files:
        inner = file.relative_to(folder)
        marks = [m[1].lower() for part in reversed(inner.parts) if (m := SPLIT.match(part))]
        splits.setdefault(marks[0] if marks else "", []).append(file)
        above = [
            p for p in inner.parts[:-1] if p != "data" and "=" not in p and not SPLIT.fullmatch(p)
        ]
        subsets[above[0] if above else ""] = None
    if len(subsets) > 1:
        names = [name or "(files beside them)" for name in subsets]
        raise UserError(_which(folder, names))
    if len(splits) == 1:
        return files, ""
    if TRAIN not in splits:
        raise UserError(_which(folder, [str(f.relative_to(folder)) for f in files]))
    names = [split for split in splits if split]
    return splits[TRAIN], _left_out(folder, TRAIN, names)


def _which(folder: Path, names: Sequence[str]) -> str:
    listed = ", ".join(names[:LISTED]) + (", ..." if len(names) > LISTED else "")
    return f"folder {folder} holds several data sets ({listed}); name one: data.path={folder}/NAME"


def _left_out(folder: Path, chosen: str, names: Sequence[str]) -> str:
    others = [name for name in names if name != chosen]
    if not others:
        return ""
    return (
        f"{folder}: split {chosen} is read; {', '.join(others)} is left out (data.eval_path may "
        "name it)"
    )
