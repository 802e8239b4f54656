"""What `benchmarks.verdicts` keeps of each run: a line of a table, read from its folder."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.verdict_plan import VerdictJob
from rlavr_hpc.runs.folder import read_config
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.collapse.alarm.plan import AlarmBound
from rlavr_hpc.telemetry.collapse.breakage import BreakageWatch
from rlavr_hpc.telemetry.collapse.early_warning import first_alarm
from rlavr_hpc.telemetry.sinks import read_line

RECENT = 20
"""Steps before an alarm over which it is asked whether trusted votes were right."""
INTEGERS = ("batch", "seed", "begins", "alarm_step", "hint_step", "breakage_step", "audits")
NUMBERS = (
    "accuracy_start",
    "accuracy_end",
    "trusted_right",
    "certified",
    "trusted_mean",
    "seconds",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One finished run."""

    way: str
    policy: str
    world: str
    batch: int
    seed: int
    sound: bool
    """By its plan."""
    begins: int
    """The first step that is broken; 1 for sound runs."""
    expected: str
    """Faults of which one is to be told, with `|` between them; "" = none."""
    faults: str
    """That were told, the gravest first: `FAULT@STEP`, with blanks between them."""
    accuracy_start: float
    """Held out, before training."""
    accuracy_end: float
    hint_step: int | None
    """The first step with `collapse/risk` at its threshold."""
    breakage_step: int | None
    """The first at which the signs of breakage alone were there."""
    alarm_step: int | None
    alarm_bound: str
    trusted_right: float | None
    """Share of trusted votes that were right (by all labels) in the last steps before the alarm;
    without one, at the end."""
    certified: float | None
    """Share of right trusted votes that was certified at the end; 0 = nothing was."""
    trusted_mean: float | None
    """Share of trusted votes that were right (by all labels), mean of all steps with such votes."""
    audits: int
    """Labels that were bought for audits alone."""
    seconds: float

    @property
    def told(self) -> frozenset[str]:
        """Names of the faults that were told."""
        return frozenset(word.partition("@")[0] for word in self.faults.split())

    @property
    def hit(self) -> bool:
        """Whether one of the expected faults was told."""
        return bool(self.told & set(self.expected.split("|")))

    def false_alarm(self, floor: float) -> bool:
        """Whether an alarm in a sound run is false.

        The bound on trusted votes promises nothing of a run whose trusted votes are right less
        often than the floor, be it sound or not.
        """
        if not self.sound or self.alarm_step is None:
            return False
        untrue = self.trusted_right is not None and self.trusted_right < floor
        return not (self.alarm_bound == AlarmBound.trust and untrue)


def row_of(job: VerdictJob, folder: Path) -> Row:
    """A finished run."""
    summary = json.loads((folder / "summary.json").read_text())
    config, rows = read_config(folder), read_line(folder)
    threshold = config.warning.threshold
    hint = first_alarm(rows, threshold=threshold, selective=config.acquisition.has_trust)
    audits = summary["audits"]
    alarm = audits["alarm"] if audits else None
    precise = [(r["step"], r[names.ORACLE_TRUSTED_PRECISION]) for r in rows if _trusted(r)]
    until = alarm["step"] if alarm else max(row["step"] for row in rows)
    recent = [share for step, share in precise if until - RECENT < step <= until]
    return Row(
        way=job.way.name,
        policy=job.way.policy,
        world=job.way.world,
        batch=job.batch,
        seed=job.seed,
        sound=job.way.sound,
        begins=job.way.begins,
        expected="|".join(sorted(job.way.expected)),
        faults=" ".join(f"{one['fault']}@{one['since'] or 1}" for one in summary["faults"]),
        accuracy_start=round(summary["accuracy_start"], 4),
        accuracy_end=round(summary["accuracy_end"], 4),
        hint_step=int(hint["step"]) if hint else None,
        breakage_step=first_breakage(rows, threshold=threshold),
        alarm_step=alarm["step"] if alarm else None,
        alarm_bound=alarm["bound"] if alarm else "",
        trusted_right=_mean(recent),
        certified=audits["certified"] if config.warning.audit.uses else None,
        trusted_mean=_mean([share for _, share in precise]),
        audits=summary["labels_audited"],
        seconds=summary["wall_seconds"],
    )


def first_breakage(rows: Sequence[Mapping[str, float]], *, threshold: float) -> int | None:
    """The first step at which the signs of breakage reach the hint's threshold."""
    watch = BreakageWatch()
    steps = (int(row["step"]) for row in rows if watch.observe(row).risk >= threshold)
    return next(steps, None)


def _trusted(row: Mapping[str, float]) -> bool:
    return names.ORACLE_TRUSTED_PRECISION in row


def _mean(values: Sequence[float]) -> float | None:
    return round(fmean(values), 4) if values else None


def append_row(table: Path, row: Row) -> None:
    """Add a finished run to the table."""
    table.parent.mkdir(parents=True, exist_ok=True)
    new = not table.exists()
    with table.open("a", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(asdict(row))


def read_rows(table: Path) -> list[Row]:
    """The finished runs, by seed."""
    if not table.exists():
        return []
    with table.open(newline="") as file:
        return sorted(map(_row, csv.DictReader(file)), key=lambda row: row.seed)


def _row(values: Mapping[str, str]) -> Row:
    found: dict[str, Any] = dict(values)
    found |= {name: int(values[name]) if values[name] else None for name in INTEGERS}
    found |= {name: float(values[name]) if values[name] else None for name in NUMBERS}
    return Row(**{**found, "sound": values["sound"] == "True"})
