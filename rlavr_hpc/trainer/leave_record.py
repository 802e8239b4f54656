"""What a failed rank leaves behind in the run folder."""

from __future__ import annotations

import contextlib
import os
import socket
import traceback
from pathlib import Path

from rlavr_hpc.cluster.topology import start_name
from rlavr_hpc.errors import ExitCode, OtherRunError, RlavrError
from rlavr_hpc.runs.failures import Failure, write_failure
from rlavr_hpc.runs.folder import CONFIG


def leave_record(run_dir: Path, error: Exception) -> None:
    """Write what `rlavr why` shows of this rank; nothing in a folder that is not this run's."""
    if isinstance(error, OtherRunError) or not (run_dir / CONFIG).exists():
        return
    expected = isinstance(error, RlavrError)
    failure = Failure(
        start=start_name(os.environ),
        rank=int(os.environ.get("RANK", "0")),
        exit_code=error.exit_code if isinstance(error, RlavrError) else ExitCode.FAILED,
        error=str(error) if expected else f"{type(error).__name__}: {error}",
        traceback="" if expected else "".join(traceback.format_exception(error)),
        host=socket.gethostname(),
        pid=os.getpid(),
    )
    with contextlib.suppress(OSError):  # the error has been printed already
        write_failure(run_dir, failure)
