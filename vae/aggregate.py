r"""The aggregate posterior as a picture of any plane: what the encoder does to a whole data set.

.. math:: q(z) = \frac{1}{N} \sum_n q(z \mid x_n)

seen in a plane: integrated over all directions at right angles to it.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

#: Numbers (pixels times Gaussians) that are held at once.
TILE = 1_000_000


def of_gaussians(loc: np.ndarray, covariance: np.ndarray, side: np.ndarray) -> np.ndarray:
    r"""The log-density of the mean of N Gaussians in a plane, on a square grid.

    Each is blurred by half the spacing of the grid, or narrow ones would fall between its nodes.

    Arguments:
        loc: Means in the plane, with shape (N, 2).
        covariance: xx, xy, yy of each, with shape (N, 3).
        side: Coordinates of the grid's columns, and of its rows, rising evenly, with shape (n).

    Returns:
        log q with shape (n, n), the largest y first, in nats per unit of area; right to about −50,
        below which all is the same.

    Raises:
        Nothing of its own.

    Source:
        Hoffman & Johnson 2016, ELBO surgery.

    Example:
        >>> side = np.linspace(-3, 3, 61)
        >>> of_gaussians(np.zeros((1, 2)), np.array([[0.9975, 0, 0.9975]]), side).max().round(4)
        np.float64(-1.8379)
    """
    x, y = (torch.as_tensor(column, dtype=torch.float64)[:, None] for column in loc.T)
    grid = torch.as_tensor(side, dtype=torch.float64)
    blur = (side[1] - side[0]) ** 2 / 4
    xx, xy, yy = torch.as_tensor(covariance, dtype=torch.float64)[:, :, None].unbind(1)
    xx, yy = xx + blur, yy + blur
    if not xy.any():  # a product of two: one matrix product for all
        across, up = _normal(grid - x, xx), _normal(grid - y, yy)
        return _log(up.T @ across / len(loc))
    determinant = xx * yy - xy**2
    a, b, c = -0.5 * yy / determinant, xy / determinant, -0.5 * xx / determinant
    d, e = -(2 * a * x + b * y), -(2 * c * y + b * x)
    f = -0.5 * (d * x + e * y) - (2 * math.pi * determinant.sqrt()).log()
    quadratic = torch.cat((a, b, c, d, e, f), 1).T.contiguous()  # in u², uv, v², u, v, 1
    v, u = torch.cartesian_prod(grid, grid).T
    features = torch.stack((u**2, u * v, v**2, u, v, torch.ones_like(u)), 1)
    density = [
        (part @ quadratic).clamp_(min=-60).exp_().sum(1)
        for part in features.split(max(1, TILE // len(loc)))
    ]
    return _log(torch.cat(density).view(len(side), -1) / len(loc))


def log_density(
    z: np.ndarray, loc: np.ndarray, scale: np.ndarray, covariance: np.ndarray | None = None
) -> tuple[float, float]:
    r"""The log-density of the mean of N Gaussians at one place, with its standard error.

    The error is that of the mean over the data, carried through the logarithm: with few data near
    by it is large, and then itself not to be relied upon.

    Arguments:
        z: The place, with shape (D).
        loc: Means, with shape (N, D).
        scale: Standard deviations, with shape (N, D).
        covariance: Covariances, with shape (N, D, D), where the Gaussians lean.

    Returns:
        log q(z) and its standard error, in nats.

    Raises:
        Nothing of its own.

    Source:
        Hoffman & Johnson 2016, ELBO surgery.

    Example:
        >>> value, error = log_density(np.zeros(2), np.zeros((5, 2)), np.ones((5, 2)))
        >>> round(value, 4), error
        (-1.8379, 0.0)
    """
    away = np.asarray(z, dtype=float) - loc
    if covariance is None:
        square, log_volume = ((away / scale) ** 2).sum(1), np.log(scale).astype(float).sum(1)
    else:
        square = (away * np.linalg.solve(covariance, away[..., None])[..., 0]).sum(1)
        log_volume = 0.5 * np.linalg.slogdet(covariance)[1]
    log_q = -0.5 * square - log_volume - 0.5 * len(z) * math.log(2 * math.pi)
    peak = log_q.max()
    weight = np.exp(np.maximum(log_q - peak, -60))
    error = weight.std(ddof=1) / weight.mean() / len(weight) ** 0.5 if len(weight) > 1 else math.nan
    return float(peak + np.log(weight.mean())), float(error)


def of_draws(z: np.ndarray, side: np.ndarray) -> np.ndarray:
    """The log-density of many draws in a plane, counted in cells around the nodes of a square grid.

    Arguments:
        z: Draws in the plane, with shape (K, 2).
        side: As for ``of_gaussians``.

    Returns:
        As ``of_gaussians``, with −∞ where there is no draw.

    Raises:
        Nothing of its own.

    Example:
        >>> of_draws(np.array([[1.0, 0.0], [9.0, 9.0]]), np.array([0.0, 1.0, 2.0])).round(3)
        array([[  -inf,   -inf,   -inf],
               [  -inf,   -inf,   -inf],
               [  -inf, -0.693,   -inf]])
    """
    step = side[1] - side[0]
    edges = np.append(side - step / 2, side[-1] + step / 2)
    counts, _, _ = np.histogram2d(z[:, 1], z[:, 0], bins=(edges, edges))
    return _log(torch.from_numpy(counts) / (len(z) * step**2))


def _normal(difference: Tensor, variance: Tensor) -> Tensor:
    """Densities of normals (N, n) at differences from their means."""
    exponent = (-0.5 * difference**2 / variance).clamp(min=-60)
    return exponent.exp() / (2 * math.pi * variance).sqrt()


def _log(density: Tensor) -> np.ndarray:
    """The logarithm, the largest y first."""
    return density.log().flip(0).numpy()
