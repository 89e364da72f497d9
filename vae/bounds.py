r"""One tensor of log-weights, every bound.

.. math:: \log w_k = \log p(x, z_k) - \log q(z_k \mid x), \qquad z_k \sim q(\cdot \mid x)

Everything is in nats, summed over the dimensions of a datum, one value per datum.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, kl_divergence

#: Above so many samples the bootstrap draws groups of them: the same answer to a few per cent.
GROUPS = 500


def elbo(log_w: Tensor) -> Tensor:
    r"""Evidence lower bound, one value per datum: the mean of the log-weights.

    .. math:: \frac{1}{K} \textstyle\sum_k \log w_k
        \;\approx\; \log p(x) - \mathrm{KL}(q \,\|\, p(z \mid x))

    It is an estimate: its *expectation* never exceeds log p(x), one draw may.

    Arguments:
        log_w: The log-weights, with shape (K, *), in nats.

    Returns:
        The bound, with shape (*), in nats.

    Raises:
        ValueError: If K = 0.

    Source:
        Kingma & Welling 2014, Auto-Encoding Variational Bayes, eq. 2.

    Example:
        >>> elbo(torch.tensor([[1.0, 0.5], [4.0, 0.5]]).log())
        tensor([ 0.6931, -0.6931])
    """
    _require_samples(log_w)
    return log_w.mean(dim=0)


def iwae(log_w: Tensor) -> Tensor:
    r"""Importance-weighted bound on the log-evidence, one value per datum.

    .. math:: \log \tfrac{1}{K} \textstyle\sum_k w_k, \quad w_k = p(x, z_k) / q(z_k \mid x)

    Its *expectation* rises with K and never exceeds log p(x); one draw may.

    Arguments:
        log_w: The log-weights, with shape (K, *), in nats.

    Returns:
        The bound, with shape (*), in nats.

    Raises:
        ValueError: If K = 0.

    Source:
        Burda et al. 2016, Importance Weighted Autoencoders, eq. 8.

    Example:
        >>> iwae(torch.tensor([[1.0, 0.5], [3.0, 0.5]]).log())
        tensor([ 0.6931, -0.6931])
    """
    _require_samples(log_w)
    return log_w.logsumexp(dim=0) - math.log(log_w.shape[0])


def effective_sample_size(log_w: Tensor) -> Tensor:
    r"""How many equal weights the weights are worth, one value per datum.

    .. math:: \left(\textstyle\sum_k w_k\right)^2 / \textstyle\sum_k w_k^2 \;\in\; [1, K]

    It only judges the samples that were drawn: a mode that q never visits leaves it high.

    Arguments:
        log_w: The log-weights, with shape (K, *), in nats.

    Returns:
        The effective sample size, with shape (*), a number of samples.

    Raises:
        ValueError: If K = 0.

    Source:
        Kong 1992, A Note on Importance Sampling using Standardized Weights.

    Example:
        >>> effective_sample_size(torch.tensor([[1.0, 1.0], [1.0, 0.0]]).log())
        tensor([2., 1.])
    """
    _require_samples(log_w)
    return (2 * log_w.logsumexp(dim=0) - (2 * log_w).logsumexp(dim=0)).exp()


def error_of_mean(values: Tensor) -> Tensor:
    r"""Standard error of a mean over independent values.

    .. math:: \operatorname{se} = \operatorname{sd}(v) / \sqrt K

    Arguments:
        values: The values, with shape (K, *), such as the log-weights behind ``elbo``.

    Returns:
        The error, with shape (*), in the unit of the values; not a number if K = 1.

    Raises:
        ValueError: If K = 0.

    Example:
        >>> error_of_mean(torch.tensor([[1.0], [3.0]]))
        tensor([1.])
    """
    _require_samples(values)
    K = values.shape[0]
    return values.std(dim=0) / K**0.5 if K > 1 else torch.full_like(values[0], math.nan)


def log_mean_exp_error(log_w: Tensor) -> Tensor:
    r"""Standard error of ``iwae`` as an estimate of log p(x), one value per datum.

    .. math:: \operatorname{se} = \frac{1}{\sqrt K}
        \frac{\operatorname{sd}(w)}{\operatorname{mean}(w)}

    It knows the weights that were drawn: where q misses a mode it is small, and wrong.

    Arguments:
        log_w: The log-weights, with shape (K, *), in nats.

    Returns:
        The error, with shape (*), in nats; not a number if K = 1.

    Raises:
        ValueError: If K = 0.

    Source:
        The delta method: the slope of the logarithm at the mean of the weights.

    Example:
        >>> log_mean_exp_error(torch.tensor([[1.0, 1.0], [1.0, 3.0]]).log())
        tensor([0.0000, 0.5000])
    """
    return error_of_mean((log_w - iwae(log_w)).exp())


def bootstrap_error(
    log_w: Tensor, n: int = 200, generator: torch.Generator | None = None
) -> Tensor:
    r"""Standard error of ``iwae``, by drawing the weights again with replacement.

    Beside ``log_mean_exp_error`` it shows where that one cannot be right: where few weights count,
    the resampled values are skewed and spread further than the slope of the logarithm says.

    Arguments:
        log_w: The log-weights, with shape (K, *), in nats.
        n: How often to draw again.
        generator: Decides which weights are drawn; the same ones for every datum.

    Returns:
        The error, with shape (*), float64, in nats; not a number if K = 1.

    Raises:
        ValueError: If K = 0 or n < 2.

    Source:
        Efron 1979, Bootstrap methods: another look at the jackknife.

    Example:
        >>> log_w = torch.tensor([[1.0, 1.0], [1.0, 3.0]]).log()
        >>> bootstrap_error(log_w, generator=torch.Generator().manual_seed(0))
        tensor([0.0000, 0.3804], dtype=torch.float64)
    """
    _require_samples(log_w)
    if n < 2:
        raise ValueError("a bootstrap needs n >= 2: a spread takes two values")
    K = log_w.shape[0]
    if K == 1:
        return torch.full(log_w.shape[1:], math.nan, dtype=torch.float64, device=log_w.device)
    w = (log_w - log_w.amax(dim=0)).double().exp().reshape(K, -1)
    w = torch.cat((w, torch.ones_like(w[:, :1])), dim=1)  # weights, and how many they are
    size = -(-K // GROUPS)
    w = torch.nn.functional.pad(w, (0, 0, 0, -K % size)).view(-1, size, w.shape[1]).sum(1)
    drawn = torch.randint(len(w), (n, len(w)), generator=generator)
    counts = torch.zeros(n, len(w)).double().scatter_add_(1, drawn, torch.ones(n, len(w)).double())
    sums = counts.to(w.device) @ w
    means = sums[:, :-1] / sums[:, -1:]
    return means.clamp_min(1e-300).log().std(dim=0).reshape(log_w.shape[1:])


def rate(q: Distribution, prior: Distribution, z: Tensor | None = None) -> Tensor:
    r"""What the code costs, one value per datum: the KL divergence of q from the prior.

    .. math:: R = \mathrm{KL}(q(z \mid x) \,\|\, p(z))

    This is not the gap: the gap is the divergence from the *posterior*.

    Arguments:
        q: The encoder's distribution, with batch shape (*) and event shape (D).
        prior: p(z), with event shape (D).
        z: Draws from q, with shape (*, D) or (K, *, D). Where the pair has no closed form, as for
            a flow, the mean of log q(z) - log p(z) over them stands in, an unbiased estimate.

    Returns:
        The rate, with shape (*), in nats.

    Raises:
        NotImplementedError: If the pair has no closed form and no draws are given.

    Source:
        Alemi et al. 2018, Fixing a Broken ELBO, eq. 4.

    Example:
        >>> from torch.distributions import Independent, Normal
        >>> prior = Independent(Normal(torch.zeros(2), torch.ones(2)), 1)
        >>> q = Independent(Normal(torch.tensor([[0.0, 0.0], [1.0, 2.0]]), torch.ones(2)), 1)
        >>> rate(q, prior)
        tensor([0.0000, 2.5000])
    """
    try:
        return kl_divergence(q, prior)
    except NotImplementedError:
        if z is None:
            raise
    log_ratio = q.log_prob(z) - prior.log_prob(z)
    return log_ratio.mean(dim=0) if log_ratio.dim() > len(q.batch_shape) else log_ratio


def rate_per_dimension(q: Independent, prior: Independent) -> Tensor:
    r"""The rate of each latent dimension, for factorised q and prior.

    .. math:: R_d = \mathrm{KL}(q(z_d \mid x) \,\|\, p(z_d)), \qquad R = \textstyle\sum_d R_d

    A dimension near zero carries nothing about x: the decoder does without it.

    Arguments:
        q: The encoder's factorised distribution, with batch shape (*) and event shape (D).
        prior: The factorised p(z), with event shape (D).

    Returns:
        The rates, with shape (*, D), in nats.

    Raises:
        AttributeError: If q or the prior does not factorise.

    Source:
        Kingma & Welling 2014, appendix B.

    Example:
        >>> from torch.distributions import Independent, Normal
        >>> prior = Independent(Normal(torch.zeros(2), torch.ones(2)), 1)
        >>> q = Independent(Normal(torch.tensor([[1.0, 2.0]]), torch.ones(2)), 1)
        >>> rate_per_dimension(q, prior)
        tensor([[0.5000, 2.0000]])
    """
    return kl_divergence(q.base_dist, prior.base_dist)


def distortion(p_x: Distribution, x: Tensor) -> Tensor:
    r"""How badly x comes back, one value per datum, averaged over the draws of z.

    .. math:: D = -\mathbb{E}_{q(z \mid x)} \log p(x \mid z), \qquad \mathrm{ELBO} = -(R + D)

    For grey pixels under a density it may be negative.

    Arguments:
        p_x: The decoder's distribution, with batch shape (K, B) or (B).
        x: The data, with shape (B, *event).

    Returns:
        The distortion, with shape (B), in nats.

    Raises:
        ValueError: If x does not have the event shape of ``p_x``.

    Source:
        Alemi et al. 2018, Fixing a Broken ELBO, eq. 3.

    Example:
        >>> from torch.distributions import Bernoulli, Independent
        >>> p_x = Independent(Bernoulli(logits=torch.zeros(5, 1, 3)), 1)  # K = 5, B = 1
        >>> distortion(p_x, torch.tensor([[0.0, 1.0, 1.0]]))  # 3 log 2
        tensor([2.0794])
    """
    event = p_x.event_shape
    if x.shape[x.dim() - len(event) :] != event:
        raise ValueError(f"x has shape {tuple(x.shape)}, the decoder gives {tuple(event)}")
    log_p = p_x.log_prob(x)
    return -(log_p.mean(dim=0) if len(p_x.batch_shape) > 1 else log_p)


def _require_samples(log_w: Tensor) -> None:
    """A bound needs at least one sample."""
    if log_w.dim() == 0 or log_w.shape[0] == 0:
        raise ValueError("log_w needs the shape (K, *) with at least one sample (K >= 1)")
