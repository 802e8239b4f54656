"""Certificate: audited votes were right at least so often, on average until now."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlavr_hpc.telemetry.collapse.alarm.wealth import Array

TILTS_L = np.log([1.15, 1.5, 2.5, 6.0, 30.0])
SHARES_C = np.arange(1, 1000) / 1000.0
"""Values that the certificate may have."""


@dataclass(slots=True, kw_only=True)
class Certificate:
    """A lower bound on the mean chance of a right vote over all audits, valid at every time.

    mean over l of exp(l S - n log(1 - c + c e^l)), S right votes of n, is not expected to exceed 1
    where the mean chance is at most c (the Bernoulli sub-psi mixture of "Time-uniform Chernoff
    bounds and confidence sequences", arXiv 1810.08240; the chance may drift). It says nothing of
    the chance *now*.
    """

    audits: int = 0
    right: int = 0

    def see(self, right: bool) -> None:
        """See one audited vote."""
        self.audits += 1
        self.right += int(right)

    def share(self, *, level: float) -> float:
        """The largest share of right votes certified; 0 = none. False with chance `level`."""
        certified_C = log_evidence(self.right, self.audits, SHARES_C) >= -np.log(level)
        return float(SHARES_C[certified_C][-1]) if certified_C.any() else 0.0

    def words(self, *, level: float) -> str:
        """What is certified, in a sentence; "" where nothing is."""
        share = self.share(level=level)
        if not share:
            return ""
        return (
            f"trusted votes were right on at least {math.floor(100 * share)}% on average "
            f"(certified by {self.audits} audits, {self.right} right)"
        )

    def state(self) -> dict[str, Any]:
        """For a checkpoint: plain numbers."""
        return {"audits": self.audits, "right": self.right}

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> Certificate:
        """The inverse of `state`; KeyError, TypeError or ValueError where it is none."""
        return cls(audits=int(state["audits"]), right=int(state["right"]))


def log_evidence(right: int | Array, audits: int | Array, share: float | Array) -> Array:
    """Log of the evidence that votes were right more often than `share` on average.

    Args:
        right: right votes; any shape.
        audits: of so many, of the same shape.
        share: c, of the same shape; above 0 and below 1.
    """
    s, n, c = (np.asarray(value, float)[..., None] for value in (right, audits, share))
    exponents = TILTS_L * s - n * np.log(1.0 - c + c * np.exp(TILTS_L))
    top = exponents.max(-1)
    evidence: Array = top + np.log(np.exp(exponents - top[..., None]).mean(-1))
    return evidence
