r"""The best Gaussian q for each datum by itself, in steps that fit its own width.

A step is taken in the coordinates in which the current q is N(0, I): u for its mean, and a
symmetric matrix for its shape. There the natural gradient is

.. math:: g = \mathbb{E}_\varepsilon[L^\top \nabla_z \log p(x, z) + \varepsilon], \qquad
    G = \mathbb{E}_\varepsilon[(L^\top \nabla_z \log p(x, z) + \varepsilon)\,
    \varepsilon^\top], \qquad z = m + L \varepsilon

Both vanish at the posterior itself, and near a Gaussian posterior one whole step lands on it:
what took gradients of (m, log scale) hundreds of steps takes ten. With one or two latent dimensions
the expectations are sums over Gauss-Hermite nodes, so a step that does not help is seen and undone;
with more they are means over fresh samples, and steps get shorter.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Independent, MultivariateNormal, Normal

from vae.flow import log_normal
from vae.model import VAE
from vae.svi_start import Start, gaussian_start
from vae.svi_target import gauss_hermite, log_joint, mirrored, tiles

#: Nodes per dimension to climb by (up to two latent dimensions), and samples a step (beyond).
NODES, SAMPLES = 8, 16
#: After so many sampled steps they are half as long: their noise dies away like 1 / steps.
HALF_LIFE = 10
#: The mean moves by so many of its own widths at most.
RADIUS = 2.0


class State(NamedTuple):
    """A Gaussian for each of N data, what is known about its surroundings, and how far it came.

    ``loc`` (N, D) and ``tril`` (N, D, D) are q = N(loc, tril trilᵀ); ``elbo`` (N), float64, in
    nats; ``slope`` (N, D) and ``curvature`` (N, D, D) are g and G of ``vae.svi_gaussian``;
    ``rate`` (N) is the share of a whole step to try next. ``nodes`` per dimension, 0 for samples.
    """

    loc: Tensor
    tril: Tensor
    elbo: Tensor
    slope: Tensor
    curvature: Tensor
    rate: Tensor
    family: str
    nodes: int
    seed: int
    n_steps: int


class Info(NamedTuple):
    """A step: the ELBO it found (N), in nats, and whether it was taken (N)."""

    elbo: Tensor
    accepted: Tensor


class _Surroundings(NamedTuple):
    """The ELBO (N), g (N, D) and G (N, D, D) of some Gaussians."""

    elbo: Tensor
    slope: Tensor
    curvature: Tensor


def init(
    model: VAE,
    x: Tensor,
    family: str = "diagonal",
    start: Start = "encoder",
    *,
    scale: float | None = None,
    nodes: int | None = None,
    seed: int = 0,
    observed: Tensor | None = None,
) -> State:
    """Puts a Gaussian at the start, for every datum.

    Arguments:
        model: The model.
        x: Data, with shape (N, *event).
        family: ``"diagonal"`` or ``"full"``.
        start: ``"encoder"``, exactly its q where that is of the family; ``"prior"``, N(0, I); or
            latents with shape (N, D).
        scale: The width at latents, in units of the prior; that of the curvature of log p(x, z)
            there if not given.
        nodes: Gauss-Hermite nodes per latent dimension, 0 for fresh samples at every step; 8 nodes
            up to two dimensions and samples beyond if not given.
        seed: Seed of the samples, which are the same for all data.
        observed: Which coordinates of a datum count, a mask with shape (d); all if not given.

    Returns:
        The state.

    Raises:
        ValueError: If the family is another, the data do not fit the model, or their ELBO is not
            finite.

    Source:
        Cremer et al. 2018, Inference Suboptimality in Variational Autoencoders, start at the prior.

    Example:
        >>> from vae.config import RunConfig
        >>> model = VAE(RunConfig(dataset="digits", hidden=(16,)))
        >>> init(model, torch.zeros(5, 1, 8, 8), "full").tril.shape
        torch.Size([5, 2, 2])
    """
    if nodes is None:
        nodes = NODES if model.latent_dim <= 2 else 0
    loc, tril = gaussian_start(model, x, family, start, scale, observed)
    found = _measure(model, x, loc, tril, _noise(model, nodes, seed, 0), observed)
    if not torch.isfinite(found.elbo).all():
        raise ValueError(
            f"the ELBO of {int((~torch.isfinite(found.elbo)).sum())} data is not finite where SVI "
            "starts: check the data, or take an earlier epoch of the model"
        )
    return State(loc, tril, *found, torch.ones_like(loc[:, 0]), family, nodes, seed, 0)


def step(
    model: VAE,
    x: Tensor,
    state: State,
    *,
    pace: float = 1.0,
    observed: Tensor | None = None,
) -> tuple[State, Info]:
    r"""One natural-gradient step for every datum, in units of its current q.

    .. math:: P = I - \rho G + \tfrac12 \rho^2 G^2, \qquad
        m \leftarrow m + \rho L P^{-1} g, \qquad L L^\top \leftarrow L P^{-1} L^\top

    P is positive definite for any ρ; a diagonal family keeps the diagonal of G. On nodes, a step
    down is not taken and the next tries half as much: the ELBO never falls.

    Arguments:
        model: The model.
        x: The data of ``init``.
        state: The state, which is left as it is.
        pace: The longest step, as a share of a whole one.
        observed: As for ``init``.

    Returns:
        The next state, and what the step found.

    Raises:
        ValueError: If there are not as many data as in the state.

    Source:
        Khan & Rue 2023, The Bayesian Learning Rule, section 4; the shape's step: Lin et al. 2020,
        Handling the Positive-Definite Constraint in the Bayesian Learning Rule; the estimate of g
        that vanishes at the posterior: Roeder et al. 2017, Sticking the Landing.

    Example:
        >>> from vae.config import RunConfig
        >>> model, x = VAE(RunConfig(dataset="digits", hidden=(16,))), torch.zeros(5, 1, 8, 8)
        >>> state = init(model, x, start="prior")
        >>> after, info = step(model, x, state)
        >>> bool((after.elbo > state.elbo).all())
        True
    """
    if len(x) != len(state.loc):
        raise ValueError(f"there are {len(x)} data, and the state is one of {len(state.loc)}")
    n_steps = state.n_steps + 1
    loc, tril = _propose(state, pace)
    noise = _noise(model, state.nodes, state.seed, n_steps)
    found = _measure(model, x, loc, tril, noise, observed)
    taken = found.elbo >= state.elbo if state.nodes else torch.isfinite(found.elbo)
    rate = torch.where(taken, (2 * state.rate).clamp(max=1.0), state.rate / 2)
    before = (state.loc, state.tril, state.elbo, state.slope, state.curvature)
    chosen = (
        torch.where(taken.view(-1, *(1,) * (new.dim() - 1)), new, old)
        for new, old in zip((loc, tril, *found), before, strict=True)
    )
    return (
        State(*chosen, rate, state.family, state.nodes, state.seed, n_steps),
        Info(found.elbo, taken),
    )


def distribution(state: State) -> Independent | MultivariateNormal:
    """q of a state, with batch shape (N) and event shape (D)."""
    return gaussian(state.family, state.loc, state.tril)


def gaussian(family: str, loc: Tensor, tril: Tensor) -> Independent | MultivariateNormal:
    """A Gaussian of a family from means (N, D) and Cholesky factors (N, D, D)."""
    if family == "diagonal":
        scale = tril.diagonal(dim1=-2, dim2=-1)
        return Independent(Normal(loc, scale, validate_args=False), 1)
    return MultivariateNormal(loc, scale_tril=tril, validate_args=False)


def promise(state: State) -> Tensor:
    r"""How much the next step may gain, one value per datum: zero where no step does.

    .. math:: \rho \left(\tfrac12 |g|^2 + \tfrac14 |G|^2\right)

    It is the divergence of q from the posterior where that is a Gaussian close by.

    Arguments:
        state: The state.

    Returns:
        The promise, with shape (N), in nats.

    Example:
        >>> from vae.config import RunConfig
        >>> model, x = VAE(RunConfig(dataset="digits", hidden=(16,))), torch.zeros(5, 1, 8, 8)
        >>> promise(init(model, x)).shape
        torch.Size([5])
    """
    curvature = _own(state.curvature, state.family)
    gain = state.slope.square().sum(-1) / 2 + curvature.square().sum((-1, -2)) / 4
    return state.rate * gain


def refine(
    model: VAE, x: Tensor, state: State, nodes: int, *, observed: Tensor | None = None
) -> State:
    """The same Gaussians by another number of nodes, ready for whole steps."""
    noise = _noise(model, nodes, state.seed, 0)
    found = _measure(model, x, state.loc, state.tril, noise, observed)
    rate = torch.ones_like(state.rate)
    return State(state.loc, state.tril, *found, rate, state.family, nodes, state.seed, 0)


def _propose(state: State, pace: float) -> tuple[Tensor, Tensor]:
    """Where the next step leads: means and Cholesky factors."""
    rate = pace * state.rate
    if not state.nodes:
        rate = rate / (1 + state.n_steps / HALF_LIFE)
    G = _own(state.curvature, state.family)
    rate = rate[:, None, None]
    turn = rate * G / (rate * torch.linalg.matrix_norm(G, keepdim=True)).clamp(min=1)
    identity = torch.eye(G.shape[-1], dtype=G.dtype, device=G.device)
    inverse = torch.linalg.inv(identity - turn + turn @ turn / 2)
    u = rate * inverse @ state.slope.unsqueeze(-1)
    u = u / (torch.linalg.vector_norm(u, dim=1, keepdim=True) / RADIUS).clamp(min=1)
    tril = state.tril @ torch.linalg.cholesky((inverse + inverse.mT) / 2)
    return state.loc + (state.tril @ u).squeeze(-1), tril


def _own(G: Tensor, family: str) -> Tensor:
    """The part of G that the family can follow."""
    return torch.diag_embed(G.diagonal(dim1=-2, dim2=-1)) if family == "diagonal" else G


def _measure(
    model: VAE,
    x: Tensor,
    loc: Tensor,
    tril: Tensor,
    nodes: tuple[Tensor, Tensor],
    observed: Tensor | None,
) -> _Surroundings:
    """The ELBO of Gaussians and its natural gradient over nodes (K, D) with weights (K)."""
    parts = [
        _measure_tile(model, x[rows], loc[rows], tril[rows], *nodes, observed)
        for rows in tiles(len(x), len(nodes[0]))
    ]
    return _Surroundings(*map(torch.cat, zip(*parts, strict=True)))


def _measure_tile(
    model: VAE,
    x: Tensor,
    loc: Tensor,
    tril: Tensor,
    noise: Tensor,
    weights: Tensor,
    observed: Tensor | None,
) -> _Surroundings:
    """``_measure`` for data that fit in memory."""
    z = (loc + torch.einsum("nij,kj->kni", tril, noise)).requires_grad_()
    with torch.enable_grad():
        log_p = log_joint(model, x, z, observed)
        (gradient,) = torch.autograd.grad(log_p.sum(), z)
    white = torch.einsum("nji,knj->kni", tril, gradient) + noise[:, None]
    weighed = weights.to(noise)[:, None, None] * white
    G = torch.einsum("kni,kj->nij", weighed, noise)
    log_det = tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    elbo = weights @ (log_p.detach() - log_normal(noise)[:, None]) + log_det
    return _Surroundings(elbo, weighed.sum(0), (G + G.mT) / 2)


def _noise(model: VAE, nodes: int, seed: int, n_steps: int) -> tuple[Tensor, Tensor]:
    """Nodes, or the fresh samples of a step, and their weights."""
    if nodes:
        points, weights = gauss_hermite(nodes, model.latent_dim)
    else:
        points, weights = mirrored(SAMPLES, model.latent_dim, seed, n_steps)
    return points.to(model.zero), weights.to(model.zero.device)
