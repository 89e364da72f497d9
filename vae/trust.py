"""What importance weights are worth: the estimates they give, and whether to believe them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vae import bounds

#: With fewer samples the tail holds fewer than five weights, and no shape can be fitted to it.
MIN_SAMPLES = 25
#: With fewer of many samples effective, the standard error is 1 / √50 = 0.14 nats or more.
MIN_EFFECTIVE = 50.0
#: A tail that is flatter, in nats, is rounding: the weights are equal.
FLAT = 1e-9
#: The numbers of samples at which the bound is shown; those above K are left out, and K is added.
LADDER = tuple(m * 10**e for e in range(6) for m in (1, 2, 5))
#: With fewer groups of samples than this, their spread is no error bar: the delta method is.
MIN_GROUPS = 10


class Judged(NamedTuple):
    """What K samples say about each datum; float64, with shape (N) or (N, L), in nats.

    ``elbo`` and ``log_evidence`` are estimates with standard errors ``elbo_se`` and ``se``, the
    latter by the delta method, and ``se_bootstrap``. ``iwae`` holds the bounds for the numbers of
    samples in ``ladder`` (L), each the mean over disjoint groups of the same samples, and
    ``iwae_se`` their errors. ``ess`` counts samples; ``pareto_k`` has no unit; ``trusted`` is the
    rule of ``trustworthy``.
    """

    ladder: np.ndarray
    elbo: np.ndarray
    elbo_se: np.ndarray
    iwae: np.ndarray
    iwae_se: np.ndarray
    log_evidence: np.ndarray
    se: np.ndarray
    se_bootstrap: np.ndarray
    ess: np.ndarray
    pareto_k: np.ndarray
    trusted: np.ndarray


def judge_weights(log_w: Tensor, ladder: Sequence[int] = LADDER, *, seed: int = 0) -> Judged:
    """What given log-weights say about each datum; see ``vae.importance.judge``.

    Arguments:
        log_w: The log-weights, with shape (K, N), in nats.
        ladder: Numbers of samples at which the bound is wanted.
        seed: Decides what the bootstrap draws.

    Returns:
        Estimates per datum with their errors.

    Raises:
        ValueError: If K = 0, or if a log-weight is not finite.

    Source:
        As for ``vae.importance.judge``.

    Example:
        >>> judge_weights(torch.zeros(50, 2)).log_evidence
        array([0., 0.])
    """
    log_w = log_w.double()
    K, ess = len(log_w), bounds.effective_sample_size(log_w)
    rungs = sorted({k for k in ladder if 1 <= k <= K} | {K})
    steps = [_rung(log_w, k) for k in rungs]
    generator = torch.Generator().manual_seed(seed % 2**32)
    shape = pareto_k(log_w)
    values = (
        *_rung(log_w, 1),
        torch.stack([value for value, _ in steps], 1),
        torch.stack([error for _, error in steps], 1),
        *_rung(log_w, K),
        bounds.bootstrap_error(log_w, generator=generator),
        ess,
        shape,
        trustworthy(shape, ess.cpu(), K),
    )
    return Judged(np.array(rungs), *(value.cpu().numpy() for value in values))


def pareto_k(log_w: Tensor) -> Tensor:
    r"""Shape of the upper tail of the weights, one value per datum.

    .. math:: P(w > t) \sim t^{-1/\hat k}: \text{ moments of order below } 1/\hat k
        \text{ are finite}

    From 1/2 the variance of the weights is infinite. From 1 their mean would be, which is p(x) and
    finite: such a k̂ says that too few were drawn to show where the weight lies. It judges the
    weights that were drawn: a mode that q never visits leaves it low.

    Arguments:
        log_w: The log-weights, with shape (K, *), in nats.

    Returns:
        The shape, with shape (*), float64: not a number below ``MIN_SAMPLES`` samples, 0 where the
        largest weights are equal, infinite where one of them dwarfs all others.

    Raises:
        ValueError: If a log-weight is not finite.

    Source:
        Vehtari et al. 2024, Pareto smoothed importance sampling, with ArviZ's estimator. For
        p = N(0, 1) and q = N(0, s²), s < 1, the shape is 1 - s².

    Example:
        >>> pareto_k(torch.zeros(100, 3))
        tensor([0., 0., 0.], dtype=torch.float64)
    """
    if not torch.isfinite(log_w.sum()):
        raise ValueError("a log-weight is not finite: no tail can be fitted to such weights")
    K = log_w.shape[0]
    if K < MIN_SAMPLES:
        return torch.full(log_w.shape[1:], math.nan, dtype=torch.float64)
    columns = log_w.detach().double().cpu().reshape(K, -1).T.contiguous().numpy()
    shapes = np.array([_shape(column) for column in columns])
    return torch.from_numpy(shapes).reshape(log_w.shape[1:])


def pareto_threshold(K: int) -> float:
    r"""The shape below which an estimate from K samples is reliable.

    .. math:: \min(1 - 1 / \log_{10} K, \; 0.7)

    Arguments:
        K: The number of samples.

    Returns:
        The threshold, without unit; minus infinity for K = 1.

    Raises:
        ValueError: If K < 1.

    Source:
        Vehtari et al. 2024, section 3.2.4.

    Example:
        >>> pareto_threshold(100), pareto_threshold(5_000)
        (0.5, 0.7)
    """
    if K < 1:
        raise ValueError("K must be at least 1: there is nothing to judge without a sample")
    return min(1 - 1 / math.log10(K), 0.7) if K > 1 else -math.inf


def trustworthy(shape: Tensor, effective: Tensor, K: int) -> Tensor:
    r"""Whether log p(x) from K weights may be believed, one answer per datum.

    .. math:: \hat k < \min(1 - 1 / \log_{10} K, 0.7) \;\text{ and }\; \mathrm{ESS} \ge 50

    A no is a warning, and k̂ itself an estimate; a yes is no proof, for weights say nothing about
    where q never went. Where there is an exact value, believe that one.

    Arguments:
        shape: Pareto shapes, from ``pareto_k``, with shape (*).
        effective: Effective sample sizes, from ``bounds.effective_sample_size``, with shape (*).
        K: The number of samples.

    Returns:
        Yes or no, with shape (*); no where the shape is not a number.

    Raises:
        ValueError: If K < 1.

    Source:
        ``pareto_threshold``, and ``MIN_EFFECTIVE``.

    Example:
        >>> trustworthy(torch.tensor([0.3, 0.9, 0.3]), torch.tensor([900.0, 900.0, 2.0]), K=1_000)
        tensor([ True, False, False])
    """
    return (shape < pareto_threshold(K)) & (effective >= MIN_EFFECTIVE)


def _rung(log_w: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The bound with k samples and its error, from as many disjoint groups as there are."""
    groups = len(log_w) // k
    grouped = log_w[: groups * k].view(groups, k, -1).transpose(0, 1)  # (k, groups, N)
    values = bounds.iwae(grouped)
    if groups >= MIN_GROUPS or k == 1:
        return values.mean(0), bounds.error_of_mean(values)
    errors = bounds.log_mean_exp_error(grouped)
    return values.mean(0), errors.square().sum(0).sqrt() / groups


def _shape(log_w: np.ndarray) -> float:
    """The tail's shape for one datum."""
    from arviz_stats.base import array_stats  # a second and a half, which only this needs

    n = int(min(len(log_w) / 5, 3 * len(log_w) ** 0.5))
    cutoff, *tail = np.sort(np.partition(log_w, -n - 1)[-n - 1 :])
    if tail[-1] - cutoff < FLAT:
        return 0.0
    if np.exp(tail[n // 4] - tail[-1]) == np.exp(cutoff - tail[-1]):
        return math.inf  # beside the largest weight the others vanish, and nothing can be fitted
    return float(array_stats.psislw(-log_w)[1])  # it negates what it is given
