"""New data from a model: latents from three distributions, and what they decode to.

A VAE is trained to be sampled from its prior; where the encoder leaves holes in the prior, those
samples come from places that the decoder never saw. Draws from the aggregate posterior, or from a
density fitted after training, stay where the data are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vae import families
from vae.model import VAE

#: Data encoded at once.
TILE = 1_000
#: A covariance of its own for each component is fitted to at least so many data a dimension.
DATA_PER_DIMENSION = 10
#: What is added to each variance so that none is zero, as a share of that of the means.
FLOOR = 1e-6


class Sampled(NamedTuple):
    """Latents (n, D) and where each came from (n): the row of a datum, or a component; None for
    the prior."""

    z: np.ndarray
    source: np.ndarray | None


class Mixture(NamedTuple):
    """A Gaussian mixture: weights (C), means (C, D), covariances (C, D, D); ``full`` tells whether
    a component may lean."""

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    full: bool


def from_prior(model: VAE, n: int, *, seed: int = 0) -> Sampled:
    """Latents from p(z) = N(0, I).

    Arguments:
        model: The model.
        n: How many.
        seed: Seed of the draws.

    Returns:
        The latents; see ``Sampled``.

    Raises:
        Nothing of its own.

    Source:
        Kingma & Welling 2014.

    Example:
        >>> from vae.config import RunConfig
        >>> from_prior(VAE(RunConfig(hidden=(8,))), 5).z.shape
        (5, 2)
    """
    generator = torch.Generator().manual_seed(seed)
    return Sampled(torch.randn(n, model.latent_dim, generator=generator).double().numpy(), None)


@torch.no_grad()
def from_aggregate(model: VAE, x: Tensor, n: int, *, seed: int = 0) -> Sampled:
    r"""Latents from the aggregate posterior: a datum is chosen, then its q is drawn from.

    .. math:: q(z) = \tfrac{1}{N} \textstyle\sum_n q(z \mid x_n)

    Arguments:
        model: The model.
        x: The N data, with shape (N, *event).
        n: How many; data may be chosen again.
        seed: Seed of the choice and of the draws.

    Returns:
        The latents and the rows of x that they came from; see ``Sampled``.

    Raises:
        ValueError: If there are no data.

    Source:
        Tomczak & Welling 2018, VAE with a VampPrior: the prior that maximises the ELBO.

    Example:
        >>> from vae.config import RunConfig
        >>> model = VAE(RunConfig(dataset="digits", hidden=(8,)))
        >>> from_aggregate(model, torch.zeros(3, 1, 8, 8), 5).z.shape
        (5, 2)
    """
    if not len(x):
        raise ValueError("the aggregate posterior needs one datum at least")
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randint(len(x), (n,), generator=generator)
    noise = torch.randn(n, model.latent_dim, generator=generator)
    parts = [
        families.push(model.encode(x[rows]), eps)[0]
        for rows, eps in zip(chosen.split(TILE), noise.split(TILE), strict=True)
    ]
    return Sampled(torch.cat(parts).double().numpy(), chosen.numpy())


def fit_mixture(
    loc: np.ndarray, variance: np.ndarray | None = None, *, components: int = 10, seed: int = 0
) -> Mixture:
    """A Gaussian mixture fitted to the means of q by EM: a density for the codes, found afterwards.

    With the mean variance of q added to its components it stands for the aggregate posterior: a
    dimension that the encoder does not use, whose means are all near 0, is then as wide as the
    prior. Without, it is a density of the means alone.

    With fewer than ``DATA_PER_DIMENSION`` data a component and dimension, covariances are diagonal,
    and there are never more components than different means. A millionth of the largest variance
    of the means is added to each variance, so that means on a line, or all alike, are no trouble.

    Arguments:
        loc: The means, with shape (N, D).
        variance: The mean variance of q along each dimension, with shape (D), added to all
            components; none if not given.
        components: How many components at most.
        seed: Seed of the first guess, by k-means.

    Returns:
        The mixture; see ``Mixture``.

    Raises:
        ValueError: If there are no data.

    Source:
        Ghosh et al. 2020, From Variational to Deterministic Autoencoders, section 4: ex-post
        density estimation, with 10 full components, there of the means alone; fitted by
        scikit-learn. Law of total variance for what is added.

    Example:
        >>> mixture = fit_mixture(np.array([[0.0], [0.1], [9.0], [9.1]]), components=2)
        >>> np.sort(mixture.means[:, 0]).round(2), mixture.full
        (array([0.05, 9.05]), False)
    """
    from sklearn.mixture import GaussianMixture  # takes as long to import as torch

    loc = np.asarray(loc, dtype=float)
    N, D = loc.shape
    if not N:
        raise ValueError("a mixture needs one datum at least")
    components = min(components, len(np.unique(loc, axis=0)))
    full = components * D * DATA_PER_DIMENSION <= N
    floor = FLOOR * float(loc.var(axis=0).max()) or FLOOR
    width = np.diag(np.zeros(D) if variance is None else np.asarray(variance, dtype=float))
    if N == 1:
        return Mixture(np.ones(1), loc, (floor * np.eye(D) + width)[None], False)
    kind = "full" if full else "diag"
    fitted = GaussianMixture(
        components, covariance_type=kind, random_state=seed, reg_covar=floor
    ).fit(loc)
    covariances = fitted.covariances_ if full else fitted.covariances_[:, :, None] * np.eye(D)
    return Mixture(fitted.weights_, fitted.means_, covariances + width, full)


def from_mixture(mixture: Mixture, n: int, *, seed: int = 0) -> Sampled:
    """Latents from a Gaussian mixture: a component is chosen by its weight, then drawn from.

    Arguments:
        mixture: The mixture.
        n: How many.
        seed: Seed of the choice and of the draws.

    Returns:
        The latents and their components; see ``Sampled``.

    Raises:
        numpy.linalg.LinAlgError: If a covariance is not positive definite.

    Source:
        Ghosh et al. 2020.

    Example:
        >>> mixture = Mixture(np.ones(1), np.zeros((1, 3)), np.eye(3)[None], True)
        >>> from_mixture(mixture, 5).z.shape
        (5, 3)
    """
    random = np.random.default_rng(seed)
    chosen = random.choice(len(mixture.weights), size=n, p=mixture.weights / mixture.weights.sum())
    noise = random.standard_normal((n, mixture.means.shape[1]))
    factors = np.linalg.cholesky(mixture.covariances)
    z = mixture.means[chosen] + np.einsum("nij,nj->ni", factors[chosen], noise)
    return Sampled(z, chosen)


@torch.no_grad()
def means(model: VAE, z: np.ndarray) -> np.ndarray:
    """The mean of p(x given z) at latents (n, D): (n, *event), pixels from 0 to 1."""
    return model.decode(torch.as_tensor(np.asarray(z), dtype=torch.float32)).mean.numpy()


@torch.no_grad()
def drawn(model: VAE, z: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """A draw from p(x given z) at latents (n, D): (n, *event), every pixel drawn on its own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return model.decode(torch.as_tensor(np.asarray(z), dtype=torch.float32)).sample().numpy()
