"""Generated data whose true factors and densities are known: pictures of shapes, plane toys."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

#: Kinds of shape, and the angle (radians) after which each looks the same again.
KINDS = ("square", "triangle", "bar", "heart")
PERIODS = np.array([np.pi / 2, 2 * np.pi / 3, np.pi, 2 * np.pi])

_SIDE = 28


class Factors(NamedTuple):
    """What decides a picture of ``shapes``: five arrays with shape (N,).

    ``x`` (rightwards) and ``y`` (upwards) are the centre in pixels from the picture's middle,
    ``size`` the distance from the centre to the farthest corner in pixels, ``rotation`` the angle
    in radians, anticlockwise, below the period of the kind, ``kind`` an index into ``KINDS``.
    """

    x: np.ndarray
    y: np.ndarray
    size: np.ndarray
    rotation: np.ndarray
    kind: np.ndarray


class Mixture(NamedTuple):
    """A mixture of Gaussians in the plane, swirled: a density known in closed form.

    A draw of the mixture turns about the origin by ``swirl`` radians per unit of its radius; that
    keeps areas, so the density is carried along unchanged. Shapes (C,), (C, 2), (C, 2, 2), ().
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    swirl: float


def _ring(count: int, radius: float, radial: float, tangential: float, swirl: float) -> Mixture:
    """Equal components on a ring, with these standard deviations along and across the radius."""
    angles = 2 * np.pi * np.arange(count) / count
    along = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    across = np.stack([-np.sin(angles), np.cos(angles)], axis=-1)
    covariances = radial**2 * along[:, :, None] * along[:, None] + (
        tangential**2 * across[:, :, None] * across[:, None]
    )
    return Mixture(np.full(count, 1 / count), radius * along, covariances, swirl)


#: Eight round components on a ring of radius 2.
GAUSSIAN_MIXTURE = _ring(8, radius=2.0, radial=0.2, tangential=0.2, swirl=0.0)
#: Five long, thin arms, bent by an eighth of a turn per unit of radius.
PINWHEEL = _ring(5, radius=2.0, radial=0.55, tangential=0.13, swirl=-np.pi / 4)


def shapes(n: int, seed: int) -> tuple[np.ndarray, Factors]:
    """Pictures of one shape each, and the factors that decide them.

    All factors are uniform and independent, but for the rotation's range, which follows the kind.

    Arguments:
        n: Number of pictures.
        seed: Decides the factors; the same seed gives the same pictures.

    Returns:
        Images, uint8 from 0 to 255 with shape (N, 1, 28, 28), and their factors.

    Example:
        >>> images, factors = shapes(3, seed=0)
        >>> images.shape, [KINDS[kind] for kind in factors.kind]
        ((3, 1, 28, 28), ['heart', 'bar', 'bar'])
    """
    random = np.random.default_rng(seed)
    kind = random.integers(len(KINDS), size=n)
    x, y = random.uniform(-5, 5, (2, n))
    factors = Factors(x, y, random.uniform(4, 8, n), random.random(n) * PERIODS[kind], kind)
    return draw(factors), factors


def draw(factors: Factors) -> np.ndarray:
    """Draws shapes from their factors, with smooth edges.

    A pixel is as bright as the shape's edge leaves it covered: 255 half a pixel inside, 0 half a
    pixel outside. A centre and a size that leave the picture are cut off at its border.

    Arguments:
        factors: Five arrays with shape (N,); see ``Factors`` for their units.

    Returns:
        Images, uint8 from 0 to 255 with shape (N, 1, 28, 28).

    Example:
        >>> one = Factors(*np.array([[0.0], [0.0], [8.0], [0.0]]), np.array([0]))
        >>> draw(one)[0, 0, 14, ::4]
        array([  0,   0, 167, 255, 255,   0,   0], dtype=uint8)
    """
    middle = (_SIDE - 1) / 2
    column = np.arange(_SIDE, dtype=np.float32) - middle
    x, y, size, rotation = (np.float32(value)[:, None, None] for value in factors[:4])
    images = np.empty((len(x), 1, _SIDE, _SIDE), np.uint8)
    for kind, distance in enumerate((_square, _triangle, _bar, _heart)):
        which = factors.kind == kind
        dx, dy = column - x[which], -column[:, None] - y[which]
        cos, sin, radius = np.cos(rotation[which]), np.sin(rotation[which]), size[which]
        inside = 0.5 - distance(cos * dx + sin * dy, cos * dy - sin * dx, radius)
        images[which, 0] = np.rint(255 * np.clip(inside, 0, 1))
    return images


