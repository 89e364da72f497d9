"""A picture that t-SNE made of a latent space, used like a plane through it."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import numpy as np
import torch

from vae.embedding import affinities_of

#: The perplexity of a placement: a new latent looks at fewer neighbours than the layout did.
NEIGHBOURS = 5.0
#: Points whose distances to all embedded data are held at once.
TILE = 500

#: Latents as near as this to a mean are that mean: links keep three decimals.
SAME = 2e-3


class Embedded:
    """A layout with the means it was made of, in which new latents can be placed.

    It is rebuilt from the two arrays, so that nothing is unpickled; the first placement takes
    about a second, a later one hundredths.

    Arguments:
        loc: The means, with shape (N, D).
        at: Their places, with shape (N, 2).

    Raises:
        ValueError: If the two differ in length.

    Example:
        >>> from vae.embedding import embed
        >>> loc = np.random.default_rng(0).standard_normal((40, 3))
        >>> embedded = Embedded(loc, embed(loc).at)
        >>> embedded.place(loc[:5] + 0.01).shape, embedded.below(embedded.at[7])
        ((5, 2), array(7))
    """

    def __init__(self, loc: np.ndarray, at: np.ndarray) -> None:
        if len(loc) != len(at):
            raise ValueError(f"{len(loc)} means cannot have {len(at)} places.")
        self.loc = np.asarray(loc, dtype=np.float64)
        self.at = np.asarray(at, dtype=np.float64)
        self._lock = threading.Lock()
        self._fitted: Any = None

    def place(self, z: np.ndarray) -> np.ndarray:
        """Places latents among the embedded means, which stay where they are.

        Each begins at the nearest mean and moves alone until it lies near the means that are near
        it in latent space: an embedded mean comes back to its own place, or close to it.

        Arguments:
            z: Latents, with shape (*, D).

        Returns:
            Their places, with shape (*, 2).

        Raises:
            Nothing of its own.

        Source:
            Poličar, Stražar & Zupan 2023, Embedding to reference t-SNE space.

        Example:
            >>> from vae.embedding import embed
            >>> loc = np.random.default_rng(0).standard_normal((40, 3))
            >>> Embedded(loc, embed(loc).at).place(np.zeros(3)).shape
            (2,)
        """
        from openTSNE import TSNEEmbedding

        z = np.asarray(z, dtype=np.float64)
        with self._lock:
            if self._fitted is None:
                self._fitted = TSNEEmbedding(
                    self.at,
                    affinities_of(self.loc, NEIGHBOURS),
                    negative_gradient_method="fft",
                    n_jobs=1,
                    random_state=0,
                )
            perplexity = self._fitted.affinities.effective_perplexity_
            flat = z.reshape(-1, z.shape[-1])
            placed = self._fitted.transform(flat, perplexity=perplexity, k=1)
        return np.array(placed).reshape(*z.shape[:-1], 2)

    def below(self, p: np.ndarray) -> np.ndarray:
        """Indices (*) of the embedded data nearest to places (*, 2) of the picture."""
        return _nearest(np.asarray(p, dtype=np.float64), self.at)

    def nearest(self, z: np.ndarray) -> np.ndarray:
        """Indices (*) of the embedded data nearest to latents (*, D)."""
        return _nearest(np.asarray(z, dtype=np.float64), self.loc)

    def has(self, z: np.ndarray) -> np.ndarray:
        """Which latents (*, D) are the mean of an embedded datum: bool (*)."""
        return np.abs(self.loc[self.nearest(z)] - z).max(-1) < SAME


def _nearest(points: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Index of the nearest of some points, for each of others."""
    flat, whole = torch.as_tensor(points.reshape(-1, points.shape[-1])), torch.as_tensor(among)
    found = torch.cat([torch.cdist(tile, whole).argmin(1) for tile in flat.split(TILE)])
    return found.numpy().reshape(points.shape[:-1])


class EmbeddedPlane(NamedTuple):
    """A t-SNE layout with the interface of ``vae.latent.Plane``.

    No place of the picture has a latent of its own. Where ``origin`` was placed, it stands for
    itself, so that a chosen latent is decoded as it is; every other place stands for the mean of
    the nearest embedded datum.

    Example:
        >>> from vae.embedding import embed
        >>> loc = np.random.default_rng(0).standard_normal((40, 3))
        >>> plane = EmbeddedPlane(Embedded(loc, embed(loc).at), np.zeros(3))
        >>> plane.to_latent(plane.project(np.zeros(3)))
        array([0., 0., 0.])
        >>> bool((plane.to_latent(plane.project(loc[4])) == loc[4]).all())
        True
    """

    embedded: Embedded
    origin: np.ndarray

    def to_latent(self, points: np.ndarray) -> np.ndarray:
        """From places of the picture (..., 2) to the latents (..., D) that they stand for."""
        points = np.asarray(points, dtype=float)
        found = self.embedded.loc[self.embedded.below(points)]
        own = np.abs(points - self.project(self.origin)).max(-1, keepdims=True) < SAME
        return np.where(own, self.origin, found)

    def project(self, z: np.ndarray) -> np.ndarray:
        """From latents (..., D) to their places (..., 2): embedded means have theirs, others are
        placed among them."""
        z = np.asarray(z, dtype=float)
        flat = z.reshape(-1, z.shape[-1])
        places, new = self.embedded.at[self.embedded.nearest(flat)], ~self.embedded.has(flat)
        if new.any():
            places[new] = self.embedded.place(flat[new])
        return places.reshape(*z.shape[:-1], 2)

    def covariance(self, scale: np.ndarray, full: np.ndarray | None = None) -> np.ndarray:
        """Zeros (N, 3): widths in latent space have none in the picture."""
        return np.zeros((len(scale), 3))
