"""Kernel ridge regression with a linear kernel: the mean of a Gaussian process, refitted at once.

Shapes: E examples, F features, N rows to predict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, solve_triangular

Array = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class KernelRidge:
    """A fit of targets around `centre`."""

    rows_EF: Array
    targets_E: Array
    dual_E: Array
    factor_EE: Array
    """Lower triangular, of the kernel matrix with the noise on its diagonal; zero above."""
    centre: float

    def predict(self, rows_NF: Array) -> Array:
        """Predictions (N,)."""
        predicted_N: Array = _kernel(rows_NF, self.rows_EF) @ self.dual_E + self.centre
        return predicted_N

    def left_out(self) -> Array:
        """What each example (E,) would be predicted to be had it not been among the examples.

        y_i - alpha_i / C_ii with the inverse C of the kernel matrix, exact and without refitting
        (Rasmussen & Williams, Gaussian Processes for Machine Learning, eq. 5.12).
        """
        whitened_EE = solve_triangular(self.factor_EE, np.eye(len(self.dual_E)), lower=True)
        found: Array = self.targets_E - self.dual_E / np.square(whitened_EE).sum(0)
        return found

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
        wanted = sorted({e for out in left_out for e in out})
        if not wanted:
            return predicted_N
        place = {e: u for u, e in enumerate(wanted)}
        columns_EU = cho_solve((self.factor_EE, True), np.eye(len(self.dual_E))[:, wanted])
        lost_NU = kernel_NE @ columns_EU
        for n, out in enumerate(left_out):
            if out:
                own = [place[e] for e in out]
                weights_G = np.linalg.solve(columns_EU[np.ix_(out, own)], self.dual_E[list(out)])
                predicted_N[n] -= lost_NU[n, own] @ weights_G
        return predicted_N


def fit(rows_EF: Array, targets_E: Array, *, ridge: float | Array, centre: float) -> KernelRidge:
    """Fit targets; far from all examples the prediction is `centre`.

    Args:
        rows_EF: features.
        targets_E: what was seen.
        ridge: variance of the noise on the targets, of all or (E,) of each.
        centre: the prior mean.
    """
    kernel_EE = _kernel(rows_EF, rows_EF) + ridge * np.eye(len(rows_EF))
    factor_EE = np.tril(cho_factor(kernel_EE, lower=True)[0])
    return KernelRidge(
        rows_EF=rows_EF,
        targets_E=targets_E,
        dual_E=cho_solve((factor_EE, True), targets_E - centre),
        factor_EE=factor_EE,
        centre=centre,
    )


def _kernel(left_NF: Array, right_EF: Array) -> Array:
    """Inner products, and 1 for a constant that is learnt too."""
    products: Array = left_NF @ right_EF.T + 1.0
    return products
