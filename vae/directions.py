"""Directions in latent space: groups of data, the difference of their means, what it separates."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Direction(NamedTuple):
    """From the mean of one group of latents to that of another.

    ``vector`` and ``standard_error`` have shape (D); ``length`` is the vector's, ``length_se`` its
    standard error, and ``by_chance`` the root-mean-square length that groups of this size and
    spread would show if their true means were equal. All in units of z.
    """

    vector: np.ndarray
    standard_error: np.ndarray
    length: float
    length_se: float
    by_chance: float


#: Data a group that a separation is judged by, at least: of fewer its error is not known.
FEWEST = 20


class Separation(NamedTuple):
    """The area under the curve, from 0 to 1, and its standard error."""

    auc: float
    standard_error: float


def mean_difference(first: np.ndarray, second: np.ndarray) -> Direction:
    r"""Subtracts the mean of the second group from that of the first.

    .. math:: v = \bar z_1 - \bar z_2, \qquad C = S_1 / n_1 + S_2 / n_2,
        \qquad \mathrm{se}(\lVert v \rVert) \approx \sqrt{v^\top C v} / \lVert v \rVert

    C is the covariance of v over the choice of data; with equal true means the length would have
    the mean square tr C. The groups are taken to be independent, so a datum is in one of them.

    Arguments:
        first: Latents of the first group, with shape (n1, D), in units of z.
        second: Latents of the second, with shape (n2, D).

    Returns:
        The direction with its standard errors, in units of z.

    Raises:
        ValueError: If a group has fewer than two data.

    Source:
        Larsen et al. 2016, Autoencoding beyond pixels using a learned similarity metric: visual
        attribute vectors. The errors are those of Welch's test, without assuming equal spreads.

    Example:
        >>> v = mean_difference(np.array([[4.0, 0], [6.0, 0]]), np.array([[1.0, 0], [1.0, 0]]))
        >>> v.vector, v.standard_error, v.length_se, v.by_chance
        (array([4., 0.]), array([1., 0.]), 1.0, 1.0)
    """
    groups = [np.asarray(group, float) for group in (first, second)]
    if min(map(len, groups)) < 2:
        raise ValueError("each group needs at least two data")
    vector = groups[0].mean(axis=0) - groups[1].mean(axis=0)
    length = float(np.linalg.norm(vector))
    along = vector / length if length else vector
    length_se = sum(float((group @ along).var(ddof=1)) / len(group) for group in groups) ** 0.5
    variance = sum(group.var(axis=0, ddof=1) / len(group) for group in groups)
    return Direction(vector, variance**0.5, length, length_se, float(variance.sum()) ** 0.5)


def separation(first: np.ndarray, second: np.ndarray) -> Separation:
    r"""Judges how well the difference of means tells two groups apart, on data it did not see.

    .. math:: \mathrm{AUC} = P(v^\top z_1 > v^\top z_2) + \tfrac12 P(v^\top z_1 = v^\top z_2)

    One half of the data (every other row) gives the direction and the other half is judged by it,
    then the other way round: 0.5 is chance, 1 is no overlap, and the mean of both is returned. Each
    half's standard error is given the direction, over the data that are judged. The halves err
    together, for each gives the direction that judges the other, so their errors are added.

    Arguments:
        first: Latents of the first group, with shape (n1, D).
        second: Latents of the second, with shape (n2, D).

    Returns:
        The area and its standard error.

    Raises:
        ValueError: If a group has fewer than ``FEWEST`` data: where no pair happens to overlap, the
            standard error is zero, and in groups of four that is chance once in ten times.

    Source:
        DeLong, DeLong & Clarke-Pearson 1988, Comparing the areas under two or more correlated
        receiver operating characteristic curves: a nonparametric approach.

    Example:
        >>> low = np.arange(20.0)[:, None]
        >>> separation(low + 10, low).auc, separation(low + 30, low).auc
        (0.875, 1.0)
    """
    if min(len(first), len(second)) < FEWEST:
        raise ValueError(f"each group needs at least {FEWEST} data")
    halves = []
    for seen, judged in ((0, 1), (1, 0)):
        vector = first[seen::2].mean(axis=0) - second[seen::2].mean(axis=0)
        halves.append(auc(first[judged::2] @ vector, second[judged::2] @ vector))
    error = sum(half.standard_error for half in halves) / 2
    return Separation(sum(half.auc for half in halves) / 2, error)


def auc(high: np.ndarray, low: np.ndarray) -> Separation:
    """The share of pairs in which the score of the first group is the higher, ties counting half.

    Arguments:
        high: Scores of the group that should score higher, with shape (n1).
        low: Scores of the other, with shape (n2).

    Returns:
        The area under the receiver operating characteristic, with DeLong's standard error.

    Raises:
        ValueError: If a group has fewer than two scores.

    Source:
        DeLong et al. 1988; the area is the Mann-Whitney statistic.

    Example:
        >>> round(auc(np.array([2.0, 3.0, 3.0]), np.array([1.0, 2.0])).auc, 3)
        0.917
    """
    if min(len(high), len(low)) < 2:
        raise ValueError("each group needs at least two scores")
    beaten, tops = (_share_below(*pair) for pair in ((high, low), (-low, -high)))
    error = (beaten.var(ddof=1) / len(beaten) + tops.var(ddof=1) / len(tops)) ** 0.5
    return Separation(float(beaten.mean()), float(error))


def _share_below(scores: np.ndarray, others: np.ndarray) -> np.ndarray:
    """For each score the share of the others that lie below it, ties counting half."""
    ranked = np.sort(others)
    sides = [np.searchsorted(ranked, scores, side) for side in ("left", "right")]
    return (sides[0] + sides[1]) / (2 * len(others))


def inside(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Which points of the plane lie in a closed outline, by the even-odd rule.

    Where a loop crosses itself, what is encircled twice is outside, as it is drawn.

    Arguments:
        points: Places, with shape (N, 2).
        corners: The corners in their order, with shape (n, 2); the last joins the first.

    Returns:
        True where a point is inside, with shape (N).

    Raises:
        Nothing of its own: an outline of fewer than three corners holds nothing.

    Source:
        Hormann & Agathos 2001, The point in polygon problem for arbitrary polygons: a ray to the
        right crosses the outline an odd number of times.

    Example:
        >>> inside(np.array([[1.0, 1.0], [3.0, 1.0]]), np.array([[0.0, 0], [2, 0], [2, 2], [0, 2]]))
        array([ True, False])
    """
    x, y = np.asarray(points, float).T
    odd = np.zeros(len(x), bool)
    corners = np.asarray(corners, float).reshape(-1, 2)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y0 != y1:
            spans = (y0 > y) != (y1 > y)
            odd ^= spans & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return odd


def analogy(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    r"""Answers "a is to b as c is to what?" in latent space.

    .. math:: z = c + (b - a)

    Nothing promises that an answer is there: it holds where what changes from a to b is the same
    straight step everywhere.

    Arguments:
        a: A latent, with shape (D).
        b: What a becomes, with shape (D).
        c: Another latent, with shape (D).

    Returns:
        The answer, with shape (D).

    Raises:
        Nothing of its own.

    Source:
        Mikolov, Yih & Zweig 2013, Linguistic regularities in continuous space word
        representations; White 2016, Sampling generative networks, for pictures.

    Example:
        >>> analogy(np.array([0.0, 0.0]), np.array([1.0, 0.0]), np.array([0.5, 2.0]))
        array([1.5, 2. ])
    """
    return c + (b - a)
