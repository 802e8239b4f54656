"""Estimators of KL(policy || reference) per token, to be minimized (Schulman 2020: k1, k2, k3).

With d = log ref - log pi of a token that the policy sampled:

| name | value | gradient, as minimized here |
|---|---|---|
| k1 | -d, unbiased, may be negative | -d grad log pi |
| k2 | d^2 / 2, biased, low variance | -d grad log pi |
| k3 | exp(d) - d - 1, unbiased, never negative | (1 - exp(d)) grad log pi |

The gradient of KL(policy || reference) is the mean of -d grad log pi. k2 has this gradient; k3 has
that of KL(reference || policy). The gradient of k1 itself is grad log pi, whose mean is zero, so it
would have no effect; therefore k1 is given the gradient of k2. This holds for tokens that the
policy sampled: exactly in a step's first update, approximately in later ones. As usual where the
term is part of the loss, its gradient through the following tokens is left out.

Shapes: R response tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch


def k1(logp_R: torch.Tensor, reference_R: torch.Tensor) -> torch.Tensor:
    """(R,) log pi - log ref, with the gradient of `k2`."""
    log_ratio_R = (logp_R - reference_R).detach()
    return log_ratio_R + log_ratio_R * (logp_R - logp_R.detach())


def k2(logp_R: torch.Tensor, reference_R: torch.Tensor) -> torch.Tensor:
    """(R,) half the square of the difference."""
    return (logp_R - reference_R).square() / 2


def k3(logp_R: torch.Tensor, reference_R: torch.Tensor) -> torch.Tensor:
    """(R,) exp(d) - d - 1, d = log ref - log pi."""
    d_R = reference_R - logp_R
    return d_R.exp() - d_R - 1


Estimator = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
ESTIMATORS: Final[dict[str, Estimator]] = {"k1": k1, "k2": k2, "k3": k3}
"""Name -> (log-probabilities, those of the reference) -> per token."""
