r"""Hamiltonian Monte Carlo (HMC) between two ends: from what can be sampled to the posterior.

.. math:: f_\beta(z) = s(z)^{1 - \beta}\, p(x, z)^\beta

where the start s is the prior (then f is p(z) p(x given z)^β) or the encoder's q. Chains of
different data never touch, and each datum's noise comes from a generator of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Generator, Tensor
from torch.distributions import Distribution

from vae.families import moments, push
from vae.model import VAE

#: Steps of one move, about two scales long, or a third of a turn, when its steps are the largest
#: that ``chains.tune`` allows. On mnist-50d, from the prior, the usual 10 steps at half as many
#: temperatures left several times the BDMC gap.
LEAPFROGS = 5
#: Each move's step is drawn within this share of its size, so that no chain can turn in a circle.
JITTER = 0.2

Start = Literal["prior", "encoder"]


class Path(NamedTuple):
    """The way of the chains of B data: p(x, z) at its end, and the scales (B, D) at both ends."""

    model: VAE
    x: Tensor
    start: Distribution
    start_scale: Tensor
    end_scale: Tensor

    def scale(self, beta: float) -> Tensor:
        """How wide f is thought to be in each dimension, with shape (B, D): precisions mix."""
        return ((1 - beta) / self.start_scale**2 + beta / self.end_scale**2).rsqrt()


class Point(NamedTuple):
    """Where chains stand, z (chains, B, D), with both ends' log-densities and their gradients."""

    z: Tensor
    log_start: Tensor
    log_joint: Tensor
    grad_start: Tensor
    grad_joint: Tensor

    def log_density(self, beta: float) -> Tensor:
        """log f at β, with shape (chains, B), in nats."""
        return (1 - beta) * self.log_start + beta * self.log_joint

    def gradient(self, beta: float) -> Tensor:
        """The gradient of log f at β, with shape (chains, B, D)."""
        return (1 - beta) * self.grad_start + beta * self.grad_joint


@torch.no_grad()
def path(model: VAE, x: Tensor, start: Start = "encoder") -> Path:
    """The way from the prior, or from the encoder's answer, to the posterior.

    The encoder's scales also tell how far to step in each dimension: a bad guess costs time, not
    correctness.

    Arguments:
        model: The model.
        x: Data, with shape (B, *event).
        start: ``"prior"`` or ``"encoder"``.

    Returns:
        The path of these data.

    Raises:
        ValueError: If x does not fit the model, or the start has another name.

    Source:
        Wu et al. 2017, On the Quantitative Analysis of Decoder-Based Generative Models, section 4.

    Example:
        >>> from vae.config import RunConfig
        >>> model = VAE(RunConfig(dataset="digits", hidden=(8,)))
        >>> path(model, torch.zeros(3, 1, 8, 8), "prior").scale(0.0)[0]
        tensor([1., 1.])
    """
    if start not in ("prior", "encoder"):
        raise ValueError(
            f"chains start from the “encoder”, the “prior” or, “mixed”, from both, not “{start}”"
        )
    if x.dim() == 0 or tuple(x.shape[1:]) != tuple(model.shape):
        raise ValueError(
            f"x has shape {tuple(x.shape)} and the model takes (N, "
            f"{', '.join(map(str, model.shape))}): give it data of the set it was trained on"
        )
    q = model.encode(x)
    s = q if start == "encoder" else model.prior()
    scales = [moments(p)[1].expand(len(x), model.latent_dim) for p in (s, q)]
    return Path(model, x, s, *scales)


def look(path: Path, z: Tensor) -> Point:
    """Log-densities and gradients where chains stand; one pass through the decoder and back.

    Arguments:
        path: The path of B data.
        z: Latents, with shape (chains, B, D).

    Returns:
        The point, detached.

    Raises:
        RuntimeError: If z does not have the latent dimensions of the model.

    Example:
        >>> from vae.config import RunConfig
        >>> model = VAE(RunConfig(dataset="digits", hidden=(8,)))
        >>> way = path(model, torch.zeros(3, 1, 8, 8), "prior")
        >>> look(way, torch.ones(4, 3, 2)).grad_start[0, 0]
        tensor([-1., -1.])
    """
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        log_start = path.start.log_prob(z)
        log_joint = path.model.prior().log_prob(z) + path.model.decode(z).log_prob(path.x)
        gradients = [torch.autograd.grad(f.sum(), z)[0] for f in (log_start, log_joint)]
    return Point(z.detach(), log_start.detach(), log_joint.detach(), *gradients)


