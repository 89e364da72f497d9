r"""Exact log p(x), and what follows from it, for models with one or two latent dimensions.

.. math:: p(x) = \int p(x \mid z)\, p(z)\, dz \approx h^D \sum_{z \in h \mathbb{Z}^D} p(x, z)

The "intractable" integral is a sum over a lattice here; see ``grid`` for the coarse one that all
data share, and ``refinement`` for the fine ones. ``kl`` and ``elbo`` judge a q against it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from vae.divergence import elbo, kl
from vae.grid import RADIUS, STEP, Grid, decode_grid
from vae.joint import Joint, QuadratureError
from vae.model import VAE
from vae.refinement import settle
from vae.survey import survey

__all__ = [
    "RADIUS",
    "STEP",
    "Evidence",
    "Grid",
    "QuadratureError",
    "decode_grid",
    "elbo",
    "evidence",
    "kl",
    "log_density",
]

#: Error of one log p(x) that is good enough, in nats, and the part of it that may come from mass
#: that stays on a coarser lattice.
TOLERANCE, TAIL = 2e-3, 0.05
#: Data that are refined together; bounds the memory.
DATA = 10_000
#: Latents that are decoded at once for ``log_density``.
ROWS = 4096


class Evidence(NamedTuple):
    """What the lattice says of N data, float64, in nats.

    ``log_evidence`` (N) and its ``error`` (N), an estimate of how far it may be off and infinite
    where a posterior could not be resolved; mean ``loc`` (N, D) and ``covariance`` (N, D, D) of the
    true posterior; ``step`` (N) of the lattice that was needed.
    """

    log_evidence: Tensor
    error: Tensor
    loc: Tensor
    covariance: Tensor
    step: Tensor


@torch.no_grad()
def evidence(
    model: VAE,
    x: Tensor,
    grid: Grid | None = None,
    *,
    tolerance: float = TOLERANCE,
    observed: Tensor | None = None,
    progress: Callable[[int], object] = lambda n: None,
) -> Evidence:
    r"""log p(x) of every datum, with mean and covariance of its true posterior.

    .. math:: \log p(x) = \log \int p(x \mid z)\, p(z)\, dz

    The step is halved, for the data that need it, until the estimated error is below the tolerance;
    an error above it says that this did not suffice.

    Arguments:
        model: A model with one or two latent dimensions.
        x: Data, with shape (N, *event).
        grid: The model's grid; decoded here if not given.
        tolerance: The error of a datum that is good enough, in nats.
        observed: Which of the d coordinates of a datum count; all if not given.
        progress: Called now and then with the number of data done since.

    Returns:
        The evidence; see ``Evidence``.

    Raises:
        QuadratureError: As ``decode_grid`` does; if the data do not fit the model.

    Source:
        Trefethen & Weideman 2014, The Exponentially Convergent Trapezoidal Rule. The error is that
        of interleaved lattices, see ``refinement``.

    Example:
        >>> from vae import linear
        >>> from vae.presets import PRESETS
        >>> model, x = VAE(PRESETS["digits-linear-2d"]), torch.zeros(3, 1, 8, 8)
        >>> torch.allclose(evidence(model, x).log_evidence, linear.log_evidence(model, x))
        True
    """
    joint = Joint(model, observed)
    grid = (decode_grid(model, observed=observed) if grid is None else grid).seen_by(joint)
    parts = []
    for tile in x.split(DATA):
        t, base = joint.project(tile)
        N, D = len(t), joint.latent_dim
        report = _in_parts(progress, N)
        surveyed = survey(joint, grid, t, lambda share: report(share / 2))  # noqa: B023
        found = Evidence(
            *(torch.empty(N, *shape, dtype=torch.float64) for shape in ((), (), (D,), (D, D), ()))
        )
        n_settled = 0
        for one in settle(joint, grid, t, surveyed, tolerance, TAIL * tolerance):
            values = (one.log_evidence + base[one.data], one.error, one.loc, one.covariance)
            for whole, value in zip(found, (*values, torch.tensor(one.step).double()), strict=True):
                whole[one.data] = value
            n_settled += len(one.data)
            report(0.5 + 0.5 * n_settled / max(1, N))
            del one, values  # its lattice, before the next one needs the memory
        parts.append(found)
    return Evidence(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _in_parts(progress: Callable[[int], object], total: int) -> Callable[[float], None]:
    """Turns shares of the work, 0 to 1, into numbers of data done since the last call."""
    done = 0

    def report(share: float) -> None:
        nonlocal done
        n = round(share * total)
        if n > done:
            progress(n - done)
            done = n

    return report


@torch.no_grad()
def log_density(
    model: VAE,
    x: Tensor,
    log_evidence: Tensor | float,
    z: Tensor,
    *,
    observed: Tensor | None = None,
) -> Tensor:
    r"""The true posterior's log-density at any latents, of one datum.

    .. math:: \log p(z \mid x) = \log p(x \mid z) + \log p(z) - \log p(x)

    Arguments:
        model: A model with one or two latent dimensions.
        x: One datum, with shape (*event).
        log_evidence: log p(x), from ``evidence`` or a ``Posterior``, in nats.
        z: Latents, with shape (*, D).
        observed: As it was for log p(x).

    Returns:
        The log-density, with shape (*), float64, in nats per unit of volume.

    Raises:
        QuadratureError: If the model has more latent dimensions, or the datum does not fit it.

    Source:
        Bayes' rule.

    Example:
        >>> from vae.config import RunConfig
        >>> model, x = VAE(RunConfig(dataset="digits", hidden=(16,))), torch.zeros(1, 8, 8)
        >>> log_p = evidence(model, x[None]).log_evidence
        >>> log_density(model, x, log_p, torch.zeros(5, 7, 2)).shape
        torch.Size([5, 7])
    """
    joint = Joint(model, observed)
    t, base = joint.project(x[None])
    parts = []
    for tile in z.reshape(-1, joint.latent_dim).split(ROWS):
        phi, bias = joint.at(tile)
        parts.append(((phi @ t[0]) + bias).double())
    return (torch.cat(parts) + base).view(z.shape[:-1]) - torch.as_tensor(
        log_evidence, dtype=torch.float64
    )
