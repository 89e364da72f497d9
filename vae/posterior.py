"""The true posterior of a datum, as it lies in one or two latent dimensions: density and modes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vae.grid import Grid, decode_grid
from vae.joint import Joint
from vae.lattice import SIDE, layout
from vae.model import VAE
from vae.peaks import peaks
from vae.quadrature import TAIL, TOLERANCE
from vae.refinement import settle
from vae.survey import survey

#: Share of a posterior's mass that may be left out of its picture.
OUTSIDE = 1e-6
#: The mass within a window, and the margin around it, as a share of its side.
INSIDE, MARGIN = 0.999, 0.1
#: Data whose modes are looked for together.
DATA = 2_000


class Posterior(NamedTuple):
    """The true posterior p(z given x) of one datum on a lattice of M nodes, float64.

    ``log_density`` (M) at the nodes ``z`` (M, D), in nats per unit of volume, sums to 1 over cells
    of volume step^D; ``log_evidence`` and its ``error`` are in nats; mean ``loc`` (D) and
    ``covariance`` (D, D). ``modes`` (m, D), highest first, have the log-densities ``heights`` (m)
    and the ``mass`` (m) around each.
    """

    z: Tensor
    log_density: Tensor
    step: float
    log_evidence: float
    error: float
    loc: Tensor
    covariance: Tensor
    modes: Tensor
    heights: Tensor
    mass: Tensor


class Modes(NamedTuple):
    """How many modes the posteriors of N data have, (N), and where, (N, M, D), highest first; what
    a datum lacks to M is not a number."""

    count: Tensor
    z: Tensor


@torch.no_grad()
def posterior(
    model: VAE,
    x: Tensor,
    grid: Grid | None = None,
    *,
    tolerance: float = TOLERANCE,
    observed: Tensor | None = None,
) -> Posterior:
    r"""The true posterior of one datum.

    .. math:: p(z \mid x) = \frac{p(x \mid z)\, p(z)}{p(x)}

    What counts as a mode is said in ``peaks``.

    Arguments:
        model: A model with one or two latent dimensions.
        x: One datum, with shape (*event).
        grid: The model's grid; decoded here if not given.
        tolerance: The error of log p(x) that is good enough, in nats; it decides the step.
        observed: Which of the d coordinates of the datum count, a mask with shape (d); all if not
            given. The others drop out of the likelihood.

    Returns:
        The posterior; see ``Posterior``.

    Raises:
        QuadratureError: As ``decode_grid`` does; if the datum does not fit the model.

    Source:
        Burda et al. 2016, Importance Weighted Autoencoders, appendix C, show true posteriors.

    Example:
        >>> from vae.config import RunConfig
        >>> model = VAE(RunConfig(dataset="digits", hidden=(16,)))
        >>> p = posterior(model, torch.zeros(1, 8, 8))
        >>> round(float(p.log_density.exp().sum() * p.step**2), 6)
        1.0
    """
    joint = Joint(model, observed)
    grid = (decode_grid(model, observed=observed) if grid is None else grid).seen_by(joint)
    t, base = joint.project(x[None])
    surveyed = survey(joint, grid, t)
    *_, last = settle(joint, grid, t, surveyed, tolerance, min(OUTSIDE, TAIL * tolerance))
    places = _places(last.blocks[last.block])
    log_density = last.values.double().flatten() - last.log_evidence
    modes, mass = peaks(places, log_density.numpy(), last.step)
    return Posterior(
        torch.from_numpy(places).double() * last.step,
        log_density,
        last.step,
        float(last.log_evidence + base),
        float(last.error),
        last.loc[0],
        last.covariance[0],
        torch.from_numpy(places[modes]).double() * last.step,
        log_density[torch.from_numpy(modes)],
        torch.from_numpy(mass),
    )


def sample(posterior: Posterior, n: int, generator: torch.Generator | None = None) -> Tensor:
    """Draws from a true posterior: a cell by its mass, and a place in the cell evenly.

    Arguments:
        posterior: The posterior.
        n: How many draws.
        generator: The source of randomness.

    Returns:
        Latents, with shape (n, D), float64.

    Example:
        >>> from vae.config import RunConfig
        >>> p = posterior(VAE(RunConfig(dataset="digits", hidden=(16,))), torch.zeros(1, 8, 8))
        >>> sample(p, 5, torch.Generator().manual_seed(0)).shape
        torch.Size([5, 2])
    """
    cell = torch.multinomial(posterior.log_density.exp(), n, replacement=True, generator=generator)
    z = posterior.z[cell]
    return z + posterior.step * (torch.rand(z.shape, generator=generator, dtype=z.dtype) - 0.5)


def window(posterior: Posterior) -> tuple[float, float, float, float]:
    """A square around nearly all of a posterior's mass, as (x0, x1, y0, y1).

    With one latent dimension the second axis is idle, as in ``latent.axes_plane``.
    """
    weight = posterior.log_density.exp()
    low, high = zip(
        *(_interval(axis, weight, posterior.step) for axis in posterior.z.T), strict=True
    )
    half = (0.5 + MARGIN) * max(b - a for a, b in zip(low, high, strict=True))
    x, y = ([(a + b) / 2 for a, b in zip(low, high, strict=True)] + [0.0])[:2]
    return x - half, x + half, y - half, y + half


def _interval(axis: Tensor, weight: Tensor, step: float) -> tuple[float, float]:
    """Where all but the outermost mass lies along one axis."""
    places, index = axis.unique(return_inverse=True)
    mass = weight.new_zeros(len(places)).index_add(0, index, weight).cumsum(0)
    ends = mass[-1] * torch.tensor([(1 - INSIDE) / 2, (1 + INSIDE) / 2], dtype=mass.dtype)
    first, last = places[torch.searchsorted(mass, ends).clamp(max=len(places) - 1)].tolist()
    return first - step / 2, last + step / 2


@torch.no_grad()
def modes(
    model: VAE,
    x: Tensor,
    grid: Grid | None = None,
    *,
    tolerance: float = TOLERANCE,
    progress: Callable[[int], object] = lambda n: None,
) -> Modes:
    """The modes of the true posteriors of many data; see ``peaks`` for what a mode is.

    Arguments:
        model: A model with one or two latent dimensions.
        x: Data, with shape (N, *event).
        grid: The model's grid; decoded here if not given.
        tolerance: The error of log p(x) that is good enough, in nats; it decides the step.
        progress: Called now and then with the number of data done since.

    Returns:
        The modes; see ``Modes``.

    Raises:
        QuadratureError: As ``decode_grid`` does; if the data do not fit the model.

    Source:
        As ``posterior``.

    Example:
        >>> from vae.config import RunConfig
        >>> modes(VAE(RunConfig(dataset="digits", hidden=(16,))), torch.zeros(3, 1, 8, 8)).count
        tensor([1, 1, 1])
    """
    joint = Joint(model)
    grid = decode_grid(model) if grid is None else grid
    found: list[np.ndarray] = []
    for tile in x.split(DATA):
        t, _ = joint.project(tile)
        surveyed, here = survey(joint, grid, t), {}
        for one in settle(joint, grid, t, surveyed, tolerance, TAIL * tolerance):
            order = one.datum.argsort(stable=True)
            datum = one.datum[order].contiguous()
            first, end = (
                torch.searchsorted(datum, one.data, right=right).tolist() for right in (False, True)
            )
            for i, a, b in zip(one.data.tolist(), first, end, strict=True):
                pairs = order[a:b]
                places = _places(one.blocks[one.block[pairs]])
                index, _ = peaks(places, one.values[pairs].double().flatten().numpy(), one.step)
                here[i] = places[index] * one.step
            progress(len(one.data))
            del one  # its lattice, before the next one needs the memory
        found += [here[i] for i in range(len(tile))]
    count = torch.tensor([len(z) for z in found])
    padded = torch.full(
        (len(x), max(count.tolist(), default=0), joint.latent_dim), torch.nan, dtype=torch.float64
    )
    for row, z in zip(padded, found, strict=True):
        row[: len(z)] = torch.from_numpy(z)
    return Modes(count, padded)


def _places(blocks: Tensor) -> np.ndarray:
    """The nodes of blocks (P, D), in steps from the origin: (P n, D)."""
    offsets = layout(blocks.shape[1]).offsets
    return (SIDE * blocks[:, None] + offsets).flatten(0, 1).numpy()
