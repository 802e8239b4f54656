"""What every attempt of a run takes over from its first: the date in prompts, how turns end, and
which rules of an older version it keeps.
"""  # noqa: D205

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rlavr_hpc.errors import RlavrError
from rlavr_hpc.runs.attempts import FOLDER, read_attempts, token_path


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstStart:
    """How prompts were written when the run began."""

    moment: datetime
    """The local time that templates write, without a fraction of a second."""
    stops_at_turn_end: bool = True
    """False for a run begun by an older version, which knew the model's own stop tokens alone."""

    @property
    def by_older_version(self) -> bool:
        """Whether version 0.1 began the run; it offered every prompt to the policy, labelled or
        not, and read labels by fewer rules.
        """  # noqa: D205
        return not self.stops_at_turn_end


def first_start(run_dir: Path, *, now: datetime | None = None) -> FirstStart:
    """Read it from the attempts on record; a run that has none begins now.

    Args:
        run_dir: the run's folder, which need not exist.
        now: with its time zone; None = the machine's clock.

    Raises:
        RlavrError: a token is damaged or missing.
    """
    attempts = read_attempts(run_dir)
    if not attempts:
        return FirstStart(moment=(now or datetime.now().astimezone()).replace(microsecond=0))
    setups = [attempt.setup for attempt in attempts if attempt.setup is not None]
    prompts = setups[0].get("prompts") if setups else None
    try:
        if prompts and "date" in prompts:
            moment = datetime.fromisoformat(prompts["date"])
        else:
            moment = datetime.fromisoformat(attempts[0].started).astimezone()
    except (ValueError, TypeError) as error:
        path = token_path(run_dir, 1)
        raise RlavrError(f"{path}: not a date: {error}; restore {FOLDER}/ from a copy") from error
    return FirstStart(moment=moment, stops_at_turn_end=bool(prompts))
