"""Every bound against a model whose posterior and evidence are known: linear and Gaussian."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from torch.distributions import (
    Bernoulli,
    Distribution,
    Independent,
    MultivariateNormal,
    Normal,
    kl_divergence,
)

from vae import bounds

K = 4_000
#: Standard errors that an estimate may lie off: 1 in 16,000 by chance, and the seeds are fixed.
SIGMAS = 4


class Linear(NamedTuple):
    """p(z) = N(0, I), p(x given z) = N(Wz + b, s² I), five data drawn from it, and the truth."""

    weight: Tensor
    bias: Tensor
    scale: float
    x: Tensor
    prior: Independent
    posterior: MultivariateNormal
    log_evidence: Tensor

    def decode(self, z: Tensor) -> Independent:
        return Independent(Normal(z @ self.weight.T + self.bias, self.scale), 1)

    def log_weights(self, q: Distribution, z: Tensor) -> Tensor:
        return self.prior.log_prob(z) + self.decode(z).log_prob(self.x) - q.log_prob(z)


@pytest.fixture
def linear() -> Linear:
    torch.manual_seed(0)
    weight = torch.randn(4, 2, dtype=torch.float64)
    bias = torch.randn(4, dtype=torch.float64)
    scale = 0.5
    x = (
        torch.randn(5, 2, dtype=torch.float64) @ weight.T
        + bias
        + scale * torch.randn(5, 4).double()
    )
    prior = Independent(Normal(torch.zeros(2).double(), torch.ones(2).double()), 1)
    precision = torch.eye(2).double() + weight.T @ weight / scale**2
    mean = torch.linalg.solve(precision, weight.T @ (x - bias).T / scale**2).T
    covariance = weight @ weight.T + scale**2 * torch.eye(4).double()
    return Linear(
        weight,
        bias,
        scale,
        x,
        prior,
        MultivariateNormal(mean, precision_matrix=precision),
        MultivariateNormal(bias, covariance).log_prob(x),
    )


@pytest.fixture
def wrong(linear: Linear) -> Independent:
    """A q that is too wide, factorised, and off its mark."""
    deviation = linear.posterior.variance.sqrt()
    return Independent(Normal(linear.posterior.mean + 0.3 * deviation, 1.2 * deviation), 1)


def standard_error(values: Tensor) -> Tensor:
    return values.std(dim=0) / len(values) ** 0.5


@pytest.mark.parametrize("k", [1, 2, 50])
def test_with_the_exact_posterior_every_bound_is_the_evidence(linear, k):
    log_w = linear.log_weights(linear.posterior, linear.posterior.rsample((k,)))
    torch.testing.assert_close(log_w, linear.log_evidence.expand(k, -1), rtol=0, atol=1e-10)
    for bound in (bounds.elbo, bounds.iwae):
        torch.testing.assert_close(bound(log_w), linear.log_evidence, rtol=0, atol=1e-10)
    torch.testing.assert_close(
        bounds.effective_sample_size(log_w), torch.full((5,), float(k)).double(), rtol=1e-9, atol=0
    )


def test_with_a_wrong_q_the_gap_is_its_divergence_from_the_posterior(linear, wrong):
    log_w = linear.log_weights(wrong, wrong.rsample((K,)))
    as_full = MultivariateNormal(
        wrong.base_dist.loc, torch.diag_embed(wrong.base_dist.scale.square())
    )
    gap = kl_divergence(as_full, linear.posterior)
    assert (gap > 0.05).all()
    error = (linear.log_evidence - bounds.elbo(log_w) - gap).abs()
    assert (error < SIGMAS * standard_error(log_w)).all()


def test_the_bounds_are_ordered_and_rise_with_k(linear, wrong):
    log_w = linear.log_weights(wrong, wrong.rsample((20, K)))  # K repeats of 20 samples
    assert (bounds.elbo(log_w) <= bounds.iwae(log_w) + 1e-12).all()  # Jensen, draw by draw
    below = bounds.elbo(log_w)
    for k in (2, 5, 20):
        bound = bounds.iwae(log_w[:k])
        rise = bound - below
        assert (rise.mean(0) > -SIGMAS * standard_error(rise)).all()
        excess = bound.mean(0) - linear.log_evidence
        assert (excess < SIGMAS * standard_error(bound)).all()
        below = bound
    assert (below.mean(0) - bounds.elbo(log_w).mean(0) > SIGMAS * standard_error(below)).all()


def test_the_elbo_is_minus_rate_plus_distortion(linear, wrong):
    z = wrong.rsample((K,))
    # Both sides share z, so they differ by the noise of log q - log p(z) around its mean alone.
    log_ratio = wrong.log_prob(z) - linear.prior.log_prob(z)
    value = bounds.elbo(linear.log_weights(wrong, z))
    parts = -(bounds.rate(wrong, linear.prior) + bounds.distortion(linear.decode(z), linear.x))
    assert ((value - parts).abs() < SIGMAS * standard_error(log_ratio)).all()


def test_rate_in_closed_form_and_by_sampling():
    torch.manual_seed(1)
    loc, scale = torch.randn(6, 3).double(), torch.rand(6, 3).double() + 0.2
    q = Independent(Normal(loc, scale), 1)
    prior = Independent(Normal(torch.zeros(3).double(), torch.ones(3).double()), 1)
    rate = bounds.rate(q, prior)
    by_hand = 0.5 * (loc**2 + scale**2 - 1 - (scale**2).log())
    torch.testing.assert_close(rate, by_hand.sum(-1))
    torch.testing.assert_close(bounds.rate_per_dimension(q, prior), by_hand)
    torch.testing.assert_close(bounds.rate_per_dimension(q, prior).sum(-1), rate)
    z = q.rsample((K,))
    log_ratio = q.log_prob(z) - prior.log_prob(z)
    assert ((log_ratio.mean(0) - rate).abs() < SIGMAS * standard_error(log_ratio)).all()


def test_rate_of_the_prior_is_zero_and_otherwise_positive():
    prior = Independent(Normal(torch.zeros(3), torch.ones(3)), 1)
    assert bounds.rate(prior, prior) == 0
    assert bounds.rate(Independent(Normal(torch.zeros(3), 1.01 * torch.ones(3)), 1), prior) > 0


def test_rate_per_dimension_needs_factors():
    full = MultivariateNormal(torch.zeros(2), torch.eye(2))
    with pytest.raises(AttributeError):
        bounds.rate_per_dimension(full, full)


def test_distortion_averages_over_draws_only():
    torch.manual_seed(2)
    logits, x = torch.randn(7, 3, 1, 4, 4), torch.randint(0, 2, (3, 1, 4, 4)).float()
    p_x = Independent(Bernoulli(logits=logits), 3)
    by_hand = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, x.expand_as(logits), reduction="none"
    ).sum((-3, -2, -1))
    torch.testing.assert_close(bounds.distortion(p_x, x), by_hand.mean(0))
    one = Independent(Bernoulli(logits=logits[0]), 3)
    torch.testing.assert_close(bounds.distortion(one, x), by_hand[0])


def test_effective_sample_size_lies_between_one_and_k():
    torch.manual_seed(3)
    log_w = 30 * torch.randn(50, 200).double() - 700
    size = bounds.effective_sample_size(log_w)
    assert (size >= 1 - 1e-9).all() and (size <= 50 + 1e-9).all()
    weights = torch.tensor([4.0, 2.0, 1.0, 1.0]).double()
    # (4 + 2 + 1 + 1)² / (16 + 4 + 1 + 1), whatever the scale of the weights
    for shift in (-2000.0, 0.0, 2000.0):
        size = bounds.effective_sample_size(weights.log() + shift)
        assert size.item() == pytest.approx(64 / 22)


def test_large_weights_neither_overflow_nor_vanish():
    log_w = torch.tensor([[-1e4], [-1e4 + 2.0]]).double()
    expected = -1e4 + torch.tensor([1.0, torch.e**2]).double().mean().log()
    torch.testing.assert_close(bounds.iwae(log_w), expected[None])


@pytest.mark.parametrize("bound", [bounds.elbo, bounds.iwae, bounds.effective_sample_size])
def test_only_the_first_axis_counts_samples(bound):
    torch.manual_seed(4)
    log_w = torch.randn(5, 2, 3)
    value = bound(log_w)
    assert value.shape == (2, 3)
    torch.testing.assert_close(value[1, 2], bound(log_w[:, 1, 2]))
    assert bound(log_w[:, 0, 0]).shape == ()


@pytest.mark.parametrize("bound", [bounds.elbo, bounds.iwae, bounds.effective_sample_size])
@pytest.mark.parametrize("shape", [(0,), (0, 3), ()])
def test_a_bound_needs_a_sample(bound, shape):
    with pytest.raises(ValueError, match="K >= 1"):
        bound(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(3, 1, 4, 5), (3, 4, 4), (4, 4), (4,), ()])
def test_distortion_refuses_data_of_another_shape(shape):
    p_x = Independent(Bernoulli(logits=torch.zeros(3, 1, 4, 4)), 3)
    with pytest.raises(ValueError, match="the decoder gives"):
        bounds.distortion(p_x, torch.zeros(shape))


def test_the_error_of_a_mean_and_of_a_log_mean():
    log_w = torch.tensor([1.0, 3.0, 2.0, 6.0]).double().log()
    w = log_w.exp()
    assert bounds.error_of_mean(w).item() == pytest.approx(w.std().item() / 2)
    by_hand = w.std().item() / 2 / w.mean().item()
    for shift in (-2_000.0, 0.0, 2_000.0):
        assert bounds.log_mean_exp_error(log_w + shift).item() == pytest.approx(by_hand)
    assert bounds.log_mean_exp_error(log_w[:1]).isnan() and bounds.error_of_mean(w[:1]).isnan()


@pytest.mark.parametrize("K", [40, 999, 1_000, 1_001, 3_500])
def test_the_bootstrap_agrees_with_the_delta_method_where_weights_are_tame(K):
    torch.manual_seed(5)
    log_w = 0.3 * torch.randn(K, 2, 3).double() - 800
    generator = torch.Generator().manual_seed(0)
    resampled = bounds.bootstrap_error(log_w, n=400, generator=generator)
    assert resampled.shape == (2, 3)
    # a spread from 400 draws is right to 3.5 % (one standard error), from 500 groups to 3 % more
    torch.testing.assert_close(resampled, bounds.log_mean_exp_error(log_w), rtol=0.2, atol=0)


def test_the_bootstrap_of_equal_weights_is_zero_whatever_the_groups():
    for K in (3, 1_000, 1_001, 2_999):
        assert (bounds.bootstrap_error(torch.full((K, 2), -7.0)) == 0).all()


def test_the_bootstrap_needs_two_draws_and_knows_nothing_from_one_sample():
    with pytest.raises(ValueError, match="n >= 2"):
        bounds.bootstrap_error(torch.zeros(5, 1), n=1)
    assert bounds.bootstrap_error(torch.zeros(1, 3)).isnan().all()
    with pytest.raises(ValueError, match="K >= 1"):
        bounds.bootstrap_error(torch.zeros(0, 3))
