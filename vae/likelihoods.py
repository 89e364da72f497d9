"""Likelihoods as exponential families, and a density that PyTorch does not compute well enough."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Bernoulli, ContinuousBernoulli, Independent, Normal
from torch.nn import functional

#: Below this |logit| the closed forms lose digits to cancellation, and a series is exact.
SMALL = 0.5
#: Below this |logit| a parabola in the probability gives the quantiles to 1e-9.
FLAT = 1e-4
#: Taylor coefficients of (coth(l / 2) / 2 - 1 / l) / l and of log(sinh(a) / a) / a^2, in squares.
MEAN = (1 / 12, -1 / 720, 1 / 30_240, -1 / 1_209_600, 1 / 47_900_160)
LOG_SINHC = (1 / 6, -1 / 180, 1 / 2_835, -1 / 37_800, 1 / 467_775)


class StableContinuousBernoulli(ContinuousBernoulli):
    r"""A continuous Bernoulli whose density integrates to 1 for every logit, in float32 too.

    .. math:: \log p(x) = l x - \log \frac{e^l - 1}{l}, \qquad
        \mathbb{E}[x] = \frac{1}{1 - e^{-l}} - \frac{1}{l}

    PyTorch 2.13 clamps the normaliser near |l| = 16, beyond which its density loses mass and its
    draws their place, and its mean is noisy near l = 0. Draws come from ``icdf``.

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

    @property
    def variance(self) -> Tensor:
        """The variance, the derivative of the mean: 1 / l² - 1 / (4 sinh²(l / 2))."""
        logits = self.logits
        tiny = logits.abs() < SMALL
        safe = torch.where(tiny, torch.ones_like(logits), logits)
        slopes = tuple((2 * k + 1) * c for k, c in enumerate(MEAN))
        series = _polynomial(logits.square(), slopes)
        return torch.where(tiny, series, safe**-2 - 0.25 * torch.sinh(safe / 2) ** -2)

    def icdf(self, value: Tensor) -> Tensor:
        r"""Quantiles of probabilities u in [0, 1]; ``sample`` and ``rsample`` draw u evenly.

        .. math:: x = 1 + \tfrac{1}{l} \log\left(u + (1 - u) e^{-l}\right) \text{ for } l > 0

        mirrored for l < 0, and u where l = 0.
        """
        logits = self.logits
        near, upper = logits.abs() < FLAT, logits > 0
        safe = torch.where(near, torch.ones_like(logits), logits.abs())
        left = torch.where(upper, 1 - value, value)
        away = -torch.log1p(left * torch.expm1(-safe)) / safe  # from the end where the mass is
        x = torch.where(upper, 1 - away, away).clamp(0, 1)
        return torch.where(near, value + logits * value * (1 - value) / 2, x)


def likelihood(name: str, out: Tensor, log_scale: Tensor | None, event_dims: int) -> Independent:
    """p(x given z) from what a decoder's body gives: logits, or the means of a Gaussian.

    Arguments:
        name: ``"bernoulli"``, ``"continuous-bernoulli"`` or ``"gaussian"``.
        out: With shape (*, *event).
        log_scale: The log of a Gaussian's standard deviation, a scalar; of the others None.
        event_dims: How many axes an event has.

    Returns:
        A factorised distribution with batch shape (*).

    Example:
        >>> likelihood("bernoulli", torch.zeros(5, 1, 8, 8), None, 3).batch_shape
        torch.Size([5])
    """
    if name == "bernoulli":
        p_x = Bernoulli(logits=out, validate_args=False)
    elif name == "continuous-bernoulli":
        p_x = StableContinuousBernoulli(logits=out, validate_args=False)
    else:
        p_x = Normal(out, log_scale.exp().expand_as(out), validate_args=False)
    return Independent(p_x, event_dims, validate_args=False)


class Natural(NamedTuple):
    """A likelihood as an exponential family: natural parameters (*, d), log-partition (*)."""

    eta: Tensor
    log_partition: Tensor


def natural(p_x: Independent, observed: Tensor | None = None) -> Natural:
    r"""A decoder's answers as exponential families, in which the log-likelihood is linear in x.

    .. math:: \log p(x \mid z) = \eta(z) \cdot x - A(z) + c(x)

    All data against all latents are then one matrix product. For a Bernoulli η is the logits and
    A = Σ softplus(η); for a Gaussian η = μ/σ² and A = |μ|²/2σ².

    Arguments:
        p_x: The decoder's distribution, with batch shape (*).
        observed: Which of the d coordinates of a datum count, a mask with shape (d) in the order
            of ``x.flatten()``; all if not given. The others drop out of the likelihood.

    Returns:
        η with shape (*, d), or (*, number observed), and A with shape (*), in nats.

    Raises:
        TypeError: If the likelihood is of another kind.

    Source:
        Wainwright & Jordan 2008, Graphical Models, Exponential Families, and Variational Inference.

    Example:
        >>> p_x = Independent(Bernoulli(logits=torch.zeros(2, 1, 3)), 2)
        >>> natural(p_x).log_partition  # 3 log 2
        tensor([2.0794, 2.0794])
    """
    base = p_x.base_dist
    d = math.prod(p_x.event_shape)

    def flat(t: Tensor) -> Tensor:
        t = t.reshape(*p_x.batch_shape, d)
        return t if observed is None else t[..., observed]

    if isinstance(base, ContinuousBernoulli):
        eta = flat(base.logits)
        return Natural(eta, (eta / 2 + _log_sinhc(eta.abs() / 2)).sum(-1))
    if isinstance(base, Bernoulli):
        eta = flat(base.logits)
        return Natural(eta, functional.softplus(eta).sum(-1))
    if isinstance(base, Normal):
        loc, scale = flat(base.loc), flat(base.scale)
        return Natural(loc / scale**2, 0.5 * (loc / scale).square().sum(-1))
    raise TypeError(f"{type(base).__name__} is not one of the likelihoods of this project")


def log_base(p_x: Independent, x: Tensor, observed: Tensor | None = None) -> Tensor:
    """The part c(x) of the log-likelihood that no latent changes; see ``natural``.

    Arguments:
        p_x: Any answer of the decoder: of a Gaussian the scale matters, which z does not change.
        x: Data, with shape (N, *event).
        observed: As for ``natural``.

    Returns:
        c(x), with shape (N), in nats; 0 for the two Bernoullis.
    """
    x = x.flatten(1)
    x = x if observed is None else x[:, observed]
    if not isinstance(p_x.base_dist, Normal) or not x.shape[1]:
        return x.new_zeros(len(x))
    scale = p_x.base_dist.scale.reshape(-1)[0]
    d = x.shape[1]
    return -0.5 * (x / scale).square().sum(-1) - d * (scale.log() + 0.5 * math.log(2 * math.pi))


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
