r"""How far apart two latents are for who sees only what they decode to: the pull-back metric.

.. math:: \mathrm{KL}(p(x \mid z) \,\|\, p(x \mid z + dz)) \approx \tfrac12\, dz^\top G(z)\, dz,
    \qquad G(z) = J_\eta^\top\, \mathrm{Var}(x \mid z)\, J_\eta

G is the Fisher–Rao metric of p(x given z), seen from latent space. Its unit of length is a standard
deviation of distinguishability, ds = √(2 KL): places one unit apart are told apart from a single x
as well as two normals whose means are one standard deviation apart. What a decoder is unsure of
enters here only through its likelihood; far from all data, where it is sure for no reason, lengths
are as short as it says.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Bernoulli, ContinuousBernoulli, Independent, Normal

from vae.model import VAE

#: Numbers (latents times directions times pixels) that one pass of derivatives may hold.
TILE = 8_000_000
#: Of the continuous Bernoulli's table: its cells, and the logit at which it ends.
CELLS, LAST = 1024, 1e5


class Length(NamedTuple):
    """How long a path is, in standard deviations of distinguishability, and how much it grew when
    the steps along it were halved last. Up to about as much again may be missing, for a decoder of
    ReLUs has kinks; chords are never longer than their arcs, so the value is never too long."""

    value: float
    error: float


def embed(p_x: Independent) -> Tensor:
    r"""Coordinates in which distances between near distributions are Euclidean, pixel by pixel.

    .. math:: \phi(\eta) = \int \sqrt{A''(\eta)}\, d\eta, \qquad ds^2 = \sum_i d\phi_i^2

    for a Bernoulli 2 arcsin √p, for a Gaussian of fixed scale μ/σ; a family of one parameter has no
    curvature of its own. Differentiable, and sound where logits are large.

    Arguments:
        p_x: The decoder's distribution, with batch shape (*) and d pixels.

    Returns:
        The coordinates, with shape (*, d), in standard deviations.

    Raises:
        TypeError: If the likelihood is of another kind.

    Source:
        Rao 1945, Information and the Accuracy Attainable in the Estimation of Statistical
        Parameters; the arcsine is the variance-stabilising transform of a proportion.

    Example:
        >>> embed(Independent(Bernoulli(logits=torch.tensor([[-300.0, 0.0, 300.0]])), 1))
        tensor([[0.0000, 1.5708, 3.1416]])
    """
    base = p_x.base_dist
    if isinstance(base, ContinuousBernoulli):
        phi = _arc(base.logits)
    elif isinstance(base, Bernoulli):
        phi = _angle(base.logits)
    elif isinstance(base, Normal):
        phi = base.loc / base.scale
    else:
        raise TypeError(f"{type(base).__name__} is not one of the likelihoods of this project")
    return phi.reshape(*p_x.batch_shape, math.prod(p_x.event_shape))


def derivatives(model: VAE, z: Tensor, basis: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The embedding of latents, and how it moves with z along some directions.

    Arguments:
        model: The model.
        z: Latents, with shape (N, D).
        basis: The directions, with shape (B, D); the D axes if not given.

    Returns:
        φ with shape (N, d), and its derivatives along each direction, with shape (N, B, d).

    Raises:
        TypeError: As ``embed`` does.

    Source:
        Jᵀu is linear in u, so its own derivative is J: one more backward pass a direction. Forward
        mode costs the same, and loads a second's worth of modules first.

    Example:
        >>> from vae.config import RunConfig
        >>> model = VAE(RunConfig(dataset="digits", hidden=(8,)))
        >>> derivatives(model, torch.zeros(5, 2))[1].shape
        torch.Size([5, 2, 64])
    """
    basis = torch.eye(model.latent_dim).to(z) if basis is None else basis.to(z)
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        phi = embed(model.decode(z))
        u = torch.zeros_like(phi, requires_grad=True)
        (back,) = torch.autograd.grad(phi, z, u, create_graph=True)
        moved = [
            torch.autograd.grad(back, u, direction.expand_as(z), retain_graph=True)[0]
            for direction in basis
        ]
    return phi.detach(), torch.stack(moved, 1)


