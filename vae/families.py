r"""Posterior families: what shapes q(z given x) can take, and its moments whatever its shape.

The family is how far q can follow the true posterior: what it cannot follow is the approximation
gap. A diagonal q is an ellipse along the axes, a full one an ellipse that may lean, and a flow
bends and splits.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal
from torch.distributions.kl import register_kl

from vae.flow import Flow, FlowPosterior, log_normal


class Diagonal(nn.Module):
    r"""Factorised normals: q(z given x) = N(loc, diag scale²); parameters are loc and log scale.

    Arguments:
        latent_dim: The number of latent dimensions D.

    Source:
        Kingma & Welling 2014, Auto-Encoding Variational Bayes, appendix C.2.

    Example:
        >>> Diagonal(2)(torch.zeros(5, 4)).batch_shape
        torch.Size([5])
    """

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.n_parameters = 2 * latent_dim

    def forward(self, parameters: Tensor) -> Independent:
        """From parameters (*, 2 D) to a distribution with batch shape (*) and event shape (D)."""
        loc, log_scale = parameters.chunk(2, -1)
        return Independent(Normal(loc, log_scale.exp(), validate_args=False), 1)


class Full(nn.Module):
    r"""Normals of any covariance: q(z given x) = N(loc, L Lᵀ) with L lower triangular.

    Parameters are loc, the logarithms of L's diagonal, and what stands below it row by row.

    Arguments:
        latent_dim: The number of latent dimensions D.

    Source:
        Kingma & Welling 2019, An Introduction to Variational Autoencoders, section 2.5.1.

    Example:
        >>> Full(2)(torch.tensor([[0.0, 0.0, 0.0, 0.0, 7.0]])).scale_tril
        tensor([[[1., 0.], [7., 1.]]])
    """

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        below = torch.ones(latent_dim, latent_dim).tril(-1).bool()
        n_below = int(below.sum())
        where = torch.full(below.shape, latent_dim + n_below)  # above the diagonal: the zero
        where[below] = latent_dim + torch.arange(n_below)
        where.fill_diagonal_(0).diagonal().copy_(torch.arange(latent_dim))
        self.register_buffer("where", where, persistent=False)
        self.latent_dim = latent_dim
        self.n_parameters = 2 * latent_dim + n_below

    def forward(self, parameters: Tensor) -> MultivariateNormal:
        """From parameters (*, P) to a distribution with batch shape (*) and event shape (D)."""
        loc, log_scale = parameters[..., : 2 * self.latent_dim].chunk(2, -1)
        below = parameters[..., 2 * self.latent_dim :]
        entries = torch.cat((log_scale.exp(), below, torch.zeros_like(loc[..., :1])), -1)
        return MultivariateNormal(loc, scale_tril=entries[..., self.where], validate_args=False)


FAMILIES = {"diagonal": Diagonal, "full": Full, "flow": Flow}


def family(name: str, latent_dim: int) -> Diagonal | Full | Flow:
    """The module that turns an encoder's outputs into q(z given x).

    Arguments:
        name: ``"diagonal"``, ``"full"`` or ``"flow"``.
        latent_dim: The number of latent dimensions D.

    Returns:
        A module from parameters (*, P), where P is its ``n_parameters``, to a distribution with
        batch shape (*) and event shape (D). The first D parameters are its location, the next D
        the logarithms of its scales.

    Raises:
        KeyError: If the family has another name.

    Source:
        Cremer et al. 2018, Inference Suboptimality in Variational Autoencoders, compare families.

    Example:
        >>> [family(name, 3).n_parameters for name in FAMILIES]
        [6, 9, 22]
    """
    return FAMILIES[name](latent_dim)


def push(q: Distribution, noise: Tensor) -> tuple[Tensor, Tensor]:
    r"""Turns standard normal noise into draws from q, whatever its family.

    .. math:: z = g_q(\varepsilon), \qquad
        \log q(z) = \log \mathcal{N}(\varepsilon; 0, I) - \log |\det g_q'(\varepsilon)|

    Who brings the noise decides where it comes from: one generator for each datum, nodes of a
    rule, or the same draws for two q that are compared.

    Arguments:
        q: A distribution of one of the families, with batch shape (*) and event shape (D).
        noise: Draws from N(0, I), with shape (K, *, D); any number of leading axes.

    Returns:
        z with the shape of the noise, and log q(z) with shape (K, *), in nats; differentiable.

    Raises:
        TypeError: If q is of no family of this file.

    Source:
        The reparameterisation of Kingma & Welling 2014, section 2.4.

    Example:
        >>> q = Independent(Normal(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 3.0])), 1)
        >>> push(q, torch.ones(2))[0]
        tensor([2., 5.])
    """
    if isinstance(q, FlowPosterior):
        return q.push(noise)
    if isinstance(q, MultivariateNormal):
        z = q.loc + (q._unbroadcasted_scale_tril @ noise.unsqueeze(-1)).squeeze(-1)
        log_det = q._unbroadcasted_scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return z, log_normal(noise) - log_det
    if isinstance(q, Independent) and isinstance(q.base_dist, Normal):
        loc, scale = q.base_dist.loc, q.base_dist.scale
        return loc + scale * noise, log_normal(noise) - scale.log().sum(-1)
    raise TypeError(f"{type(q).__name__} is not one of the posterior families")


def moments(q: Distribution) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each dimension, for any family.

    Arguments:
        q: A distribution with batch shape (*) and event shape (D).

    Returns:
        Means and standard deviations, with shape (*, D). Of a flow they are sums over fixed
        nodes: the same every time, and right to a few per cent of the scale.

    Raises:
        NotImplementedError: If the distribution knows no mean.

    Example:
        >>> moments(Full(2)(torch.tensor([5.0, 6.0, 0.0, 0.0, 1.0])))
        (tensor([5., 6.]), tensor([1.0000, 1.4142]))
    """
    if isinstance(q, Independent) and isinstance(q.base_dist, Normal):
        return q.base_dist.loc, q.base_dist.scale
    return q.mean, q.stddev


