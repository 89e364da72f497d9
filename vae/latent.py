"""The latent space as a place: encode a set, cut planes through it, decode points and grids."""

from __future__ import annotations

import io
from typing import Literal, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from vae import bounds, families
from vae.model import VAE
from vae.tiles import tiles

Spacing = Literal["z", "quantile"]


#: Covariances of a q that is not diagonal are kept for at most so many latent dimensions.
LEANING = 8


class Encoded(NamedTuple):
    """A set as the encoder sees it: one row a datum, values in nats; covariances (N, D, D) where q
    is not diagonal and has at most ``LEANING`` dimensions."""

    loc: np.ndarray
    scale: np.ndarray
    rate: np.ndarray
    elbo: np.ndarray
    covariance: np.ndarray | None = None


class Plane(NamedTuple):
    """A plane in latent space: z = origin + p @ basis, with orthonormal rows in the basis."""

    origin: np.ndarray
    basis: np.ndarray

    def to_latent(self, points: np.ndarray) -> np.ndarray:
        """From points in the plane (..., 2) to latents (..., D)."""
        return self.origin + np.asarray(points) @ self.basis

    def project(self, z: np.ndarray) -> np.ndarray:
        """From latents (..., D) to the nearest points of the plane (..., 2)."""
        return (np.asarray(z) - self.origin) @ self.basis.T

    def through(self, at: np.ndarray) -> Plane:
        """The parallel plane through a point. Its (0, 0) is its place nearest to z = 0, so that,
        seen in it, the prior is the standard normal."""
        at = np.asarray(at, dtype=float)
        return Plane(at - at @ self.basis.T @ self.basis, self.basis)

    def covariance(self, scale: np.ndarray, full: np.ndarray | None = None) -> np.ndarray:
        """Of normals with these scales (N, D), and covariances (N, D, D) if they do not factorise,
        seen in the plane: (N, 3), xx, xy, yy."""
        first, second = self.basis
        pairs = ((first, first), (first, second), (second, second))
        if full is not None:
            return np.stack([full @ one @ other for one, other in pairs], axis=1)
        variance = np.asarray(scale) ** 2
        return variance @ np.stack([one * other for one, other in pairs], axis=1)


@torch.no_grad()
def encode_set(
    model: VAE, x: Tensor, labels: Tensor | None = None, *, seed: int = 0, elbo: bool = True
) -> Encoded:
    """Encodes a set, with the rate and a one-sample ELBO of each datum.

    The rate of a flow is estimated from the same sample.

    Arguments:
        model: The model.
        x: Data, with shape (N, *event).
        labels: Theirs, int64 with shape (N); only a conditional model is told them.
        seed: Seed of the one draw per datum.
        elbo: Whether to decode the draws. Without it the ELBOs are NaN and the wait is shorter, by
            half for dense layers and by a factor of eight for convolutions.

    Returns:
        Means and standard deviations, with shape (N, D); rates and ELBOs, with shape (N), in nats.

    Raises:
        Nothing of its own.

    Source:
        Kingma & Welling 2014.

    Example:
        >>> from vae.config import RunConfig
        >>> model = VAE(RunConfig(dataset="digits", hidden=(16,)))
        >>> encode_set(model, torch.zeros(7, 1, 8, 8)).loc.shape
        (7, 2)
    """
    parts = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for told, tile in tiles(model, x, labels, 1000):
            q = told.encode(tile)
            z = q.rsample()
            rate = bounds.rate(q, model.prior(), z)
            bound = torch.full_like(rate, torch.nan)
            if elbo:
                bound = -(rate + bounds.distortion(told.decode(z), tile))
            columns = (*families.moments(q), rate, bound)
            parts.append(columns if (lean := leaning(q)) is None else (*columns, lean))
    return Encoded(*(torch.cat(column).numpy() for column in zip(*parts, strict=True)))


def leaning(q: Distribution) -> Tensor | None:
    """The covariance of a q that may lean, where it is kept: see ``LEANING``."""
    if isinstance(q, Independent) or q.event_shape[0] > LEANING:
        return None
    return families.covariance(q)


def axes_plane(latent_dim: int, first: int, second: int, at: np.ndarray | None = None) -> Plane:
    """The plane of two latent axes, the others held at a point; with D = 1 the second is idle.

    Example:
        >>> axes_plane(3, 0, 2, np.array([9.0, 5.0, 9.0])).to_latent([1.0, 2.0])
        array([1., 5., 2.])
    """
    basis = np.zeros((2, latent_dim))
    basis[0, first] = 1
    if latent_dim > 1:
        basis[1, second] = 1
    flat = Plane(np.zeros(latent_dim), basis)
    return flat if at is None else flat.through(at)


def principal_plane(loc: np.ndarray, at: np.ndarray | None = None) -> Plane:
    """The plane along which the means vary most, through a point or through their mean.

    Example:
        >>> loc = np.array([[0.0, 0, 0], [0, 5, 1], [0, -5, -1], [1, 0, 0], [-1, 0, 0]])
        >>> principal_plane(loc).project(loc).std(axis=0).round(2)
        array([3.22, 0.63])
    """
    from sklearn.decomposition import PCA  # takes as long to import as torch

    pca = PCA(2, svd_solver="full").fit(loc.astype(float))
    middle = Plane(pca.mean_, pca.components_)
    return middle.through(pca.mean_ if at is None else at)


