"""What SVI climbs: log p(x, z) of many data at once, and the noise to average it over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from vae.conditional import log_likelihoods
from vae.flow import FlowPosterior, log_normal
from vae.model import VAE
from vae.proposals import from_noise, noise, part

State = TypeVar("State", bound=tuple)

#: Latents decoded at once; with gradients that is 50 MB for images of 784 pixels.
TILE = 4_096
#: Nodes per dimension of the rules that judge an ELBO, and how close two must come, in nats.
RULES, AGREEMENT = (16, 32, 64), 0.02
#: Samples that judge an ELBO where nodes cannot.
SAMPLES = 4_096


def log_joint(model: VAE, x: Tensor, z: Tensor, observed: Tensor | None = None) -> Tensor:
    r"""The target of variational inference: log p(x, z), for every datum at its own latents.

    .. math:: \log p(z_{kn}) + \log p(x_n \mid z_{kn})

    Arguments:
        model: The model.
        x: Data, with shape (N, *event).
        z: Latents, with shape (K, N, D).
        observed: Which coordinates of a datum count, a mask with shape (d) in the order of
            ``x.flatten()``; all if not given. The others drop out of the likelihood.

    Returns:
        With shape (K, N), float64, in nats; differentiable.

    Example:
        >>> from vae.config import RunConfig
        >>> model = VAE(RunConfig(dataset="digits", hidden=(16,)))
        >>> log_joint(model, torch.zeros(5, 1, 8, 8), torch.zeros(3, 5, 2)).shape
        torch.Size([3, 5])
    """
    log_p = model.decode(z).base_dist.log_prob(x).flatten(z.dim() - 1)
    log_p = log_p if observed is None else log_p[..., observed]
    return log_p.sum(-1, dtype=torch.float64) + log_normal(z)


@torch.no_grad()
def elbo_on(
    model: VAE,
    x: Tensor,
    q: Distribution,
    nodes: tuple[Tensor, Tensor],
    observed: Tensor | None = None,
) -> Tensor:
    """The ELBO of any q, with batch shape (N), over given nodes and weights: shape (N), float64."""
    points, weights = (t.to(model.zero.device) for t in nodes)
    points = points.to(model.zero.dtype)
    values = []
    for rows in tiles(len(x), len(points)):
        z, log_q = from_noise(part(q, rows), points[:, None].expand(-1, len(x[rows]), -1))
        values.append(weights @ (_known_joint(model, x[rows], z, observed) - log_q))
    return torch.cat(values)


def ruled_elbo(
    model: VAE, x: Tensor, q: Distribution, *, observed: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The ELBO of any q by rules of more and more nodes, until two agree.

    For one or two latent dimensions, where it needs no samples.

    Arguments:
        model: The model.
        x: Data, with shape (N, *event).
        q: With batch shape (N).
        observed: As for ``log_joint``.

    Returns:
        The ELBO, and its difference from that of half as many nodes per dimension, each with shape
        (N), float64, in nats.

    Raises:
        ValueError: If there are more than two latent dimensions.

    Source:
        Gauss-Hermite quadrature, in the coordinates in which q is N(0, I).

    Example:
        >>> from vae.config import RunConfig
        >>> model, x = VAE(RunConfig(dataset="digits", hidden=(16,))), torch.zeros(3, 1, 8, 8)
        >>> bool((ruled_elbo(model, x, model.encode(x))[1] < AGREEMENT).all())
        True
    """
    if model.latent_dim > 2:
        raise ValueError(
            f"rules of nodes are for one or two latent dimensions, not {model.latent_dim}: sample"
        )
    coarse = elbo_on(model, x, q, gauss_hermite(RULES[0], model.latent_dim), observed)
    fine, error = coarse.clone(), torch.full_like(coarse, torch.inf)
    for n in RULES[1:]:
        open_ = (error >= AGREEMENT).nonzero()[:, 0]
        if len(open_):
            rule = gauss_hermite(n, model.latent_dim)
            finer = elbo_on(model, x[open_], part(q, open_), rule, observed)
            error[open_], fine[open_] = (finer - fine[open_]).abs(), finer
    return fine, error


