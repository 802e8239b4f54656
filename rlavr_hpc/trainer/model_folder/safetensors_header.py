"""The header of a safetensors file: names, number formats and shapes of its tensors. No torch.

Format: 8 bytes, the header's length N as a little-endian integer; N bytes of JSON; the data. See
https://huggingface.co/docs/safetensors.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlavr_hpc.errors import UserError
from rlavr_hpc.trainer.model_folder.file_faults import DOWNLOAD, check_content

LENGTH_BYTES = 8
LONGEST = 100_000_000
"""Bytes of a header; the library's own limit."""
BITS = {
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "I64": 64,
    "U64": 64,
    "F64": 64,
    "C64": 64,
}
"""Per number format the bits of a value; the size of others is not checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorEntry:
    """What a header says of one tensor."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    """First byte in the file."""
    end: int
    """Byte after the last."""


def read_header(path: Path) -> dict[str, TensorEntry]:
    """Every tensor of the file, by name.

    Raises:
        UserError: the file is a pointer, cut short, too long, or no safetensors file.
    """
    check_content(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(LENGTH_BYTES), "little")
        if size < LENGTH_BYTES or length > LONGEST:
            raise UserError(f"{path} is no safetensors file; {DOWNLOAD}")
        if LENGTH_BYTES + length > size:
            raise UserError(
                f"{path} is cut short: it has {size:,} bytes and its header alone needs "
                f"{LENGTH_BYTES + length:,}; {DOWNLOAD}"
            )
        values = _parse(path, file.read(length))
    data = LENGTH_BYTES + length
    found = {
        name: _entry(path, name, value, data)
        for name, value in values.items()
        if name != "__metadata__"
    }
    _check_layout(path, found, data=data, size=size)
    return found


def _parse(path: Path, text: bytes) -> Mapping[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: its header is no valid JSON; {DOWNLOAD}") from error
    if not isinstance(values, dict):
        raise UserError(f"{path}: its header is no JSON object; {DOWNLOAD}")
    return values


def _entry(path: Path, name: str, value: Any, data: int) -> TensorEntry:  # noqa: ANN401
    try:
        dtype, shape, (start, end) = str(value["dtype"]), value["shape"], value["data_offsets"]
        numbers = (*shape, start, end)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: the header's entry of {name} is damaged; {DOWNLOAD}") from error
    if not all(type(number) is int and number >= 0 for number in numbers) or end < start:
        raise UserError(f"{path}: the header's entry of {name} is damaged; {DOWNLOAD}")
    bits = BITS.get(dtype)
    if bits is not None and math.prod(shape) * bits // 8 != end - start:
        raise UserError(
            f"{path}: {name} is {dtype} of shape {list(shape)}, which are not the {end - start:,} "
            f"bytes that the header gives it; {DOWNLOAD}"
        )
    return TensorEntry(
        file=path, dtype=dtype, shape=tuple(shape), start=data + start, end=data + end
    )


def _check_layout(path: Path, found: Mapping[str, TensorEntry], *, data: int, size: int) -> None:
    """The tensors follow each other without a gap, and end where the file ends."""
    end = data
    for name, entry in sorted(found.items(), key=lambda pair: (pair[1].start, pair[1].end)):
        if entry.start != end:
            raise UserError(f"{path}: {name} does not begin where its predecessor ends; {DOWNLOAD}")
        end = entry.end
    if end != size:
        what = "is cut short" if size < end else "is too long"
        raise UserError(
            f"{path} {what}: it has {size:,} bytes and its header describes {end:,}; {DOWNLOAD}"
        )
