r"""How far a q is from the true posterior, and what it is worth, without chance.

Both are sums over nodes of the noise ε that a q is drawn with, z = g_q(ε), so that they hold for
every family; they use different nodes and formulas, so that ELBO + KL = log p(x) checks both (but
not log p(x), which the divergence takes as given).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal

from vae import bounds, proposals
from vae.joint import Joint, QuadratureError
from vae.model import VAE

#: The noise lattice of ``kl``: its step and its radius, in standard deviations of q.
NOISE_STEP, NOISE_RADIUS = 0.5, 6.5
#: Gauss-Hermite nodes of less weight are left out.
NEGLIGIBLE = 1e-12
#: Latents that are decoded at once.
ROWS = 4096


@torch.no_grad()
def kl(
    model: VAE,
    x: Tensor,
    q: Distribution,
    log_evidence: Tensor,
    *,
    observed: Tensor | None = None,
    progress: Callable[[int], object] = lambda n: None,
) -> tuple[Tensor, Tensor]:
    r"""KL divergence of q from the true posterior, one value per datum, computed on its own.

    .. math:: \mathrm{KL}(q \,\|\, p(z \mid x)) = \int \mathcal{N}(\varepsilon; 0, I)
        \log \frac{q(z)}{p(z \mid x)}\, d\varepsilon, \qquad z = g_q(\varepsilon)

    summed over a lattice of the noise ε. It is no difference of the ELBO and log p(x): that ELBO
    and divergence add up to log p(x) checks both averages over q, by other nodes and formulas. It
    does not check log p(x) itself, by which the posterior was normalised here.

    Arguments:
        model: A model with one or two latent dimensions.
        x: Data, with shape (N, *event).
        q: A distribution of one of the ``families``, with batch shape (N).
        log_evidence: log p(x), with shape (N), in nats.
        observed: As it was for log p(x).
        progress: Called after each tile with the number of its data.

    Returns:
        The divergence and an estimate of its error, both with shape (N), float64, in nats.

    Raises:
        QuadratureError: If the model has more latent dimensions, or the data do not fit it.

    Source:
        The rectangle rule, with the error of its interleaved halves; see ``refinement``.

    Example:
        >>> from vae import linear
        >>> from vae.presets import PRESETS
        >>> model, x = VAE(PRESETS["digits-linear-2d"]), torch.zeros(3, 1, 8, 8)
        >>> log_p, q = linear.log_evidence(model, x), linear.posterior(model, x)
        >>> bool(kl(model, x, q, log_p)[0].abs().max() < 1e-9)
        True
    """
    noise, coset = _noise_lattice(model.latent_dim)
    weight = torch.softmax(-0.5 * noise.square().sum(1), 0)[:, None]
    values, errors = [], []
    for index, _, log_joint, log_q in _carried(model, x, q, noise, observed):
        terms = weight * (log_q - log_joint + log_evidence[index].double())
        parts = terms.new_zeros(2**model.latent_dim, terms.shape[1]).index_add(0, coset, terms)
        value = terms.sum(0)
        values.append(value)
        errors.append((parts * len(parts) - value).square().mean(0).sqrt() / 4)
        progress(len(value))
    return torch.cat(values), torch.cat(errors)


@torch.no_grad()
def elbo(
    model: VAE,
    x: Tensor,
    q: Distribution,
    *,
    n: int = 32,
    observed: Tensor | None = None,
    progress: Callable[[int], object] = lambda n: None,
) -> Tensor:
    r"""The ELBO without chance, one value per datum.

    .. math:: \mathbb{E}_q \log p(x \mid z) - \mathrm{KL}(q \,\|\, p(z))

    The expectation is over Gauss-Hermite nodes of the noise, the rate in closed form (of a flow,
    over the same nodes).

    Arguments:
        model: A model with one or two latent dimensions.
        x: Data, with shape (N, *event).
        q: A distribution of one of the ``families``, with batch shape (N).
        n: Nodes per dimension.
        observed: Which of the d coordinates of a datum count; all if not given.
        progress: Called after each tile with the number of its data.

    Returns:
        The bound, with shape (N), float64, in nats.

    Raises:
        QuadratureError: If the model has more latent dimensions, or the data do not fit it.

    Source:
        Kingma & Welling 2014, eq. 3; the nodes by Golub & Welsch 1969.

    Example:
        >>> from vae import linear
        >>> from vae.presets import PRESETS
        >>> model, x = VAE(PRESETS["digits-linear-2d"]), torch.zeros(3, 1, 8, 8)
        >>> bound = elbo(model, x, linear.posterior(model, x))
        >>> torch.allclose(bound, linear.log_evidence(model, x))
        True
    """
    node, weight = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(n))
    D, prior = model.latent_dim, model.prior()
    noise = torch.cartesian_prod(*[node] * D).view(-1, D)
    weight = torch.cartesian_prod(*[weight / weight.sum()] * D).view(-1, D).prod(1)[:, None]
    noise, weight = (a[weight[:, 0] > NEGLIGIBLE] for a in (noise, weight))
    values = []
    for index, z, log_joint, log_q in _carried(model, x, q, noise, observed):
        try:
            rate = bounds.rate(_double(proposals.part(q, index)), prior)
            log_q = prior.log_prob(z).double()
        except NotImplementedError:
            rate = 0.0
        values.append((weight * (log_joint - log_q)).sum(0) - rate)
        progress(len(values[-1]))
    return torch.cat(values)


def _carried(
    model: VAE, x: Tensor, q: Distribution, noise: Tensor, observed: Tensor | None
) -> Iterator[tuple[slice, Tensor, Tensor, Tensor]]:
    """In tiles of n data: which, z = g_q(noise) (K, n, D), and log p(x, z) and log q(z) (K, n)."""
    joint = Joint(model, observed)
    t, base = joint.project(x)
    if tuple(q.batch_shape) != (len(x),):
        raise QuadratureError(
            f"q has batch shape {tuple(q.batch_shape)}, and there are {len(x)} data: give one "
            "distribution per datum."
        )
    size = max(1, ROWS // len(noise))
    for first in range(0, len(x), size):
        index = slice(first, first + size)
        tile = _double(proposals.part(q, index))
        precise = noise if isinstance(tile, MultivariateNormal | Independent) else noise.float()
        n = len(t[index])
        z, log_q = proposals.from_noise(tile, precise[:, None].expand(-1, n, -1))
        phi, bias = joint.at(z.flatten(0, 1))
        score = (phi.view(len(noise), n, -1) * t[index]).sum(-1) + bias.view(-1, n)
        yield index, z, score.double() + base[index], log_q.double()


def _double(q: Distribution) -> Distribution:
    """A Gaussian in float64; any other distribution as it is."""
    if isinstance(q, MultivariateNormal):
        tril = q.scale_tril.double()
        return MultivariateNormal(q.loc.double(), scale_tril=tril, validate_args=False)
    if isinstance(q, Independent) and isinstance(q.base_dist, Normal):
        loc, scale = q.base_dist.loc.double(), q.base_dist.scale.double()
        return Independent(Normal(loc, scale, validate_args=False), 1)
    return q


def _noise_lattice(D: int) -> tuple[Tensor, Tensor]:
    """Nodes (K, D) of the noise within the radius, and which interleaved lattice each is of (K)."""
    reach = int(NOISE_RADIUS / NOISE_STEP)
    places = torch.cartesian_prod(*[torch.arange(-reach, reach + 1)] * D).view(-1, D)
    places = places[places.square().sum(1) <= reach**2]
    return NOISE_STEP * places.double(), (places % 2) @ torch.tensor([2, 1])[-D:]
