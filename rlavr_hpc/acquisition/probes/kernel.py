"""Kernel ridge regression with a linear kernel: the mean of a Gaussian process, refitted at once.

Shapes: E examples, F features, N rows to predict.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class KernelRidge:
    """A fit of targets around `centre`."""

    rows_EF: Array
    dual_E: Array
    left_out_E: Array
    """What each example would be predicted to be had it not been among the examples."""
    centre: float

    def predict(self, rows_NF: Array) -> Array:
        """Predictions (N,)."""
        predicted_N: Array = _kernel(rows_NF, self.rows_EF) @ self.dual_E + self.centre
        return predicted_N


def fit(rows_EF: Array, targets_E: Array, *, ridge: float, centre: float) -> KernelRidge:
    """Fit targets; far from all examples the prediction is `centre`.

    The left-out predictions are y_i - alpha_i / (K + ridge)^-1_ii, exact and without refitting
    (Rasmussen & Williams, Gaussian Processes for Machine Learning, eq. 5.12).

    Args:
        rows_EF: features.
        targets_E: what was seen.
        ridge: variance of the noise on the targets.
        centre: the prior mean.
    """
    inverse_EE = np.linalg.inv(_kernel(rows_EF, rows_EF) + ridge * np.eye(len(rows_EF)))
    dual_E = inverse_EE @ (targets_E - centre)
    return KernelRidge(
        rows_EF=rows_EF,
        dual_E=dual_E,
        left_out_E=targets_E - dual_E / np.diag(inverse_EE),
        centre=centre,
    )


def _kernel(left_NF: Array, right_EF: Array) -> Array:
    """Inner products, and 1 for a constant that is learnt too."""
    products: Array = left_NF @ right_EF.T + 1.0
    return products