def nodes(n: int, radius: float, spacing: Spacing = "z") -> np.ndarray:
    """Coordinates of a grid's columns: evenly in z, or evenly in probability under N(0, 1).

    Arguments:
        n: How many.
        radius: Where an even grid ends, in standard deviations of the prior.
        spacing: ``"z"`` or ``"quantile"``; quantiles are the midpoints of n equal parts.

    Returns:
        The coordinates, rising, with shape (n).

    Raises:
        ValueError: If n < 2.

    Source:
        Quantile spacing: Kingma & Welling 2014, figure 4.

    Example:
        >>> nodes(3, 2.0), nodes(2, 2.0, "quantile").round(2)
        (array([-2.,  0.,  2.]), array([-0.67,  0.67]))
    """
    if n < 2:
        raise ValueError("a grid needs at least 2 nodes a side")
    if spacing == "z":
        return np.linspace(-radius, radius, n)
    probability = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    return Normal(torch.zeros((), dtype=torch.float64), 1.0).icdf(probability).numpy()


def picture(p_x: Distribution) -> np.ndarray:
    """What a decoder's answer looks like: grey pictures from 0 to 255.

    Arguments:
        p_x: The decoder's distribution, with batch shape (*).

    Returns:
        uint8 pictures with shape (*, H, W): the mean of images; for points in the plane their
        density on [-4, 4] squared, as a 32 by 32 map.

    Raises:
        Nothing of its own.

    Source:
        ``mean``, not a sample: a sample of binary pixels is speckled.

    Example:
        >>> from vae.config import RunConfig
        >>> picture(VAE(RunConfig(hidden=(8,))).decode(torch.zeros(5, 2))).shape
        (5, 28, 28)
    """
    if len(p_x.event_shape) == 1:
        side = torch.linspace(-4, 4, 32, device=p_x.mean.device)
        places = torch.cartesian_prod(side, side).flip(-1).reshape(32, 32, 2).flip(0)
        wide = p_x.expand(torch.Size((32, 32, *p_x.batch_shape)))
        log_p = wide.log_prob(places.reshape(32, 32, *(1,) * len(p_x.batch_shape), 2))
        log_p = log_p.movedim((0, 1), (-2, -1))
        grey = (log_p - log_p.amax((-2, -1), keepdim=True)).exp()
    else:
        grey = p_x.mean.squeeze(-3)
    return (grey.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


@torch.no_grad()
def decode_pictures(model: VAE, z: np.ndarray) -> np.ndarray:
    """Pictures of latents: (*, D) to uint8 (*, H, W)."""
    return picture(model.decode(torch.as_tensor(np.asarray(z), dtype=torch.float32)))


def decoded_grid(model: VAE, plane: Plane, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Decodes a grid of a plane, the largest y first, as one reads a picture.

    Arguments:
        model: The model.
        plane: The plane.
        x: Coordinates of the columns, rising.
        y: Coordinates of the rows, rising.

    Returns:
        uint8 pictures with shape (rows, columns, H, W).

    Raises:
        Nothing of its own.

    Source:
        Kingma & Welling 2014, figure 4.

    Example:
        >>> from vae.config import RunConfig
        >>> model = VAE(RunConfig(dataset="digits", hidden=(8,)))
        >>> decoded_grid(model, axes_plane(2, 0, 1), nodes(4, 2), nodes(3, 2)).shape
        (3, 4, 8, 8)
    """
    points = np.stack(np.meshgrid(x, y[::-1]), axis=-1)
    return decode_pictures(model, plane.to_latent(points))


def mosaic(pictures: np.ndarray, gap: int = 0) -> np.ndarray:
    """Lays pictures (rows, columns, H, W) out as one, with grey lines of ``gap`` pixels between."""
    framed = np.pad(pictures, ((0, 0), (0, 0), (0, gap), (0, gap)), constant_values=96)
    rows, columns, height, width = framed.shape
    whole = framed.swapaxes(1, 2).reshape(rows * height, columns * width)
    return whole[: rows * height - gap, : columns * width - gap]


def in_square(pictures: np.ndarray, gap: int = 0) -> np.ndarray:
    """Lays N pictures (N, H, W) out row by row in a square of pictures, black where none is left.

    Example:
        >>> in_square(np.full((5, 2, 3), 255)).shape
        (6, 9)
    """
    n, height, width = pictures.shape
    side = int(np.ceil(n**0.5))
    square = np.zeros((side * side, height, width), np.uint8)
    square[:n] = pictures
    return mosaic(square.reshape(side, side, height, width), gap)


def png(grey: np.ndarray) -> bytes:
    """A grey picture (H, W) from 0 to 255 as the bytes of a PNG file."""
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG", compress_level=6)
    return file.getvalue()


def webp(grey: np.ndarray) -> bytes:
    """A grey picture (H, W) from 0 to 255 as a WebP file: a third of the PNG, nearly the same."""
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "WEBP", quality=80, method=4)
    return file.getvalue()


def nearest(loc: np.ndarray, z: np.ndarray, n: int = 1) -> np.ndarray:
    """Indices of the n data whose means lie nearest to a latent, nearest first."""
    return np.argsort(np.linalg.norm(loc - z, axis=1), kind="stable")[:n]
