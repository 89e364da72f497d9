"""Modes of a density that is known on a part of a lattice."""

from __future__ import annotations

import itertools
import math

import numpy as np

#: A mode is at least so high against the highest, and stands so many nats above its saddle.
HEIGHT, PROMINENCE = 0.01, math.log(2)
#: Nodes so many nats below the top belong to no mode.
DEPTH = 14.0


def peaks(places: np.ndarray, height: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """The modes of a density on a part of a lattice.

    A mode is a local maximum from which every path to a higher one descends by a factor of 2 at
    least, and that is itself a hundredth of the highest or more. The nodes of a narrow oblique
    ridge are local maxima too, as it passes between them, but no modes.

    Arguments:
        places: The nodes, in steps from the origin, with shape (M, D), whole numbers.
        height: The log-density at each, with shape (M), in nats.
        step: Distance of neighbouring nodes.

    Returns:
        Indices of the modes, with shape (m), highest first, and the mass around each, (m): that of
        the nodes from which the steepest way up leads to it.

    Raises:
        ValueError: If there is no node.

    Source:
        Soille 2003, Morphological Image Analysis, section 6.3.4: h-maxima, of the log-density.

    Example:
        >>> density = np.array([0.1, 0.4, 0.3, 0.1, 0.25])
        >>> peaks(np.arange(5)[:, None], np.log(density), step=0.5)
        (array([1, 4]), array([0.45 , 0.125]))
    """
    high = np.flatnonzero(height > height.max() - DEPTH)
    places, height = places[high], height[high]
    neighbours = _neighbours(places)
    around = np.where(neighbours < 0, -np.inf, height[neighbours])
    best = around.argmax(0)
    up = np.where(
        around.max(0) > height,
        np.take_along_axis(neighbours, best[None], 0)[0],
        np.arange(len(height)),
    )
    while not np.array_equal(up, up[up]):  # every node climbs to the top of its hill
        up = up[up]
    hill = _merged(up, height, neighbours, around)
    tops = np.unique(hill)
    tops = tops[height[tops] >= height.max() + math.log(HEIGHT)]
    tops = tops[np.argsort(-height[tops], kind="stable")]
    density = np.exp(height) * step ** places.shape[1]
    mass = np.bincount(hill, density, minlength=len(height))[tops]
    return high[tops], mass


def _neighbours(places: np.ndarray) -> np.ndarray:
    """Indices of the neighbours of each node of a lattice, (3^D - 1, M); -1 where there is none."""
    places = places - places.min(0) + 1
    stride = np.cumprod([1, *(places.max(0) + 2)[:-1]])
    key = places @ stride
    order = np.argsort(key)
    ordered = key[order]
    steps = [s for s in itertools.product((-1, 0, 1), repeat=places.shape[1]) if any(s)]
    wanted = key + (np.array(steps) @ stride)[:, None]
    at = np.searchsorted(ordered, wanted).clip(max=len(key) - 1)
    return np.where(ordered[at] == wanted, order[at], -1)


def _merged(
    top: np.ndarray, height: np.ndarray, neighbours: np.ndarray, around: np.ndarray
) -> np.ndarray:
    """The top of each node's hill, hills joined whose lower top is not prominent."""
    side, node = np.nonzero((neighbours >= 0) & (top[neighbours] != top))
    saddle = np.minimum(height[node], around[side, node])
    ends = np.stack([top[node], top[neighbours[side, node]]], 1)
    parent = {int(t): int(t) for t in np.unique(top)}

    def root(t: int) -> int:
        while parent[t] != t:
            t = parent[t]
        return t

    for k in np.argsort(-saddle, kind="stable"):
        low, high = sorted(map(root, ends[k].tolist()), key=lambda t: height[t])
        if height[low] - saddle[k] < PROMINENCE:
            parent[low] = high
    known = {t: root(t) for t in parent}
    return np.array([known[t] for t in top.tolist()])