def metric(model: VAE, z: Tensor, basis: Tensor | None = None) -> Tensor:
    r"""The Fisher–Rao metric of p(x given z), pulled back to latent space.

    .. math:: G(z) = J_\phi^\top J_\phi = J_\eta^\top\, \mathrm{Var}(x \mid z)\, J_\eta

    The expected metric of Arvanitidis et al. 2018 has a second term for a scale that moves with z;
    here the scale does not, and a Bernoulli's variance is in its mean.

    Arguments:
        model: The model.
        z: Latents, with shape (*, D).
        basis: Directions to see it along, with shape (B, D); the D axes if not given.

    Returns:
        G, or B G Bᵀ, with shape (*, D, D) or (*, B, B), in squared standard deviations per squared
        unit of z.

    Raises:
        TypeError: As ``embed`` does.

    Source:
        Arvanitidis, Hansen & Hauberg 2018, Latent Space Oddity, for the pull-back of a decoder;
        Arvanitidis et al. 2022, Pulling Back Information Geometry, for that of Fisher's metric.

    Example:
        >>> from vae.presets import PRESETS
        >>> from vae import linear
        >>> model = VAE(PRESETS["digits-linear-2d"])
        >>> W, _, scale = linear.parameters(model)
        >>> torch.allclose(metric(model, torch.zeros(2)).double(), W.T @ W / scale**2)
        True
    """
    z = z.to(model.zero)
    flat = z.reshape(-1, z.shape[-1])
    pixels, directions = math.prod(model.shape), z.shape[-1] if basis is None else len(basis)
    parts = []
    for tile in flat.split(max(1, TILE // (pixels * (directions + 2)))):
        _, moved = derivatives(model, tile, basis)
        parts.append(moved @ moved.mT)
    return torch.cat(parts).reshape(*z.shape[:-1], directions, directions)


def log_magnification(model: VAE, z: Tensor, basis: Tensor | None = None) -> Tensor:
    r"""How much of what can be told apart lies in a unit of latent volume, as a logarithm.

    .. math:: \log \sqrt{\det G(z)}

    High where the decoder turns one picture into another, low where it stands still. Where it does
    not move at all in some direction the value is −∞.

    Arguments:
        model: The model.
        z: Latents, with shape (*, D).
        basis: Orthonormal directions of the plane that it is restricted to, with shape (B, D);
            the whole space if not given.

    Returns:
        The natural logarithm, with shape (*), float64.

    Raises:
        TypeError: As ``embed`` does.

    Source:
        Bishop, Svensén & Williams 1997, Magnification Factors for the GTM Algorithm.

    Example:
        >>> from vae.config import RunConfig
        >>> model = VAE(RunConfig(dataset="digits", hidden=(8,)))
        >>> log_magnification(model, torch.zeros(5, 7, 2)).shape
        torch.Size([5, 7])
    """
    return 0.5 * torch.logdet(metric(model, z, basis).double())


@torch.no_grad()
def length(model: VAE, path: np.ndarray, parts: int = 16) -> Length:
    r"""How long a path through latent space is for who sees only what it decodes to.

    .. math:: \int \sqrt{\dot z^\top G\, \dot z}\; dt \approx \sum_j |\phi(z_{j+1}) - \phi(z_j)|

    Chords are shorter than arcs: the sum rises to the length as its steps become shorter.

    Arguments:
        model: The model.
        path: Knots, with shape (n, D), with straight lines between them.
        parts: Into how many steps each line is cut; an even number.

    Returns:
        The length and its error; see ``Length``.

    Raises:
        TypeError: As ``embed`` does.

    Source:
        Arvanitidis, Hansen & Hauberg 2018, Latent Space Oddity.

    Example:
        >>> from vae.presets import PRESETS
        >>> model = VAE(PRESETS["digits-linear-2d"])
        >>> there = length(model, np.array([[0.0, 0.0], [1.0, 2.0]]))
        >>> back = length(model, np.array([[1.0, 2.0], [0.5, 1.0], [0.0, 0.0]]))
        >>> abs(there.value - back.value) < 1e-5
        True
    """
    phi = embed(model.decode(torch.as_tensor(subdivided(path, parts)).to(model.zero))).double()
    fine, coarse = (float(phi[::step].diff(dim=0).norm(dim=1).sum()) for step in (1, 2))
    return Length(fine, fine - coarse)


def subdivided(path: np.ndarray, parts: int) -> np.ndarray:
    """A path with every line of it cut into equal parts: (n, D) to ((n − 1) parts + 1, D).

    Example:
        >>> subdivided(np.array([[0.0], [1.0], [3.0]]), 2).ravel()
        array([0. , 0.5, 1. , 2. , 3. ])
    """
    t = np.arange(parts)[:, None] / parts
    lines = path[:-1, None] + t * np.diff(path, axis=0)[:, None]
    return np.concatenate([lines.reshape(-1, path.shape[1]), path[-1:]])


def _angle(logits: Tensor) -> Tensor:
    """2 arcsin √p of a Bernoulli: from 0 to π, with all digits near 0 and no overflow."""
    towards_black = logits <= 0
    small = 2 * torch.atan(torch.exp(torch.where(towards_black, logits, -logits) / 2))
    return torch.where(towards_black, small, math.pi - small)


def _arc(logits: Tensor) -> Tensor:
    """φ of a continuous Bernoulli: asinh(η / √12) and a bounded rest that a table holds.

    The variance is 1/12 at η = 0 and nearly 1/η² far from it, as that of asinh alone would be.
    """
    u = torch.asinh(logits / math.sqrt(12))
    rest, slope = (t.to(logits) for t in _table())
    h = math.asinh(LAST / math.sqrt(12)) / CELLS
    place = (u.abs() / h).clamp(max=CELLS * (1 - 1e-6))
    cell = place.detach().long()
    t = place - cell
    left, right = rest[cell], rest[cell + 1]
    up, on = h * slope[cell], h * slope[cell + 1]
    bend = 2 * left - 2 * right + up + on
    cubic = left + t * (up + t * (3 * (right - left) - 2 * up - on + t * bend))
    return u + torch.where(u < 0, -cubic, cubic)


@lru_cache(maxsize=1)
def _table() -> tuple[Tensor, Tensor]:
    """The rest φ − u and its slope at even steps of u = asinh(η / √12), float64."""
    step = math.asinh(LAST / math.sqrt(12)) / CELLS
    nodes, weights = np.polynomial.legendre.leggauss(8)
    places = step * (np.arange(CELLS)[:, None] + 0.5 + nodes / 2)
    area = step / 2 * (_slope(places) * weights).sum(axis=1)
    ends = step * np.arange(CELLS + 1)
    rest = np.concatenate([[0.0], np.cumsum(area)])
    return torch.from_numpy(rest), torch.from_numpy(_slope(ends))


def _slope(u: np.ndarray) -> np.ndarray:
    """dφ/du − 1 of a continuous Bernoulli: its standard deviation times dη/du, less one."""
    eta = math.sqrt(12) * np.sinh(u)
    a = np.maximum(eta / 2, 0.25)
    with np.errstate(over="ignore"):
        far = 1 / (4 * a**2) - 1 / (4 * np.sinh(a) ** 2)
    s = eta**2
    near = 1 / 12 - s / 240 + s**2 / 6048 - s**3 / 172_800 + s**4 / 5_322_240
    variance = np.where(eta > 0.5, far, near)
    return np.sqrt(variance) * math.sqrt(12) * np.cosh(u) - 1
