"""Densities of data that PyTorch does not compute well enough."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import ContinuousBernoulli

#: Below this |logit| the closed forms lose digits to cancellation, and a series is exact.
SMALL = 0.5
#: Taylor coefficients of (coth(l / 2) / 2 - 1 / l) / l and of log(sinh(a) / a) / a^2, in squares.
MEAN = (1 / 12, -1 / 720, 1 / 30_240, -1 / 1_209_600, 1 / 47_900_160)
LOG_SINHC = (1 / 6, -1 / 180, 1 / 2_835, -1 / 37_800, 1 / 467_775)


class StableContinuousBernoulli(ContinuousBernoulli):
    r"""A continuous Bernoulli whose density integrates to 1 for every logit, in float32 too.

    .. math:: \log p(x) = l x - \log \frac{e^l - 1}{l}, \qquad
        \mathbb{E}[x] = \frac{1}{1 - e^{-l}} - \frac{1}{l}

    PyTorch 2.13 clamps the normaliser near |l| = 16, beyond which its density loses mass, and its
    mean is noisy near l = 0.

    Arguments:
        logits: The natural parameter l, with shape (*), without unit.

    Raises:
        ValueError: As its base class does.

    Source:
        Loaiza-Ganem & Cunningham 2019, The continuous Bernoulli, eq. 2 to 5.

    Example:
        >>> p = StableContinuousBernoulli(logits=torch.tensor([0.0, 60.0]))
        >>> p.log_prob(torch.ones(2)), p.mean
        (tensor([0.0000, 4.0943]), tensor([0.5000, 0.9833]))
    """

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-density of values in [0, 1], in nats."""
        return self.logits * (value - 0.5) - _log_sinhc(self.logits.abs() / 2)

    @property
    def mean(self) -> Tensor:
        """The mean, in (0, 1)."""
        logits = self.logits
        tiny = logits.abs() < SMALL
        safe = torch.where(tiny, torch.ones_like(logits), logits)
        series = logits * _polynomial(logits.square(), MEAN)
        return 0.5 + torch.where(tiny, series, 0.5 / torch.tanh(safe / 2) - 1 / safe)


def _log_sinhc(a: Tensor) -> Tensor:
    """log(sinh(a) / a) for a >= 0: zero at zero, and a - log(2 a) far from it."""
    tiny = a < SMALL / 2
    safe = torch.where(tiny, torch.ones_like(a), a)
    series = a.square() * _polynomial(a.square(), LOG_SINHC)
    return torch.where(tiny, series, safe + torch.log1p(-torch.exp(-2 * safe)) - (2 * safe).log())


def _polynomial(x: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """The polynomial with these coefficients, the constant one first, by Horner's rule."""
    total = torch.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + coefficient
    return total