def draw(path: Path, generators: Sequence[Generator], chains: int) -> Tensor:
    """Draws from the start of the path, with shape (chains, B, D)."""
    with torch.no_grad():
        return push(path.start, _normals(generators, chains, path.end_scale))[0]


@torch.no_grad()
def move(
    path: Path, point: Point, beta: float, step_size: Tensor, generators: Sequence[Generator]
) -> tuple[Point, Tensor]:
    r"""One move of every chain, which leaves f at β invariant.

    .. math:: H(z, r) = -\log f_\beta(z) + \tfrac12 r^\top r, \qquad
        \text{accepted with probability } \min(1, e^{H - H'})

    A trajectory that runs off to infinity is refused, and shows as acceptance 0.

    Arguments:
        path: The path of B data.
        point: Where the chains stand.
        beta: The inverse temperature, from 0 to 1.
        step_size: Of each datum, with shape (B), in scales of the path.
        generators: One for each datum.

    Returns:
        Where they stand now, and the probabilities of acceptance, with shape (chains, B).

    Raises:
        Nothing of its own.

    Source:
        Neal 2011, MCMC using Hamiltonian dynamics, sections 3.3 and 4.2.

    Example:
        >>> from vae.config import RunConfig
        >>> model = VAE(RunConfig(dataset="digits", hidden=(8,)))
        >>> way = path(model, torch.zeros(3, 1, 8, 8), "prior")
        >>> generators = [Generator().manual_seed(i) for i in range(3)]
        >>> here = look(way, torch.zeros(4, 3, 2))
        >>> there, acceptance = move(way, here, 0.0, torch.full((3,), 0.1), generators)
        >>> bool((acceptance > 0.99).all())  # small steps lose little energy
        True
    """
    chains, dtype = len(point.z), point.z.dtype
    momentum = _normals(generators, chains, point.z)
    drawn = [torch.rand(2, chains, generator=g, dtype=dtype) for g in generators]
    jitter, threshold = torch.stack(drawn, dim=2).to(point.z.device)
    length = (step_size * (1 + JITTER * (2 * jitter - 1))).unsqueeze(-1) * path.scale(beta)
    energy = 0.5 * momentum.double().square().sum(-1) - point.log_density(beta).double()
    new, momentum = point, momentum + 0.5 * length * point.gradient(beta)
    for i in range(LEAPFROGS):
        new = look(path, new.z + length * momentum)
        momentum = momentum + (1 if i < LEAPFROGS - 1 else 0.5) * length * new.gradient(beta)
    lost = 0.5 * momentum.double().square().sum(-1) - new.log_density(beta).double() - energy
    acceptance = (-lost).clamp(max=0).exp().nan_to_num(0)
    accepted = threshold < acceptance
    fields = zip(new, point, strict=True)
    return Point(*(torch.where(_like(accepted, a), a, b) for a, b in fields)), acceptance


def _normals(generators: Sequence[Generator], chains: int, like: Tensor) -> Tensor:
    """Standard normals (chains, B, D), each datum's from its generator; ``like`` ends in (B, D)."""
    shape, dtype = (chains, like.shape[-1]), like.dtype
    drawn = [torch.randn(shape, generator=g, dtype=dtype) for g in generators]
    return torch.stack(drawn, dim=1).to(like.device)


def _like(mask: Tensor, other: Tensor) -> Tensor:
    """The mask with axes of length one added, to stand beside a larger tensor."""
    return mask.reshape(*mask.shape, *(1,) * (other.dim() - mask.dim()))
