"""What is known exactly of data under a model: by a closed form, or on a grid of two dimensions."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import (
    Distribution,
    Independent,
    MultivariateNormal,
    Normal,
    kl_divergence,
)

from vae import bounds, families, linear, quadrature
from vae.grid import Grid
from vae.model import VAE

#: Data whose q is integrated at once.
TILE = 100
#: Nodes per dimension behind an ELBO; half as many tell its error.
NODES = 32


class Truth(NamedTuple):
    """log p(x) of N data and their true posteriors, float64, in nats.

    ``log_evidence`` (N) and its ``error`` (N); ``loc`` (N, D) and ``covariance`` (N, D, D) of the
    posterior.
    """

    log_evidence: Tensor
    error: Tensor
    loc: Tensor
    covariance: Tensor


class Fit(NamedTuple):
    """How well q fits, with shape (N), float64, in nats: its ELBO and its divergence from the true
    posterior, each with its error. Neither is computed from the other."""

    elbo: Tensor
    elbo_error: Tensor
    kl: Tensor
    kl_error: Tensor


def is_known(model: VAE) -> bool:
    """Whether log p(x) can be had exactly: of a linear model, and with up to two dimensions.

    Example:
        >>> from vae.presets import PRESETS
        >>> is_known(VAE(PRESETS["digits-2d"])), is_known(VAE(PRESETS["mnist-50d"]))
        (True, False)
    """
    return linear.is_linear(model) or model.latent_dim <= 2


@torch.no_grad()
def truth(
    model: VAE,
    x: Tensor,
    grid: Grid | None = None,
    progress: Callable[[int], object] = lambda n: None,
) -> Truth:
    """log p(x) of every datum and its true posterior.

    Arguments:
        model: A linear model, or one with one or two latent dimensions.
        x: Data, with shape (N, *event).
        grid: The model's grid; decoded here if not given, and not needed for a closed form.
        progress: Called now and then with the number of data done since.

    Returns:
        The truth; see ``Truth``. The error is zero for a closed form.

    Raises:
        QuadratureError: If neither holds, or if the data or the weights cannot be used.

    Source:
        ``vae.linear`` and ``vae.quadrature``.

    Example:
        >>> from vae.presets import PRESETS
        >>> truth(VAE(PRESETS["digits-linear-2d"]), torch.zeros(3, 1, 8, 8)).loc.shape
        torch.Size([3, 2])
    """
    if not linear.is_linear(model):
        found = quadrature.evidence(model, x, grid, progress=progress)
        return Truth(found.log_evidence, found.error, found.loc, found.covariance)
    log_evidence, posterior = linear.log_evidence(model, x), linear.posterior(model, x)
    progress(len(x))
    error = torch.zeros_like(log_evidence)
    return Truth(log_evidence, error, posterior.loc, posterior.covariance_matrix)


@torch.no_grad()
def fit(
    model: VAE,
    x: Tensor,
    log_evidence: Tensor,
    progress: Callable[[int], object] = lambda n: None,
) -> Fit | None:
    """How well the encoder's q fits every datum.

    Arguments:
        model: As for ``truth``.
        x: Data, with shape (N, *event).
        log_evidence: log p(x), with shape (N), in nats.
        progress: Called after each tile with the number of its data.

    Returns:
        ELBO and divergence; nothing for a flow over more than two dimensions, which has neither.

    Raises:
        QuadratureError: As ``truth`` does.

    Source:
        Gauss-Hermite nodes and lattices in ``vae.quadrature``; closed forms of Gaussians.

    Example:
        >>> from vae.presets import PRESETS
        >>> model, x = VAE(PRESETS["digits-linear-2d"]), torch.zeros(3, 1, 8, 8)
        >>> log_p = truth(model, x).log_evidence
        >>> found = fit(model, x, log_p)
        >>> torch.allclose(found.elbo + found.kl, log_p)
        True
    """
    parts = []
    for tile, log_p in zip(x.split(TILE), log_evidence.split(TILE), strict=True):
        q = model.encode(tile)
        if model.latent_dim <= 2:
            kl, error = quadrature.kl(model, tile, q, log_p)
            coarse, elbo = (quadrature.elbo(model, tile, q, n=n) for n in (NODES // 2, NODES))
            parts.append(Fit(elbo, (elbo - coarse).abs(), kl, error))
        elif isinstance(q, Independent | MultivariateNormal):
            parts.append(_closed(model, tile, q))
        else:
            return None
        progress(len(tile))
    return Fit(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _closed(model: VAE, x: Tensor, q: Distribution) -> Fit:
    """Of a Gaussian q and a linear model."""
    weight, mean, scale = linear.parameters(model)
    loc, covariance = q.mean.double(), families.covariance(q).double()
    gaussian = MultivariateNormal(loc, covariance, validate_args=False)
    kl = kl_divergence(gaussian, linear.posterior(model, x))
    p_x = Normal(loc @ weight.T + mean, scale, validate_args=False)
    spread = torch.einsum("di,nij,dj->n", weight, covariance, weight) / (2 * scale**2)
    expected = p_x.log_prob(x.flatten(1).double()).sum(1) - spread
    elbo, none = expected - bounds.rate(gaussian, model.prior()), torch.zeros_like(kl)
    return Fit(elbo, none, kl, none)
