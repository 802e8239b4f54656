"""What is wrong with a run's rows, by the glossary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rlavr_hpc.telemetry.glossary.entries import ROW_KEYS, find


def strange_values(rows: Iterable[Mapping[str, float]]) -> list[str]:
    """`step S: name value` of every value that the glossary does not know or does not allow."""
    return [
        f"step {row['step']}: {name} {value}"
        for row in rows
        for name, value in row.items()
        if name not in ROW_KEYS and ((info := find(name)) is None or not info.allows(value))
    ]
