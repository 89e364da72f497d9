r"""Importance sampling: the log-weights of data under a proposal, and what they are worth.

.. math:: \log p(x) \approx \log \tfrac1K \textstyle\sum_k w_k, \qquad
    w_k = p(x \mid z_k)\, p(z_k) / q(z_k), \quad z_k \sim q

One fast path, ``judge``, behind the page, the command line and the benchmark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from vae.conditional import log_likelihoods
from vae.model import VAE
from vae.proposals import (
    defensive as defensive,
    from_noise,
    inflated as inflated,
    log_prob,
    noise,
    noise_dim,
    part,
)
from vae.trust import LADDER, Judged, judge_weights

#: Data, log-weights, and coordinates of latents held at once: a few tens of MB.
DATA, SAMPLES, COORDINATES = 500, 100_000, 1_000_000
#: A proposal for all data, or what makes one for some of them.
Proposal = Distribution | Callable[[Tensor], Distribution]


class Weights(NamedTuple):
    """Log-weights and their three parts, each with shape (K, B), float64, in nats."""

    log_w: Tensor
    log_prior: Tensor
    log_likelihood: Tensor
    log_q: Tensor


class Compared(NamedTuple):
    """One proposal for one datum: what it is worth, and its log-weights, with shape (K)."""

    judged: Judged
    log_w: np.ndarray


@torch.no_grad()
def log_weights(
    model: VAE, x: Tensor, q: Distribution, K: int, *, seed: int = 0, first: int = 0
) -> Weights:
    r"""The log-weights of K latents per datum, and their parts.

    .. math:: \log w_{kb} = \log p(z_{kb}) + \log p(x_b \mid z_{kb}) - \log q(z_{kb})

    The noise of a datum comes from a generator of its own: its weights are the same, up to
    rounding, whatever else is computed beside it.

    Arguments:
        model: The model.
        x: Data, with shape (B, *event).
        q: The proposal, with batch shape (B) and event shape (D).
        K: Samples per datum.
        seed: Seed of the noise.
        first: The number of the first datum, which chooses its generator.

    Returns:
        The log-weights and their parts; no gradients.

    Raises:
        ValueError: If K < 1, if x or q does not fit the model, or if a log-weight is not finite.
        TypeError: If q cannot be sampled from given noise.

    Source:
        Rezende et al. 2014, appendix E; Burda et al. 2016, eq. 8.

    Example:
        >>> from vae.config import RunConfig
        >>> model, x = VAE(RunConfig(dataset="digits", hidden=(16,))), torch.zeros(3, 1, 8, 8)
        >>> log_weights(model, x, model.encode(x), K=5).log_w.shape
        torch.Size([5, 3])
    """
    _require_fit(model, x, K)
    if q.batch_shape != (len(x),) or q.event_shape != (model.latent_dim,):
        raise ValueError(
            f"the proposal is one of {tuple(q.batch_shape)} data in {tuple(q.event_shape)} "
            f"dimensions, and there are {len(x)} data and {model.latent_dim} dimensions: make it "
            "from the same data and model"
        )
    eps = noise(K, first, len(x), noise_dim(q), seed).to(model.zero.device)
    z, log_q = from_noise(q, eps)
    z = z.to(model.zero.dtype)
    log_prior = log_prob(model.prior(), z)
    log_likelihood = log_likelihoods(model, x, z)
    weights = Weights(log_prior + log_likelihood - log_q, log_prior, log_likelihood, log_q.double())
    _require_finite(weights.log_w, first)
    return weights


def judge(
    model: VAE,
    x: Tensor,
    K: int,
    *,
    q: Proposal | None = None,
    ladder: Sequence[int] = LADDER,
    seed: int = 0,
    first: int = 0,
    progress: Callable[[int], object] = lambda n: None,
) -> Judged:
    """Every estimate that K importance samples give of each datum, and whether to believe it.

    It streams over the data: memory does not grow with their number.

    Arguments:
        model: The model.
        x: Data, with shape (N, *event).
        K: Samples per datum.
        q: The proposal: a distribution with batch shape (N), or a function from data (B, *event)
            to one with batch shape (B). The encoder if not given.
        ladder: Numbers of samples at which the bound is wanted; see ``LADDER``.
        seed: Seed of the noise.
        first: The number of the first datum, so that parts of a set give what the whole set gives.
        progress: Called after each tile with the number of its data.

    Returns:
        Estimates per datum with their errors; see ``Judged``.

    Raises:
        ValueError: If K < 1, if there are no data, if x or q does not fit the model, or if a
            log-weight is not finite.
        TypeError: If q cannot be sampled from given noise.

    Source:
        Burda et al. 2016; Vehtari et al. 2024.

    Example:
        >>> from vae.config import RunConfig
        >>> model = VAE(RunConfig(dataset="digits", hidden=(16,)))
        >>> judged = judge(model, torch.zeros(3, 1, 8, 8), K=40)
        >>> judged.ladder, judged.iwae.shape
        (array([ 1,  2,  5, 10, 20, 40]), (3, 6))
    """
    _require_fit(model, x, K)
    if len(x) == 0:
        raise ValueError("there are no data to judge: ask for at least one")
    if isinstance(q, Distribution) and q.batch_shape != (len(x),):
        raise ValueError(
            f"the proposal is one of {tuple(q.batch_shape)} data and there are {len(x)}: make it "
            "from the same data"
        )
    parts = []
    for index in _tiles(len(x), K, model.latent_dim):
        proposal = _proposal(model, x, q, index)
        weights = log_weights(model, x[index], proposal, K, seed=seed, first=first + index.start)
        parts.append(judge_weights(weights.log_w, ladder, seed=seed))
        progress(len(x[index]))
    fields = zip(*(judged[1:] for judged in parts), strict=True)
    return Judged(parts[0].ladder, *(np.concatenate(field) for field in fields))


def compare(
    model: VAE,
    x: Tensor,
    proposals: Mapping[str, Proposal],
    K: int,
    *,
    ladder: Sequence[int] = LADDER,
    seed: int = 0,
    first: int = 0,
) -> dict[str, Compared]:
    """What each of several proposals makes of one datum.

    Arguments:
        model: The model.
        x: The datum, with shape (*event) or (1, *event).
        proposals: By name, each as for ``judge``, with batch shape (1).
        K: Samples for each.
        ladder: Numbers of samples at which the bound is wanted.
        seed: Seed of the noise, the same for all.
        first: The number of the datum.

    Returns:
        By name, the estimates and the log-weights.

    Raises:
        ValueError: As ``judge`` does.
        TypeError: As ``judge`` does.

    Source:
        Owen 2013, Monte Carlo theory, methods and examples, chapter 9.

    Example:
        >>> from vae.config import RunConfig
        >>> model, x = VAE(RunConfig(dataset="digits", hidden=(16,))), torch.zeros(1, 1, 8, 8)
        >>> q = model.encode(x)
        >>> both = compare(model, x, {"q": q, "wider": inflated(q, 1.5)}, K=100)
        >>> both["wider"].log_w.shape
        (100,)
    """
    x = x.reshape(1, *x.shape) if x.shape == torch.Size(model.shape) else x
    compared = {}
    for name, q in proposals.items():
        _require_fit(model, x, K)
        proposal = _proposal(model, x, q, slice(0, 1))
        log_w = log_weights(model, x, proposal, K, seed=seed, first=first).log_w
        compared[name] = Compared(
            judge_weights(log_w, ladder, seed=seed), log_w[:, 0].cpu().numpy()
        )
    return compared


def _tiles(n: int, K: int, D: int) -> Iterator[slice]:
    """Data whose samples are held at once."""
    size = max(1, min(DATA, SAMPLES // K, COORDINATES // (K * D)))
    return (slice(i, min(n, i + size)) for i in range(0, n, size))


def _proposal(model: VAE, x: Tensor, q: Proposal | None, index: slice) -> Distribution:
    """The proposal for some of the data."""
    if isinstance(q, Distribution):
        return part(q, index)
    with torch.no_grad():
        return (q or model.encode)(x[index].to(model.zero))


def _require_fit(model: VAE, x: Tensor, K: int) -> None:
    """Says no to what cannot be computed."""
    if K < 1:
        raise ValueError(f"K must be at least 1, not {K}: an estimate needs a sample")
    if tuple(x.shape[1:]) != tuple(model.shape) or x.dim() == 0:
        raise ValueError(
            f"x has shape {tuple(x.shape)} and the model takes (N, "
            f"{', '.join(map(str, model.shape))}): give it data of the set it was trained on"
        )


def _require_finite(log_w: Tensor, first: int) -> None:
    """Says no to weights that mean nothing."""
    finite = torch.isfinite(log_w.sum(0))
    if not finite.all():
        datum = first + int((~finite).nonzero()[0])
        raise ValueError(
            f"the log-weights of {int((~finite).sum())} data, the first of them number {datum}, "
            "are not finite: check that x and the model's weights are, or take an earlier epoch "
            "or a narrower proposal"
        )
