"""A copy of the program for the jobs of a sweep, so that editing the checkout changes none of them.

ROOT/NAME/code/HASH/ holds the package, the user's own modules that the config names, and REVISION.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from rlavr_hpc.config.shipped import CONF, PACKAGE
from rlavr_hpc.errors import UserError
from rlavr_hpc.io import make_folder, sync_folder
from rlavr_hpc.plugins import own_sources, source_digest
from rlavr_hpc.runs.sweep_plan import CODE

REVISION = "REVISION"
"""Read by `runs.provenance.git_revision`."""
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")


def snapshot(sweep: Path, targets: Iterable[str], *, revision: str | None) -> Path:
    """Copy the program below `sweep`, unless this very state is there already.

    Args:
        sweep: the sweep's folder.
        targets: `package.module:Class` of plug-ins; those that are neither installed nor part of
            the program are copied too, with their whole top-level package.
        revision: of the checkout, for the record.

    Returns:
        The folder to put on PYTHONPATH.

    Raises:
        UserError: it cannot be written.
    """
    sources = [PACKAGE, *sorted(own_sources(targets))]
    try:
        folder = sweep.absolute() / CODE / source_digest([*sources, CONF])[:12]
        if folder.exists():
            return folder
        make_folder(folder.parent)
        work = Path(tempfile.mkdtemp(prefix=".copy.", dir=folder.parent))
        for source in sources:
            if source.is_dir():
                shutil.copytree(source, work / source.name, ignore=LEFT_OUT)
            else:
                shutil.copy2(source, work / source.name)
        if not (work / PACKAGE.name / "conf").exists():  # as a wheel has it
            shutil.copytree(CONF, work / PACKAGE.name / "conf", ignore=LEFT_OUT)
        (work / REVISION).write_text(f"{revision or 'unknown'}\n")
        work.chmod(0o750)
        try:
            work.rename(folder)
        except OSError:
            if not folder.exists():  # else another start made it a moment ago
                raise
            shutil.rmtree(work)
        sync_folder(folder.parent)
    except OSError as error:
        raise UserError(f"{sweep / CODE}: {error}; make room or choose another root") from error
    return folder
