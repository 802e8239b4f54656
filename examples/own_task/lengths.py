"""A task of one's own: lengths with their units, and part of the reward for a near miss."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rlavr_hpc.answers.tasks.protocol import Task

METRES = {"mm": 0.001, "cm": 0.01, "m": 1.0, "km": 1000.0}


@dataclass(frozen=True, kw_only=True)
class LengthTask(Task):
    """Answers such as `1.5 km`; a bare number is in metres.

    The fields are the settings: `task.settings.near=0.2`.
    """

    near: float = 0.1
    """Within this share of the label half of the reward is paid."""

    def extract(self, response: str, question: str) -> str | None:
        """The last length in the response."""
        found = re.findall(r"-?\d{1,9}(?:\.\d{1,6})?(?: ?(?:mm|cm|km|m)\b)?", response)
        return found[-1] if found else None

    def equal(self, one: str, other: str) -> bool:
        """1500 m and 1.5 km are one answer in the vote."""
        return abs(metres(one) - metres(other)) < 1e-9

    def grade(self, answer: str, label: str, question: str) -> float:
        """1 for the length, 0.5 for one that is near, else 0."""
        gap = abs(metres(answer) - metres(label))
        return 1.0 if gap < 1e-9 else 0.5 if gap <= self.near * abs(metres(label)) else 0.0


def metres(length: str) -> float:
    """`1.5 km` is 1500."""
    number, unit = re.fullmatch(r"(-?[\d.]+) ?(\w*)", length).groups()  # an error: ungradable
    return float(number) * METRES[unit or "m"]