def marginals(q: Distribution) -> Independent:
    """The factorised normal with q's means and standard deviations; a diagonal q is its own.

    Arguments:
        q: A distribution with batch shape (*) and event shape (D).

    Returns:
        A factorised normal with the same shapes, see ``moments``.

    Raises:
        NotImplementedError: If the distribution knows no mean.

    Example:
        >>> marginals(Full(2)(torch.zeros(5))).base_dist.scale
        tensor([1., 1.])
    """
    if isinstance(q, Independent) and isinstance(q.base_dist, Normal):
        return q
    return Independent(Normal(*moments(q), validate_args=False), 1)


def covariance(q: Distribution) -> Tensor:
    """The covariance of q, for any family.

    Arguments:
        q: A distribution with batch shape (*) and event shape (D).

    Returns:
        Covariances, with shape (*, D, D); of a flow over fixed nodes, see ``moments``.

    Raises:
        NotImplementedError: If the distribution knows no variance.

    Example:
        >>> covariance(Diagonal(2)(torch.zeros(4)))
        tensor([[1., 0.],
                [0., 1.]])
    """
    known = isinstance(q, FlowPosterior | MultivariateNormal)
    return q.covariance_matrix if known else torch.diag_embed(q.variance)


@register_kl(MultivariateNormal, Independent)
def _kl_full_diagonal(q: MultivariateNormal, p: Independent) -> Tensor:
    """The divergence of a normal from a factorised one, without building the latter's matrix."""
    if not isinstance(p.base_dist, Normal):
        raise NotImplementedError
    loc, scale, tril = p.base_dist.loc, p.base_dist.scale, q.scale_tril
    spread = (tril / scale.unsqueeze(-1)).square().sum((-2, -1))
    log_ratio = scale.log().sum(-1) - tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return 0.5 * (spread + ((q.loc - loc) / scale).square().sum(-1) - loc.shape[-1]) + log_ratio
