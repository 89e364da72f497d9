"""Whether samples are new: how far from where data are encoded, and from the data themselves."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vae.model import VAE
from vae.surgery import log_density

#: Data encoded or compared at once.
TILE = 1_000


class Near(NamedTuple):
    """The nearest datum of each sample (n), and the Euclidean distance to it (n)."""

    index: np.ndarray
    distance: np.ndarray


class Outside(NamedTuple):
    """The share of samples outside a region, with its standard error."""

    share: float
    error: float


@torch.no_grad()
def log_aggregate(
    model: VAE, x: Tensor, z: np.ndarray, *, without: np.ndarray | None = None
) -> np.ndarray:
    r"""The log-density of latents under the aggregate posterior of some data.

    .. math:: \log \tfrac{1}{N} \textstyle\sum_n q(z \mid x_n)

    A draw from the q of one of the data always lies near one: its own. Leave that one out to see
    how many others come near.

    Arguments:
        model: The model.
        x: The N data, with shape (N, *event).
        z: Latents, with shape (n, D).
        without: For each latent a row of x that is left out, with shape (n); one that is no row of
            x leaves nothing out. The mean is then over the others.

    Returns:
        Log-densities, with shape (n), in nats.

    Raises:
        ValueError: If there are no data, or none but the one left out.

    Source:
        Hoffman & Johnson 2016, ELBO surgery.

    Example:
        >>> from vae.config import RunConfig
        >>> model = VAE(RunConfig(dataset="digits", hidden=(8,)))
        >>> log_aggregate(model, torch.zeros(3, 1, 8, 8), np.zeros((4, 2))).shape
        (4,)
    """
    if not len(x):
        raise ValueError("the aggregate posterior needs one datum at least")
    latents = torch.as_tensor(np.asarray(z)).to(model.zero)
    out = torch.as_tensor(np.full(len(z), len(x)) if without is None else np.asarray(without))
    n_left = len(x) - ((out >= 0) & (out < len(x))).double()
    if not n_left.all():
        raise ValueError("the aggregate posterior needs one datum beside the one left out")
    total = torch.full((len(latents),), -math.inf, dtype=torch.float64)
    for rows in torch.arange(len(x)).split(TILE):
        of_each = log_density(model.encode(x[rows]))
        within = [
            of_each(some).masked_fill(rows == left_out[:, None], -math.inf).logsumexp(1)
            for some, left_out in zip(latents.split(TILE), out.split(TILE), strict=True)
        ]
        total = torch.logaddexp(total, torch.cat(within))
    return (total - n_left.log()).numpy()


def outside(
    log_q: np.ndarray,
    reference: np.ndarray,
    *,
    holds: float = 0.95,
    behind: float = math.inf,
    behind_reference: float = math.inf,
) -> Outside:
    r"""How many samples lie where a density is lower than almost all of a reference.

    The region is where log q(z) reaches the lowest value that ``holds`` of the reference reach.
    The error takes in both the samples and the reference; of k among n samples the share behind it
    is (k + 1) / (n + 2), so that none out of n is not taken for certainty. Draws from the q of few
    data are no more certain than the data: with N data behind n draws the variance of a share p is
    at most p (1 - p) (1/n + 1/N), which is what is taken.

    Arguments:
        log_q: Log-densities at the samples, with shape (n), in nats.
        reference: Log-densities at draws for which the region is made, with shape (m), in nats.
        holds: How much of the reference the region holds, between 0 and 1.
        behind: Of how many data the samples are draws; if not given, each stands for itself.
        behind_reference: The same for the reference.

    Returns:
        The share and its standard error.

    Raises:
        ValueError: If there are no samples, or nothing to compare them with.

    Source:
        Hyndman 1996, Computing and Graphing Highest Density Regions.

    Example:
        >>> outside(np.array([-9.0, 0.0, 1.0, 2.0]), np.linspace(-1, 1, 101)).share
        0.25
    """
    n, m = len(log_q), len(reference)
    if not (n and m):
        raise ValueError("there is nothing to compare")
    spread = math.sqrt(holds * (1 - holds) * (1 / m + 1 / behind_reference))
    levels = np.clip([1 - holds, 1 - holds - spread, 1 - holds + spread], 0, 1)
    shares = [float((log_q < edge).mean()) for edge in np.quantile(reference, levels)]
    smoothed = (shares[0] * n + 1) / (n + 2)
    own = math.sqrt(smoothed * (1 - smoothed) * (1 / n + 1 / behind))
    return Outside(shares[0], math.hypot(own, (shares[2] - shares[1]) / 2))


def nearest_data(samples: np.ndarray, stored: np.ndarray) -> Near:
    r"""The nearest of many data to each sample: a sample at no distance is a copy.

    .. math:: \arg\min_n \lVert s - x_n \rVert^2
        = \arg\min_n \lVert x_n \rVert^2 - 2\, s \cdot x_n

    which for all samples and ``TILE`` data is one matrix product.

    Arguments:
        samples: Samples, with shape (n, *event); pixels from 0 to 1.
        stored: Data as they are stored, with shape (N, *event): pixels uint8 from 0 to 255, or
            points.

    Returns:
        Rows of ``stored`` and distances; see ``Near``.

    Raises:
        ValueError: If there are no data.

    Source:
        Brute force.

    Example:
        >>> stored = np.array([[0.0, 0.0], [3.0, 4.0]], np.float32)
        >>> nearest_data(np.array([[3.0, 3.0]]), stored)
        Near(index=array([1]), distance=array([1.]))
    """
    if not len(stored):
        raise ValueError("there are no data to compare with")
    flat = samples.reshape(len(samples), -1).astype(np.float32)
    best = np.full(len(flat), np.inf, np.float32)
    index = np.zeros(len(flat), np.int64)
    for first in range(0, len(stored), TILE):
        tile = _numbers(stored[first : first + TILE], np.float32)
        apart = np.einsum("nd,nd->n", tile, tile) - 2 * flat @ tile.T
        row = apart.argmin(axis=1)
        least = apart[np.arange(len(flat)), row]
        nearer = least < best
        best[nearer], index[nearer] = least[nearer], first + row[nearer]
    apart = samples.reshape(len(samples), -1) - _numbers(stored[index], np.float64)
    return Near(index, np.linalg.norm(apart, axis=1))


def _numbers(stored: np.ndarray, kind: type) -> np.ndarray:
    """Data as rows of numbers, pixels from 0 to 1."""
    flat = stored.reshape(len(stored), -1).astype(kind)
    return flat / 255 if stored.dtype == np.uint8 else flat
