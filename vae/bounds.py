r"""One tensor of log-weights, every bound.

.. math:: \log w_k = \log p(x, z_k) - \log q(z_k \mid x), \qquad z_k \sim q(\cdot \mid x)

Everything is in nats, summed over the dimensions of a datum, one value per datum.
"""

from __future__ import annotations

import math

from torch import Tensor
from torch.distributions import Distribution, Independent, kl_divergence


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


def rate(q: Distribution, prior: Distribution) -> Tensor:
    r"""What the code costs, one value per datum: the KL divergence of q from the prior.

    .. math:: R = \mathrm{KL}(q(z \mid x) \,\|\, p(z))

    This is not the gap: the gap is the divergence from the *posterior*.

    Arguments:
        q: The encoder's distribution, with batch shape (*) and event shape (D).
        prior: p(z), with event shape (D).

    Returns:
        The rate, with shape (*), in nats.

    Raises:
        NotImplementedError: If PyTorch knows no closed form for the pair.

    Source:
        Alemi et al. 2018, Fixing a Broken ELBO, eq. 4.

    Example:
        >>> from torch.distributions import Independent, Normal
        >>> prior = Independent(Normal(torch.zeros(2), torch.ones(2)), 1)
        >>> q = Independent(Normal(torch.tensor([[0.0, 0.0], [1.0, 2.0]]), torch.ones(2)), 1)
        >>> rate(q, prior)
        tensor([0.0000, 2.5000])
    """
    return kl_divergence(q, prior)


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