def judged_elbo(
    model: VAE,
    x: Tensor,
    q: Distribution,
    *,
    seed: int = 0,
    first: int = 0,
    observed: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The ELBO of any q, with batch shape (N), and its error: shapes (N), float64, in nats.

    By nodes for Gaussians in one or two dimensions, and by samples elsewhere: a flow may bend too
    sharply for nodes.
    """
    if model.latent_dim <= 2 and not isinstance(q, FlowPosterior):
        return ruled_elbo(model, x, q, observed=observed)
    return sampled_elbo(model, x, q, SAMPLES, seed=seed, first=first, observed=observed)


@torch.no_grad()
def sampled_elbo(
    model: VAE,
    x: Tensor,
    q: Distribution,
    K: int,
    *,
    seed: int,
    first: int = 0,
    observed: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The ELBO of any q, with batch shape (N), and its standard error: shapes (N), float64.

    The noise of a datum is its own, by its number; nothing was fitted to it.
    """
    values, errors = [], []
    for rows in tiles(len(x), K):
        eps = noise(K, first + rows.start, len(x[rows]), model.latent_dim, seed).to(model.zero)
        z, log_q = from_noise(part(q, rows), eps)
        log_w = _known_joint(model, x[rows], z, observed) - log_q
        values.append(log_w.mean(0))
        errors.append(log_w.std(0) / K**0.5)
    return torch.cat(values), torch.cat(errors)


def _known_joint(model: VAE, x: Tensor, z: Tensor, observed: Tensor | None) -> Tensor:
    """``log_joint`` without gradients, by the fast way where all coordinates count."""
    if observed is not None:
        return log_joint(model, x, z, observed)
    return log_likelihoods(model, x, z) + log_normal(z.double())


def select(state: State, rows: Tensor) -> State:
    """The state of some of the data."""
    return type(state)(*(f[rows] if isinstance(f, Tensor) else f for f in state))


def joined(states: Sequence[State]) -> State:
    """The states of several sets of data as one; what they share is that of the first."""
    fields = zip(*states, strict=True)
    return type(states[0])(*(torch.cat(f) if isinstance(f[0], Tensor) else f[0] for f in fields))


def put(state: State, rows: Tensor, some: State) -> State:
    """The state with that of some of the data replaced; the state given stays as it is."""
    return type(state)(
        *(
            whole.index_copy(0, rows, new) if isinstance(whole, Tensor) else whole
            for whole, new in zip(state, some, strict=True)
        )
    )


def tiles(n: int, K: int) -> Iterator[slice]:
    """Data that are decoded at once, with K latents each."""
    size = max(1, TILE // K)
    return (slice(i, min(n, i + size)) for i in range(0, n, size))


@lru_cache(maxsize=16)
def gauss_hermite(n: int, latent_dim: int) -> tuple[Tensor, Tensor]:
    """Nodes (n^D, D) and weights (n^D) of a rule for N(0, I), exact to degree 2 n - 1; float64."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(n)
    grids = torch.meshgrid(*[torch.from_numpy(nodes)] * latent_dim, indexing="ij")
    products = torch.meshgrid(
        *[torch.from_numpy(weights / weights.sum())] * latent_dim, indexing="ij"
    )
    points = torch.stack([g.flatten() for g in grids], -1)
    return points, torch.stack([p.flatten() for p in products], -1).prod(-1)


def mirrored(n: int, latent_dim: int, seed: int, step: int) -> tuple[Tensor, Tensor]:
    """Samples of N(0, I) with their mirror images, (n, D), equal weights (n), new at each step."""
    generator = torch.Generator().manual_seed((seed * 2_654_435_769 + step) % 2**63)
    half = torch.randn(n // 2, latent_dim, generator=generator, dtype=torch.float64)
    return torch.cat((half, -half)), torch.full((2 * (n // 2),), 0.5 / (n // 2)).double()
