"""The ELBO by three formulas, side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution

from vae import bounds


class Forms(NamedTuple):
    """The ELBO by three formulas: E[log p(x|z)] - KL, E[log p(x, z) - log q], E[log p(x, z)] + H.

    ``values`` and ``errors`` per datum, with shape (3, B); ``means`` over the data and their
    ``standard_errors``, with shape (3); ``differences`` of the means, first minus second, second
    minus third, third minus first, and their ``difference_errors``, paired, with shape (3). Errors
    per datum are those of the samples; errors of means are over data and samples.
    """

    values: Tensor
    errors: Tensor
    means: Tensor
    standard_errors: Tensor
    differences: Tensor
    difference_errors: Tensor


def three_forms(
    log_likelihood: Tensor, log_prior: Tensor, log_q: Tensor, q: Distribution, prior: Distribution
) -> Forms:
    r"""The ELBO by three formulas that are equal in expectation, and how far their estimates are.

    .. math:: \mathbb{E}[\log p(x \mid z)] - \mathrm{KL}(q \,\|\, p(z))
        = \mathbb{E}[\log p(x, z) - \log q(z)] = \mathbb{E}[\log p(x, z)] + \mathrm{H}[q]

    The divergence and the entropy are exact where PyTorch knows them, and sampled elsewhere, where
    the formulas then coincide draw by draw.

    Arguments:
        log_likelihood: log p(x|z) of z drawn from q, with shape (K, B), in nats.
        log_prior: log p(z), with shape (K, B), in nats.
        log_q: log q(z), with shape (K, B), in nats.
        q: The distribution they were drawn from, with batch shape (B).
        prior: p(z).

    Returns:
        Values and errors; see ``Forms``.

    Raises:
        ValueError: If K = 0.

    Source:
        Kingma & Welling 2014, eq. 2 and 3; Hoffman & Johnson 2016, ELBO surgery.

    Example:
        >>> from torch.distributions import Independent, Normal
        >>> q = prior = Independent(Normal(torch.zeros(1, 2), torch.ones(1, 2)), 1)
        >>> log_p = q.log_prob(q.sample((10,)))
        >>> three_forms(torch.full((10, 1), -3.0), log_p, log_p, q, prior).values[:2]
        tensor([[-3.],
                [-3.]])
    """
    divergence, entropy = _known(lambda: bounds.rate(q, prior)), _known(q.entropy)
    divergence = log_q - log_prior if divergence is None else divergence
    entropy = -log_q if entropy is None else entropy
    joint = log_likelihood + log_prior
    terms = torch.stack(
        [log_likelihood - divergence, joint - log_q, joint + entropy]
    )  # (3, K, B): what each formula averages
    differences = terms - terms.roll(-1, 0)
    values, errors = terms.mean(1), bounds.error_of_mean(terms.transpose(0, 1))
    return Forms(
        values,
        errors,
        values.mean(-1),
        _over_data(values, errors),
        differences.mean((1, 2)),
        _over_data(differences.mean(1), bounds.error_of_mean(differences.transpose(0, 1))),
    )


def _over_data(values: Tensor, errors: Tensor) -> Tensor:
    """Of a mean over the last axis: from the spread of its values, or the error of a single one."""
    return bounds.error_of_mean(values.movedim(-1, 0)) if values.shape[-1] > 1 else errors[..., 0]


def _known(closed_form: Callable[[], Tensor]) -> Tensor | None:
    """A closed form, or nothing where PyTorch has none."""
    try:
        return closed_form()
    except NotImplementedError:
        return None
