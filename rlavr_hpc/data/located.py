"""Where a `data.path` lies on this machine: a path, or a data set of the hub in its cache."""

from __future__ import annotations

from pathlib import Path

from rlavr_hpc.errors import UserError
from rlavr_hpc.offline.hub_data import hub_data_set


def located(path: str) -> Path:
    """The file or folder.

    Raises:
        UserError: a data set of the hub that is not in the cache.
    """
    named = hub_data_set(path)
    if named is None:
        return Path(path).expanduser()
    from rlavr_hpc.offline import hub  # noqa: PLC0415  (slow to import, and rarely needed)

    folder = hub.cached_data_set(named.repository, hub.cache_folder())
    if folder is None:
        raise UserError(
            f"data.path={path}: there is no such file or folder here, and no data set of the hub "
            f"by that name in {hub.cache_folder()}; correct the path, or bring the data set on a "
            f"machine with network: rlavr fetch data=file data.path={path}"
        )
    return folder / named.inside