def _square(u: np.ndarray, v: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Signed distance to a square's edge, negative inside."""
    return np.maximum(np.abs(u), np.abs(v)) - size * np.float32(np.sqrt(1 / 2))


def _triangle(u: np.ndarray, v: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Signed distance to an equilateral triangle's edge, point upwards."""
    return np.maximum(np.abs(u) * np.float32(np.sqrt(3) / 2) + v / 2, -v) - size / 2


def _bar(u: np.ndarray, v: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Signed distance to the edge of a bar three times as long as wide."""
    half = size * np.float32(np.sqrt(1 / 10))
    return np.maximum(np.abs(u) - 3 * half, np.abs(v) - half)


def _heart(u: np.ndarray, v: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Signed distance to a heart's edge: half a square on its corner with two half discs."""
    scale = size * np.float32(np.sqrt(2))
    u, v = np.abs(u) / scale, v / scale + np.float32(0.5)
    lobe = np.hypot(u - 0.25, v - 0.75) - np.float32(np.sqrt(1 / 8))
    nearest = 0.5 * np.maximum(u + v, 0)
    edge = np.minimum(np.hypot(u, v - 1), np.hypot(u - nearest, v - nearest))
    return scale * np.where(u + v > 1, lobe, edge * np.sign(u - v))


def sample(mixture: Mixture, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws points of the plane from a swirled mixture.

    Arguments:
        mixture: ``GAUSSIAN_MIXTURE``, ``PINWHEEL`` or another.
        n: Number of points.
        seed: Decides the points; the same seed gives the same points.

    Returns:
        Points, float32 with shape (N, 2), and the component of each, int64 with shape (N,).

    Example:
        >>> points, component = sample(PINWHEEL, 4, seed=0)
        >>> points.shape, component
        ((4, 2), array([3, 1, 0, 0]))
    """
    random = np.random.default_rng(seed)
    component = np.searchsorted(np.cumsum(mixture.weights)[:-1], random.random(n), side="right")
    factors = np.linalg.cholesky(mixture.covariances)[component]
    noise = random.standard_normal((n, 2))
    points = mixture.means[component] + np.einsum("nij,nj->ni", factors, noise)
    return _turn(points, mixture.swirl).astype(np.float32), component


def log_density(points: np.ndarray, mixture: Mixture) -> np.ndarray:
    r"""The exact log-density of points under a swirled mixture.

    .. math:: \log p(x) = \log \textstyle\sum_c \pi_c\, \mathcal N(S^{-1} x; \mu_c, \Sigma_c)

    Arguments:
        points: Points of the plane, with shape (N, 2).
        mixture: Its weights, means, covariances and swirl S.

    Returns:
        log p(x), with shape (N,), in nats.

    Example:
        >>> log_density(np.zeros((1, 2)), Mixture(np.ones(1), np.zeros((1, 2)), np.eye(2)[None], 0))
        array([-1.83787707])
    """
    offsets = _turn(np.asarray(points, np.float64), -mixture.swirl)[:, None] - mixture.means
    squares = np.einsum("nci,cij,ncj->nc", offsets, np.linalg.inv(mixture.covariances), offsets)
    normalisers = np.log(2 * np.pi) + 0.5 * np.linalg.slogdet(mixture.covariances)[1]
    log_joint = np.log(mixture.weights) - normalisers - 0.5 * squares
    return np.logaddexp.reduce(log_joint, axis=1)


def _turn(points: np.ndarray, swirl: float) -> np.ndarray:
    """Turns every point about the origin by an angle proportional to its radius."""
    angle = swirl * np.hypot(points[:, 0], points[:, 1])
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack(
        [cos * points[:, 0] - sin * points[:, 1], sin * points[:, 0] + cos * points[:, 1]], axis=1
    )
