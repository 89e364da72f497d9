r"""The rate taken apart: what the code says about the data, and how far their codes are from p(z).

.. math:: \frac{1}{N} \sum_n \mathrm{KL}(q(z \mid x_n) \,\|\, p(z)) = I_q(n; z)
    + \mathrm{KL}(q(z) \,\|\, p(z)), \qquad q(z) = \frac{1}{N} \sum_n q(z \mid x_n)

The three terms are computed on their own: the rate in closed form, the information from draws, the
divergence of the aggregate posterior on a lattice where q factorises in one or two dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal

from vae import bounds, proposals

#: Cells along each side of the lattice, and how far it reaches beyond the mean of a q, in its
#: standard deviations.
CELLS, REACH = 1024, 6.0
#: Draws in all at least; two per datum tell their own error.
DRAWS = 20_000
#: Draws per datum behind a picture of a q that does not factorise.
PICTURE_DRAWS = 256
#: Pairs of a draw and a component that are weighed at once.
TILE = 5_000_000


class Aggregate(NamedTuple):
    """The aggregate posterior q(z) on cells: their ``edges`` (n + 1), the same along each axis, and
    the ``mass`` in each, (n) or (n, n), first axis first. The mass sums to 1 but for the tails."""

    edges: Tensor
    mass: Tensor

    @property
    def density(self) -> Tensor:
        """The density in each cell, per unit of volume."""
        return self.mass / (self.edges[1] - self.edges[0]) ** self.mass.dim()


class Surgery(NamedTuple):
    """Means over N data, in nats: rate = mutual information + marginal KL, within their errors.

    The information never exceeds ``log_n``, which caps what N data can show of it.
    """

    rate: float
    mutual_information: float
    information_error: float
    marginal_kl: float
    marginal_error: float
    log_n: float
    rate_error: float = 0.0

    @property
    def error(self) -> float:
        """How far the two parts may be from the rate."""
        return math.hypot(self.information_error, self.marginal_error, self.rate_error)


@torch.no_grad()
def aggregate(q: Distribution, *, cells: int = CELLS) -> Aggregate:
    r"""The aggregate posterior of one or two latent dimensions, the mean of all q, on cells.

    .. math:: Q_c = \frac{1}{N} \sum_n \int_c q(z \mid x_n)\, dz

    exactly if q factorises; otherwise counted from fixed draws.

    Arguments:
        q: The q of N data, with batch shape (N) and event shape (1) or (2).
        cells: How many cells along each axis.

    Returns:
        The masses; see ``Aggregate``.

    Raises:
        ValueError: If q has more dimensions.

    Source:
        Makhzani et al. 2016, Adversarial Autoencoders, name the aggregate posterior.

    Example:
        >>> q = Independent(Normal(torch.zeros(3, 2), torch.ones(3, 2)), 1)
        >>> float(aggregate(q, cells=64).mass.sum().round(decimals=6))
        1.0
    """
    D = q.event_shape[0]
    if D > 2:
        raise ValueError(f"q has {D} dimensions, and there are cells for one or two only.")
    if not _factorises(q):
        z = _draw(q, PICTURE_DRAWS, seed=0)[0].flatten(0, 1).double()
        edges = _edges(z.abs().max(), cells)
        index = (torch.bucketize(z, edges) - 1).clamp(0, cells - 1)
        flat = (index * torch.tensor([cells, 1])[-D:]).sum(1)
        counts = flat.bincount(minlength=cells**D).double()
        return Aggregate(edges, (counts / len(z)).view((cells,) * D))
    loc, scale = q.base_dist.loc.double(), q.base_dist.scale.double()
    edges = _edges((loc.abs() + REACH * scale).max(), cells)
    total = torch.zeros((cells,) * D, dtype=torch.float64)
    for tile in range(0, len(loc), 1000):
        m, s = loc[tile : tile + 1000, :, None], scale[tile : tile + 1000, :, None]
        inside = Normal(m, s, validate_args=False).cdf(edges).diff(dim=-1)  # (n, D, cells)
        total += inside[:, 0].sum(0) if D == 1 else inside[:, 0].T @ inside[:, 1]
    return Aggregate(edges, total / len(loc))


@torch.no_grad()
def surgery(
    q: Distribution,
    prior: Independent,
    *,
    seed: int = 0,
    progress: Callable[[int], object] = lambda n: None,
) -> Surgery:
    r"""Takes the mean rate of N data apart.

    The aggregate posterior always has all N components: with fewer, information and divergence
    would be those of fewer data.

    Arguments:
        q: The q of all N data, with batch shape (N) and event shape (D).
        prior: p(z), a factorised normal.
        seed: Seed of the draws.
        progress: Called now and then with the number of data done since.

    Returns:
        The terms and their errors; see ``Surgery``.

    Raises:
        ValueError: If there are no data.

    Source:
        Hoffman & Johnson 2016, ELBO surgery.

    Example:
        >>> q = Independent(Normal(torch.tensor([[-9.0], [9.0]]), torch.ones(2, 1)), 1)
        >>> parts = surgery(q, Independent(Normal(torch.zeros(1), torch.ones(1)), 1))
        >>> round(parts.mutual_information, 6), round(parts.log_n, 6)
        (0.693147, 0.693147)
    """
    if not q.batch_shape.numel():
        raise ValueError("Surgery needs the q of one datum at least.")
    own, log_q, _ = _weighed(q, prior, seed, progress)
    information, information_error = _mean(own - log_q)
    if q.event_shape[0] <= 2 and _factorises(q):
        marginal, marginal_error = _divergence(aggregate(q), prior)
    else:
        _, other, log_prior = _weighed(q, prior, seed + 1, lambda n: None)
        marginal, marginal_error = _mean(other - log_prior)
    try:
        rate, rate_error = float(bounds.rate(q, prior).double().mean()), 0.0
    except NotImplementedError:  # by draws that the two parts do not share: errors then add up
        z, log_q = _draw(q, len(own), seed + 2)
        rate, rate_error = _mean((log_q - prior.log_prob(z)).double())
    log_n = math.log(own.shape[1])
    terms = (rate, information, information_error, marginal, marginal_error, log_n)
    return Surgery(*terms, rate_error)


def _divergence(found: Aggregate, prior: Independent) -> tuple[float, float]:
    """KL(q(z) ‖ p(z)) from cells, extrapolated to cells without size, and the error of that."""
    mass, edges = found.mass, found.edges
    loc, scale = prior.base_dist.loc.double(), prior.base_dist.scale.double()
    standard = (edges - loc[:, None]) / scale[:, None]
    lower = torch.special.ndtr(standard).diff(dim=-1)
    upper = -torch.special.ndtr(-standard).diff(dim=-1)  # keeps its digits where the other is 1
    axes = list(torch.where(standard[:, 1:] > 0, upper, lower))
    values = []
    for _ in range(2):
        p = axes[0] if len(axes) == 1 else axes[0][:, None] * axes[1]
        inside = mass > 0
        values.append((mass[inside] * (mass[inside] / p[inside]).log()).sum())
        axes = [axis.view(-1, 2).sum(1) for axis in axes]  # twice the size
        for dim in range(mass.dim()):
            mass = mass.unflatten(dim, (-1, 2)).sum(dim + 1)
    correction = (values[0] - values[1]) / 3  # what cells of size h lose goes with h²
    return float(values[0] + correction), float(correction.abs())


def _weighed(
    q: Distribution, prior: Distribution, seed: int, progress: Callable[[int], object]
) -> tuple[Tensor, Tensor, Tensor]:
    """Of draws from each q (K, N): its own log-density, that of the aggregate, and the prior's."""
    N = q.batch_shape[0]
    K = max(2, math.ceil(DRAWS / N))
    z, own = _draw(q, K, seed)
    of_each = log_density(q)
    parts = []
    for tile in z.split(max(1, TILE // (K * N)), dim=1):
        terms = of_each(tile.flatten(0, 1))
        parts.append(terms.logsumexp(1).view(K, -1) - math.log(N))
        progress(tile.shape[1])
    return own.double(), torch.cat(parts, 1), prior.log_prob(z.to(prior.mean)).double()


def log_density(q: Distribution) -> Callable[[Tensor], Tensor]:
    """How dense each of many q is at latents.

    Of a Gaussian it is a quadratic form in z, one matrix product for all components.

    Arguments:
        q: N components, with batch shape (N) and event shape (D).

    Returns:
        A function from latents (P, D) to log q_n of every component n, (P, N), float64, in nats.

    Raises:
        Nothing of its own.

    Source:
        ``q.log_prob(z[:, None])``, which it equals.

    Example:
        >>> q = Independent(Normal(torch.zeros(3, 2), torch.ones(3, 2)), 1)
        >>> log_density(q)(torch.zeros(5, 2)).shape
        torch.Size([5, 3])
    """
    if _factorises(q):
        precision = q.base_dist.scale.double() ** -2
        square = torch.diag_embed(precision)
        loc, log_det = q.base_dist.loc.double(), -precision.log().sum(-1) / 2
    elif isinstance(q, MultivariateNormal):
        tril = q.scale_tril.double()
        square, loc = torch.cholesky_inverse(tril), q.loc.double()
        log_det = tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    else:
        return lambda z: q.log_prob(z[:, None]).double()
    linear = (square @ loc[..., None]).squeeze(-1)
    constant = -0.5 * (linear * loc).sum(-1) - log_det - 0.5 * loc.shape[1] * math.log(2 * math.pi)
    if _factorises(q):
        return lambda z: constant + z.double() @ linear.T - 0.5 * z.double().square() @ precision.T

    def full(z: Tensor) -> Tensor:
        z = z.double()
        outer = (z[:, :, None] * z[:, None]).flatten(1)
        return constant + z @ linear.T - 0.5 * outer @ square.flatten(1).T

    return full


def _draw(q: Distribution, K: int, seed: int) -> tuple[Tensor, Tensor]:
    """K draws from each q, (K, N, D), and their log-density under it, (K, N)."""
    noise = torch.randn(
        (K, *q.batch_shape, *q.event_shape), generator=torch.Generator().manual_seed(seed)
    )
    return proposals.from_noise(q, noise)


def _mean(terms: Tensor) -> tuple[float, float]:
    """The mean of terms (K, N) and its standard error over the K draws of each datum."""
    K, N = terms.shape
    return float(terms.mean()), float((terms.var(0) / K).sum().sqrt() / N)


def _factorises(q: Distribution) -> bool:
    """Whether q is a product of normals."""
    return isinstance(q, Independent) and isinstance(q.base_dist, Normal)


def _edges(reach: Tensor, cells: int) -> Tensor:
    """Edges of cells from -reach to reach."""
    return torch.linspace(-float(reach), float(reach), cells + 1, dtype=torch.float64)
