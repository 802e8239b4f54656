"""What may have changed since a run's last start beside its config: plug-ins and labels."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any

from rlavr_hpc.errors import UserError
from rlavr_hpc.plugins import changed_sources
from rlavr_hpc.runs.first_start import first_start
from rlavr_hpc.runs.provenance import read_provenance

log = logging.getLogger(__name__)


def warn_of_changed_plugins(run_dir: Path, last: int, now: Mapping[str, Any]) -> None:
    """Log where the source of a user's own plug-in has changed; the run continues with it."""
    before: Mapping[str, Any] = next(_recorded(run_dir, last, "plugins"), {})
    for group in changed_sources(before, now):
        log.warning(
            "%s=%s (%s): its source code has changed since the last start; the run continues with "
            "the present code and is no longer bit-identical to an uninterrupted one",
            group,
            now[group]["name"],
            now[group]["target"],
        )


def check_labels(
    run_dir: Path, last: int, now: Mapping[str, Any], *, allowed: Set[str] = frozenset()
) -> None:
    """Say it where the data gives its training prompts other labels than at the last start.

    A user may take labels out of the data or correct them. Version 0.1 read other labels from the
    same rows, where labels conflict for one, so its runs do not go on with them unasked.

    Args:
        run_dir: the run's folder.
        last: its last attempt.
        now: facts of the data, as this start read it.
        allowed: config keys that may differ (`allow_change`).

    Raises:
        UserError: version 0.1 began the run, and the labels may not differ.
    """
    key = "labels_fingerprint"
    before = next((facts[key] for facts in _recorded(run_dir, last, "data") if key in facts), None)
    if before is None or before == now.get(key, before):
        return
    said = "the labels in the training data are not those that the last start read"
    if first_start(run_dir).by_older_version and "data" not in allowed:
        raise UserError(
            f"{said}: version 0.1 began this run and read some rows otherwise (`rlavr check` says "
            "how they are read now), or the file has changed; restore it, or go on with the labels "
            "that are read now: allow_change=[data]"
        )
    log.warning("%s; the run continues with those that are read now", said)


def _recorded(run_dir: Path, last: int, key: str) -> Iterator[Mapping[str, Any]]:
    """What the attempts have on record under a key, newest first."""
    records = (read_provenance(run_dir, number) for number in range(last, 0, -1))
    return (record[key] for record in records if key in record)
