"""The estimators of log p(x) by name: for every datum a value, its error, and what it is worth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vae import ais, exact, importance
from vae.model import VAE

Estimator = Literal["elbo", "iwae", "is", "ais", "exact"]
#: Samples per datum if none are named; of AIS the chains; an exact value needs none.
DEFAULT_K: dict[Estimator, int | None] = {
    "elbo": 1,
    "iwae": 1_000,
    "is": 1_000,
    "ais": 16,
    "exact": None,
}


class Estimate(NamedTuple):
    """Values and their errors, float64, with shape (N), in nats, and what else is known of each.

    Errors are standard errors, or, of exact values, the error of the quadrature. ``about`` holds
    arrays with shape (N), such as ``pareto_k``, ``ess`` and ``trusted``.
    """

    values: np.ndarray
    errors: np.ndarray
    about: dict[str, np.ndarray]


def estimate(
    model: VAE,
    x: Tensor,
    estimator: Estimator,
    k: int | None = None,
    *,
    temperatures: int = 500,
    seed: int = 0,
    progress: Callable[[int], object] = lambda n: None,
) -> Estimate:
    """An estimator for every datum.

    The noise of a datum is its own: the value of the third is the same, up to rounding, whether
    three data are judged or a thousand.

    Arguments:
        model: The model.
        x: Data, with shape (N, *event), the first of a split.
        estimator: ``"elbo"``; ``"iwae"`` or ``"is"``, one number, as a bound or as an estimate of
            log p(x); ``"ais"``, annealed importance sampling; or ``"exact"``, a closed form or
            quadrature.
        k: Samples per datum; of AIS the chains. See ``DEFAULT_K``.
        temperatures: Of AIS.
        seed: Seed of the samples.
        progress: Called now and then with the number of data done.

    Returns:
        Values and errors per datum; see ``Estimate``.

    Raises:
        ValueError: If k < 1, if x or the model's weights cannot be used, or if there is no exact
            value to be had.

    Source:
        ``vae.importance``, ``vae.ais`` and ``vae.exact``.

    Example:
        >>> from vae.config import RunConfig
        >>> model = VAE(RunConfig(dataset="digits", hidden=(16,)))
        >>> estimate(model, torch.zeros(5, 1, 8, 8), "iwae", k=10).values.shape
        (5,)
    """
    refuse_broken(model)
    k = DEFAULT_K[estimator] if k is None else k
    if estimator == "exact":
        return _exact(model, x, progress)
    if estimator == "ais":
        return _annealed(model, x, k, temperatures, seed, progress)
    judged = importance.judge(model, x, k, ladder=(), seed=seed, progress=progress)
    if estimator == "elbo":
        return Estimate(judged.elbo, judged.elbo_se, {})
    about = {name: getattr(judged, name) for name in ("se_bootstrap", "ess", "pareto_k", "trusted")}
    return Estimate(judged.log_evidence, judged.se, about)


def refuse_broken(model: VAE) -> None:
    """Says no to weights that a training which diverged left behind."""
    if not all(torch.isfinite(t).all() for t in model.state_dict().values()):
        raise ValueError(
            "Weights of this model are not finite: its training diverged. Choose an earlier epoch."
        )


def _exact(model: VAE, x: Tensor, progress: Callable[[int], object]) -> Estimate:
    """log p(x) itself, and how far it may be off."""
    if not exact.is_known(model):
        raise ValueError(
            f"A model with {model.latent_dim} latent dimensions has no exact log p(x): ask for ais "
            "or is, or choose a run with one or two dimensions or a linear body."
        )
    found = exact.truth(model, x, progress=progress)
    return Estimate(found.log_evidence.numpy(), found.error.numpy(), {})


def _annealed(
    model: VAE,
    x: Tensor,
    chains: int,
    temperatures: int,
    seed: int,
    progress: Callable[[int], object],
) -> Estimate:
    """AIS, whose progress is that of its moves."""
    moves, done = ais.total(len(x), temperatures), [0, 0]

    def moved(n: int) -> None:
        done[0] += n
        progress(len(x) * done[0] // moves - done[1])
        done[1] = len(x) * done[0] // moves

    found = ais.estimate(
        model, x, chains=chains, temperatures=temperatures, seed=seed, progress=moved
    )
    about = {name: getattr(found, name) for name in ("ess", "acceptance", "trusted")}
    return Estimate(found.log_evidence, found.se, about)
