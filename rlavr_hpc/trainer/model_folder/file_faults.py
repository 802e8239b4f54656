"""Files of a model that are not what their names say: pointers, web pages, empty ones. No torch.

Nothing here executes or unpickles what a folder holds.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from rlavr_hpc.errors import UserError

POINTER = b"version https://git-lfs.github.com/spec/v1"
POINTER_SIZE = re.compile(rb"^size ([0-9]+)$", re.MULTILINE)
BEGINNING = 512
"""Bytes that tell what a file is; a pointer is shorter."""
DOWNLOAD = "download or copy it again"


def check_content(path: Path) -> None:
    """Raise UserError for a file that cannot be a model's, by its first bytes."""
    try:
        with path.open("rb") as file:
            start = file.read(BEGINNING)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); {DOWNLOAD}") from error
    if not start:
        raise UserError(f"{path} is empty; {DOWNLOAD}")
    if start.startswith(POINTER):
        size = POINTER_SIZE.search(start)
        of = f" to {int(size[1]):,} bytes" if size else ""
        raise UserError(
            f"{path} is a Git LFS pointer{of}, not the file itself; run `git lfs pull` in "
            f"{path.parent}, or download the file"
        )
    if start.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
        raise UserError(f"{path} is a web page, not the file itself; {DOWNLOAD}")


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        UserError: the file is missing, is none of a model's, or holds no JSON object.
    """
    check_content(path)
    try:
        values = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no valid JSON ({_reason(error)}); {DOWNLOAD}") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} holds no JSON object; {DOWNLOAD}")
    return values


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
