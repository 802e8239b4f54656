"""What every metric of a row means, from the tables in `metrics/GROUP.toml`. No torch.

`GLOSSARY` has one entry for each constant of `names`, and one for each family of names that a run
fills in. `find` knows the entry of a name that stands in a row.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from rlavr_hpc.telemetry.glossary.metric_info import MetricInfo, Reduction

FOLDER: Final = Path(__file__).parent / "metrics"
ABOUT: Final = "about"
"""Key of a table that says what its group is about; the others are metrics."""
ORDER: Final = ("collapse", "train", "labels", "eval", "oracle", "grade", "time", "perf", "sys")


def _read(group: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{group}.toml").read_text(encoding="utf-8"))


def _entries(table: dict[str, Any]) -> Iterator[MetricInfo]:
    for name, facts in table.items():
        if name != ABOUT:
            reduction = Reduction(facts.pop("reduction", Reduction.mean))
            elsewhere = tuple(facts.pop("elsewhere", ()))
            yield MetricInfo(name=name, reduction=reduction, elsewhere=elsewhere, **facts)


_TABLES: Final = {group: _read(group) for group in ORDER}
GROUPS: Final[dict[str, str]] = {group: table[ABOUT] for group, table in _TABLES.items()}
"""Group -> what it is about."""
ROW_KEYS: Final = {
    "v": "version of the format",
    "step": "from 1; 0 is the evaluation before the first step",
    "branch": "raised by a roll-back",
    "attempt": "which start of the run wrote the row",
    "time": "when, in seconds since 1970",
}
"""What a row holds besides metrics."""
GLOSSARY: Final[tuple[MetricInfo, ...]] = tuple(
    info for table in _TABLES.values() for info in _entries(table)
)


@lru_cache(maxsize=4096)
def find(name: str) -> MetricInfo | None:
    """The entry of a metric by the name it has in a row; None when nobody knows it."""
    return next((info for info in GLOSSARY if info.names(name)), None)
