"""Names of data sets on the hub, as `data.path` may hold one. Asks no network."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PREFIX = "hub:"
NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
SUFFIXES = (".parquet", ".arrow", ".jsonl", ".ndjson", ".json", ".csv", ".tsv")
"""Of files that hold rows, the most wanted first; `.gz` may follow."""
NO_ROWS = ("dataset_info.json", "dataset_infos.json", "config.json", "package.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class HubDataSet:
    """A data set's repository, and what of it is meant."""

    repository: str
    inside: str = ""
    """A folder or file in it; "" = all."""


def hub_data_set(path: str) -> HubDataSet | None:
    """What `hub:ORG/NAME/FOLDER` or a bare `ORG/NAME` names; None for a path on disk.

    A bare name is one only where no such path exists, and it does not look like a file's.
    """
    if path.startswith(PREFIX):
        parts = path.removeprefix(PREFIX).strip("/").split("/")
        return HubDataSet(repository="/".join(parts[:2]), inside="/".join(parts[2:]))
    is_name = NAME.fullmatch(path) and not _holds_rows(path)
    if not is_name or Path(path).exists():
        return None
    return HubDataSet(repository=path)


def wanted_data_files(names: Iterable[str], inside: str) -> list[str]:
    """The files with rows in a repository, of the kind that is preferred among those there are."""
    below = [n for n in sorted(names) if not inside or n == inside or n.startswith(f"{inside}/")]
    for end in SUFFIXES:
        found = [name for name in below if name.removesuffix(".gz").endswith(end)]
        found = [name for name in found if name.rpartition("/")[2] not in NO_ROWS]
        if found:
            return found
    return []


def _holds_rows(path: str) -> bool:
    return path.removesuffix(".gz").endswith(SUFFIXES)
