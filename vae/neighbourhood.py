"""What a picture of latent means keeps of who is near whom."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

#: Data whose distances to all others are held at once.
TILE = 500


class Neighbourhood(NamedTuple):
    """What a layout kept of who is near whom, one value a datum (N), each between 0 and 1:
    ``kept`` is the share of its k nearest in the picture that are among its k nearest in truth;
    the mean of ``trust`` is the trustworthiness."""

    kept: np.ndarray
    trust: np.ndarray


def neighbourhood(loc: np.ndarray, at: np.ndarray, k: int = 10) -> Neighbourhood:
    r"""How well a layout keeps who is near whom.

    For each datum i, with its k nearest in the picture :math:`U_i`, and the rank r(i, j) of datum j
    by its latent distance from i,

    .. math:: \mathrm{kept}_i = \frac{1}{k} \#\{j \in U_i : r(i, j) \le k\}, \qquad
        \mathrm{trust}_i = 1 - \frac{2}{k(2N - 3k - 1)} \sum_{j \in U_i} \max(0, r(i, j) - k)

    By chance ``kept`` is k / (N - 1), and ``trust`` about 1/2.

    Arguments:
        loc: Means, with shape (N, D).
        at: Their places, with shape (N, 2).
        k: How many neighbours.

    Returns:
        Both values, for each datum.

    Raises:
        ValueError: If k ≥ N / 2.

    Source:
        Venna & Kaski 2001, Neighborhood preservation in nonlinear projection methods.

    Example:
        >>> loc = np.random.default_rng(0).standard_normal((50, 2))
        >>> found = neighbourhood(loc, 3 * loc)
        >>> float(found.kept.mean()), float(found.trust.mean())
        (1.0, 1.0)
    """
    N = len(loc)
    if k >= N / 2:
        raise ValueError(f"{k} neighbours are too many among {N} data.")
    far, near = (torch.as_tensor(np.asarray(a, dtype=np.float64)) for a in (loc, at))
    ranks = []
    for first in range(0, N, TILE):
        rows = torch.arange(first, min(N, first + TILE))
        truth, picture = (_distances(points, rows) for points in (far, near))
        chosen = picture.topk(k, largest=False).indices
        reach = truth.gather(1, chosen).T  # one neighbour after the other, or it takes memory
        ranks.append(torch.stack([1 + (truth < r[:, None]).sum(1) for r in reach], 1))
    rank = torch.cat(ranks).double().numpy()
    lost = np.maximum(0, rank - k).sum(1)
    return Neighbourhood((rank <= k).mean(1), 1 - 2 * lost / (k * (2 * N - 3 * k - 1)))


def _distances(points: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """From some of the points to all others; to itself each is infinitely far."""
    exact = "donot_use_mm_for_euclid_dist"  # or neighbours that are close change their order
    distances = torch.cdist(points[rows], points, compute_mode=exact)
    distances[torch.arange(len(rows)), rows] = torch.inf
    return distances
