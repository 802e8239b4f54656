"""Kernel ridge regression with a linear kernel: the mean of a Gaussian process, refitted at once.

Shapes: E examples, F features, N rows to predict.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    inverse_EE: Array
    """Of the kernel matrix with the noise on its diagonal."""
    left_out_E: Array
    """What each example would be predicted to be had it not been among the examples."""
    centre: float

    def predict(self, rows_NF: Array) -> Array:
        """Predictions (N,)."""
        predicted_N: Array = _kernel(rows_NF, self.rows_EF) @ self.dual_E + self.centre
        return predicted_N

    def predict_without(self, rows_NF: Array, left_out: Sequence[Sequence[int]]) -> Array:
        """Predictions (N,), each as if some of the examples had not been there.

        Without the examples G the dual weights are alpha - C_G (C_GG)^-1 alpha_G, where C is the
        inverse above: the block form of the inverse of a partitioned matrix.

        Args:
            rows_NF: what to predict.
            left_out: for each row the examples to leave out.
        """
        kernel_NE = _kernel(rows_NF, self.rows_EF)
        predicted_N: Array = kernel_NE @ self.dual_E + self.centre
        for n, out in enumerate(left_out):
            if out:
                columns_EG = self.inverse_EE[:, list(out)]
                weights_G = np.linalg.solve(columns_EG[list(out)], self.dual_E[list(out)])
                predicted_N[n] -= kernel_NE[n] @ (columns_EG @ weights_G)
        return predicted_N


def fit(rows_EF: Array, targets_E: Array, *, ridge: float | Array, centre: float) -> KernelRidge:
    """Fit targets; far from all examples the prediction is `centre`.

    The left-out predictions are y_i - alpha_i / (K + ridge)^-1_ii, exact and without refitting
    (Rasmussen & Williams, Gaussian Processes for Machine Learning, eq. 5.12).

    Args:
        rows_EF: features.
        targets_E: what was seen.
        ridge: variance of the noise on the targets, of all or (E,) of each.
        centre: the prior mean.
    """
    inverse_EE = np.linalg.inv(_kernel(rows_EF, rows_EF) + ridge * np.eye(len(rows_EF)))
    dual_E = inverse_EE @ (targets_E - centre)
    return KernelRidge(
        rows_EF=rows_EF,
        dual_E=dual_E,
        inverse_EE=inverse_EE,
        left_out_E=targets_E - dual_E / np.diag(inverse_EE),
        centre=centre,
    )


def _kernel(left_NF: Array, right_EF: Array) -> Array:
    """Inner products, and 1 for a constant that is learnt too."""
    products: Array = left_NF @ right_EF.T + 1.0
    return products
