r"""Latent means laid out in two dimensions by t-SNE, so that neighbours stay neighbours.

.. math:: \mathrm{KL}(P \,\|\, Q), \qquad
    q_{ij} \propto (1 + \lVert y_i - y_j \rVert^2)^{-1}

is made small over the places y, where P says who is near whom in latent space. Distances between
groups, and their sizes, mean little in the outcome: ``neighbourhood`` says what it kept.

Arrays of an answer: ``at`` (N, 2), the places of the first N held-out data; ``perplexity`` () and
``divergence`` (), the KL above in nats; and for the layouts t-SNE and PCA, in this order, ``kept``,
``kept_se``, ``trust`` and ``trust_se`` (2): see ``vae.neighbourhood``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from vae import evaluate, latent
from vae.estimators import refuse_broken
from vae.neighbourhood import neighbourhood
from vae.progress import Report, part
from vae.requests import Embedding
from vae.runs import Run

#: How many neighbours count, softly; fewer where there are few data.
PERPLEXITY = 30.0
#: Steps of the optimiser: 250 of them with attraction exaggerated.
EARLY, LATE = 250, 500
#: Steps between two words on how far it is.
STEPS = 10


class Layout(NamedTuple):
    """Places (N, 2) of N means, the perplexity used, and the KL that is left, in nats."""

    at: np.ndarray
    perplexity: float
    divergence: float


def compute(run: Run, ask: Embedding, report: Report) -> dict[str, np.ndarray]:
    """Answers a request; what the arrays hold is said above.

    Arguments:
        run: The run, loaded at the epoch of the request.
        ask: The request.
        report: Told how far it is.

    Returns:
        The arrays, by name.

    Raises:
        ValueError: If the weights are not finite, or there is nothing to lay out.
        DataError: If the data cannot be had.

    Source:
        van der Maaten & Hinton 2008; Venna & Kaski 2001.

    Example:
        >>> from vae.config import RunConfig
        >>> from vae.model import VAE
        >>> config = RunConfig(dataset="digits", hidden=(8,), latent_dim=3)
        >>> run = Run("small", config, VAE(config), epoch=0)
        >>> compute(run, Embedding(n=30), lambda what, share: None)["at"].shape
        (30, 2)
    """
    refuse_broken(run.model)
    x = evaluate.examples(run.config, "held_out", ask.n)
    labels = evaluate.labels_of(run.config, "held_out", ask.n)
    loc = latent.encode_set(run.model, x, labels, elbo=False).loc
    more = part(report, f"t-SNE of {len(loc):,} means", EARLY + LATE, 0.05, 0.95)
    layout = embed(loc, ask.seed, more)
    report("what it kept", 0.95)
    flat = latent.principal_plane(loc).project(loc)
    found = [neighbourhood(loc, at) for at in (layout.at, flat)]
    kept, trust = np.stack([f.kept for f in found]), np.stack([f.trust for f in found])
    error = len(loc) ** -0.5
    return {
        "at": layout.at.astype(np.float32),
        "perplexity": np.array(layout.perplexity),
        "divergence": np.array(layout.divergence),
        "kept": kept.mean(1),
        "kept_se": kept.std(1, ddof=1) * error,
        "trust": trust.mean(1),
        "trust_se": trust.std(1, ddof=1) * error,
    }


def embed(
    loc: np.ndarray, seed: int = 0, progress: Callable[[int], object] = lambda n: None
) -> Layout:
    """Lays means out in two dimensions by t-SNE, beginning from their principal plane.

    Arguments:
        loc: Latent means, with shape (N, D).
        seed: Seed of the optimiser, which uses none of its own from this start.
        progress: Told about every few steps, how many they were.

    Returns:
        The layout; its box is centred on 0, and its unit is that of t-SNE: none.

    Raises:
        ValueError: If D ≤ 2, or there are fewer than 10 means, or all are the same.

    Source:
        van der Maaten & Hinton 2008; start and step size of Kobak & Berens 2019; by openTSNE
        (Poličar et al. 2024).

    Example:
        >>> loc = np.random.default_rng(0).standard_normal((40, 3))
        >>> embed(loc).at.shape
        (40, 2)
    """
    from openTSNE import TSNE, initialization  # takes a second to import

    N, D = loc.shape
    if D <= 2:
        raise ValueError("This latent space is already two-dimensional: look at it as it is.")
    if N < 10 or not np.ptp(loc, axis=0).any():
        raise ValueError("t-SNE needs ten means at least that are not all the same.")
    loc = np.asarray(loc, dtype=np.float64)
    affinities = affinities_of(loc, PERPLEXITY)

    def told(step: int, error: float, at: np.ndarray) -> None:
        progress(STEPS)

    fitted = TSNE(
        early_exaggeration_iter=EARLY,
        n_iter=LATE,
        negative_gradient_method="bh",
        callbacks=told,
        callbacks_every_iters=STEPS,
        random_state=seed,
        n_jobs=1,
    ).fit(affinities=affinities, initialization=initialization.pca(loc, random_state=seed))
    at = np.array(fitted)
    middle = (at.max(axis=0) + at.min(axis=0)) / 2
    return Layout(at - middle, affinities.effective_perplexity_, float(fitted.kl_divergence))


def affinities_of(loc: np.ndarray, perplexity: float) -> Any:
    """Who is near whom among means, by exact neighbours; fewer count where there are few means."""
    from openTSNE.affinity import PerplexityBasedNN

    perplexity = min(perplexity, (len(loc) - 1) / 3)
    return PerplexityBasedNN(loc, perplexity, method="exact", n_jobs=1, random_state=0)
