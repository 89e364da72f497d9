"""The shapes in the figure of "VQ as hard EM": borders, circles, tails, and how they fit.

Arrays in, arrays out: nothing here knows of plotly.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ui.figures import LABEL_COLOURS


def colour(k: int) -> str:
    """The colour of a centre and its data."""
    return LABEL_COLOURS[k % len(LABEL_COLOURS)]


def blend(q: np.ndarray) -> list[str]:
    """The colours of the centres mixed by probabilities (N, K), as ``#rrggbb``.

    Example:
        >>> blend(np.array([[1.0, 0.0], [0.5, 0.5]]))
        ['#b01000', '#d4543c']
    """
    parts = [bytes.fromhex(colour(k)[1:]) for k in range(q.shape[1])]
    mixed = (q @ np.array([list(part) for part in parts])).round().astype(np.uint8)
    return [f"#{row.tobytes().hex()}" for row in mixed]


def borders(centres: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Borders between Voronoi cells, cut at a box: pieces of straight line.

    A border of two centres is where the line halfway between them is nearer to no third one.

    Arguments:
        centres: With shape (K, 2); equal ones count as one.
        box: Its lower left and its upper right corner, with shape (2, 2).

    Returns:
        Ends of the pieces, each followed by a gap of NaN, with shape (3 M, 2).

    Example:
        >>> borders(np.array([[-1.0, 0.0], [1.0, 0.0]]), np.array([[-2, -2], [2, 2]]))
        array([[ 0., -2.],
               [ 0.,  2.],
               [nan, nan]])
    """
    centres = np.unique(centres, axis=0)
    i, j = np.triu_indices(len(centres), 1)
    if not len(i):
        return np.empty((0, 2))
    middle, across = (centres[i] + centres[j]) / 2, centres[j] - centres[i]
    along = np.stack([-across[:, 1], across[:, 0]], axis=1)
    # Where level + slope t >= 0 for all centres and sides of the box, with a place middle + along t
    others = centres - centres[i][:, None]
    to = middle - centres[i]
    level = np.square(others).sum(-1) - 2 * np.einsum("pkd,pd->pk", others, to)
    slope = -2 * np.einsum("pkd,pd->pk", others, along)
    for m, corner in zip((1, -1), box, strict=True):
        level = np.concatenate([level, m * (middle - corner)], axis=1)
        slope = np.concatenate([slope, m * along], axis=1)
    own = np.arange(len(centres))
    mine = (own == i[:, None]) | (own == j[:, None])
    level[:, : len(centres)][mine], slope[:, : len(centres)][mine] = 0, 0
    with np.errstate(divide="ignore", invalid="ignore"):
        at = -level / slope
    low = np.where(slope > 0, at, -np.inf).max(axis=1)
    high = np.where(slope < 0, at, np.inf).min(axis=1)
    seen = (low < high) & ((slope != 0) | (level >= 0)).all(axis=1)
    ends = [middle[seen] + along[seen] * t[seen, None] for t in (low, high)]
    gap = np.full_like(ends[0], np.nan)
    return np.stack([*ends, gap], axis=1).reshape(-1, 2)


def circles(centres: np.ndarray, sigma: float) -> np.ndarray:
    """A circle of one standard deviation about each centre, followed by a gap, (K · 50, 2)."""
    angle = np.append(np.linspace(0, 2 * np.pi, 49), np.nan)
    circle = sigma * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return (centres[:, None] + circle).reshape(-1, 2)


def tails(centres: np.ndarray, fine: float) -> np.ndarray:
    """The paths of centres (T, K, 2), one after another with gaps, to within ``fine``."""
    kept = [0]
    for t in range(1, len(centres)):
        if np.abs(centres[t] - centres[kept[-1]]).max() > fine or t == len(centres) - 1:
            kept.append(t)
    gap = np.full((1, *centres.shape[1:]), np.nan)
    return np.concatenate([centres[kept], gap]).swapaxes(0, 1).reshape(-1, 2)


def square(places: Sequence[np.ndarray]) -> np.ndarray:
    """A square about all points (…, 2): its lower left and upper right corner, with shape (2, 2).

    Example:
        >>> square([np.array([[0.0, 0.0], [1.0, 0.0]])]).round(2)
        array([[-0.04, -0.54],
               [ 1.04,  0.54]])
    """
    points = np.concatenate([array.reshape(-1, 2) for array in places])
    low, high = points.min(axis=0), points.max(axis=0)
    half = 0.54 * max(float((high - low).max()), 1e-3)
    return np.array([(low + high) / 2 - half, (low + high) / 2 + half])


def heights(levels: Sequence[np.ndarray]) -> list[float]:
    """The nats to show of curves (T): all from the first step on, and of the start what is near.

    Example:
        >>> heights([np.array([-100.0, -2.0, -1.0])])  # the start is far below
        [-5.24, -0.76]
    """
    curves = np.stack(levels)
    high, later = float(curves.max()), float(curves[:, 1:].min(initial=np.inf))
    later = min(later, high)
    low = max(float(curves.min()), high - max(4 * (high - later), 4.0))
    pad = 0.06 * max(high - low, 0.1)
    return [low - pad, high + pad]
