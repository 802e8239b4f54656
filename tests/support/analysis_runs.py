"""Runs for the analysis, made by hand: as objects, and as folders on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from analysis.load.rows import WRITTEN
from analysis.load.run import PURCHASES, RunData
from rlavr_hpc.runs.attempts import SEALED, seal_file, segment

CONFIG: dict[str, Any] = {
    "version": 1,
    "name": "run",
    "seed": 1,
    "steps": 150,
    "budget": 0.2,
    "algorithm": {"batch": 64, "group_size": 8},
    "acquisition": {"name": "care", "has_trust": True, "research_only": False},
}


def make_run(
    name: str = "run",
    *,
    rows: Mapping[str, Sequence[float]] | None = None,
    first_step: int = 1,
    **facts: Any,  # noqa: ANN401
) -> RunData:
    """A run whose metrics are these, by step from `first_step`."""
    columns = dict(rows or {})
    length = max((len(values) for values in columns.values()), default=0)
    steps = np.arange(first_step, first_step + length)
    frame = pd.DataFrame(
        {key: np.asarray(values, dtype="float64") for key, values in columns.items()},
        index=pd.Index(steps, name="step"),
    )
    frame["branch"], frame["attempt"], frame["time"] = 0, 1, 1000.0 + steps
    empty = {"written": pd.DataFrame(columns=WRITTEN), "purchases": pd.DataFrame(columns=PURCHASES)}
    told: dict[str, Any] = {"policy": "care", "seed": 1, "state": "done", **empty, **facts}
    return RunData(name=name, folder=Path(name), rows=frame, **told)


def write_run(
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    *,
    attempts: Sequence[Mapping[str, Any]] = ({},),
    ledger: Sequence[Mapping[str, Any]] = (),
    config: Mapping[str, Any] | None = None,
) -> Path:
    """A run's folder whose rows all come from attempt 1 unless they name another one.

    `attempts` are the tokens' facts that are not the usual ones; every token seals the segments of
    the one before.
    """
    for part in ("attempts", "metrics", "ledger"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG | dict(config or {})))
    write_lines(folder / "ledger" / "1.jsonl", ledger)
    for number, facts in enumerate(attempts, start=1):
        before = {kind: asdict(seal_file(segment(folder, kind, number - 1))) for kind in SEALED}
        token = {
            "version": 2,
            "number": number,
            "resumed_from": 0,
            "branch": 0,
            "reason": "start",
            "seals": before if number > 1 else {},
            "setup": {"world_size": 1},
            "host": "n1",
            "pid": 1,
            "started": "2026-01-01T00:00:00+00:00",
            "nonce": f"{folder.name}{number}",
        }
        (folder / "attempts" / f"{number}.json").write_text(json.dumps(token | dict(facts)))
        own = [row for row in rows if row.get("attempt", 1) == number]
        lines = [{"v": 1, "branch": 0, "attempt": number, "time": 0.0, **row} for row in own]
        write_lines(segment(folder, "metrics", number), lines)
    return folder


def write_lines(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """A JSON-lines file."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
