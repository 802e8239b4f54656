"""Estimators of KL(policy || reference) per token, to be minimized (Schulman 2020: k1, k2, k3).

With d = log ref - log pi of a token that the policy drew:

| name | value | gradient, as minimized here |
|---|---|---|
| k1 | -d, unbiased, may be negative | -d grad log pi |
| k2 | d^2 / 2, biased, low variance | -d grad log pi |
| k3 | exp(d) - d - 1, unbiased, never negative | (1 - exp(d)) grad log pi |

The gradient of KL(policy || reference) is the mean of -d grad log pi. k2 has it; k3 has that of
KL(reference || policy); that of k1 itself would be grad log pi, whose mean is zero: it would pull
nowhere. So k1 comes with the right gradient, which is k2's. All this holds for tokens that the
policy drew: exactly in a step's first update, nearly in later ones. A gradient through the
following tokens is left out, as everybody does who puts the term into the loss.

Shapes: R response tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch


def k1(logp_R: torch.Tensor, reference_R: torch.Tensor) -> torch.Tensor:
    """(R,) log pi - log ref, with the gradient of `k2`."""
    ahead_R = (logp_R - reference_R).detach()
    return ahead_R + ahead_R * (logp_R - logp_R.detach())


def k2(logp_R: torch.Tensor, reference_R: torch.Tensor) -> torch.Tensor:
    """(R,) half the square of the difference."""
    return (logp_R - reference_R).square() / 2


def k3(logp_R: torch.Tensor, reference_R: torch.Tensor) -> torch.Tensor:
    """(R,) exp(d) - d - 1, d = log ref - log pi."""
    gap_R = reference_R - logp_R
    return gap_R.exp() - gap_R - 1


Estimator = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
ESTIMATORS: Final[dict[str, Estimator]] = {"k1": k1, "k2": k2, "k3": k3}
"""Name -> (log-probabilities, those of the reference) -> per token."""
