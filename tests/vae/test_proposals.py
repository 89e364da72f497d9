"""Proposals: their noise, their densities, and what a mixture with the prior promises."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Distribution, Independent, Laplace, MultivariateNormal, Normal

from vae import proposals
from vae.families import family
from vae.proposals import Defensive, defensive, from_noise, inflated, log_prob, noise, part

D = 2
PRIOR = Independent(Normal(torch.zeros(D), torch.ones(D)), 1)


def gaussian(n: int = 3) -> Independent:
    generator = torch.Generator().manual_seed(0)
    loc = torch.randn(n, D, generator=generator)
    return Independent(Normal(loc, 0.1 + torch.rand(n, D, generator=generator)), 1)


def full(n: int = 3) -> MultivariateNormal:
    q = gaussian(n)
    tril = torch.diag_embed(q.stddev) + torch.tensor([[0.0, 0.0], [0.3, 0.0]])
    return MultivariateNormal(q.mean, scale_tril=tril)


def flow() -> Distribution:
    torch.manual_seed(0)
    return family("flow", D)(torch.randn(3, 2 * D + 16))


def everyone() -> list[Distribution]:
    return [gaussian(), full(), flow(), inflated(full(), 2.0), defensive(flow(), PRIOR, 0.3)]


def test_the_noise_of_a_datum_is_its_own():
    whole = noise(K=50, first=0, n=6, dim=3)
    assert whole.shape == (50, 6, 3)
    torch.testing.assert_close(whole[:, 4:], noise(K=50, first=4, n=2, dim=3), rtol=0, atol=0)
    assert not torch.equal(whole[:, 0], whole[:, 1])
    assert not torch.equal(whole, noise(K=50, first=0, n=6, dim=3, seed=1))
    assert not torch.equal(whole[:, 1:], noise(K=50, first=0, n=5, dim=3, seed=1))


def test_the_noise_is_standard_normal_and_unrelated_between_data():
    flat = noise(K=200, first=10, n=200, dim=2, seed=3).double()
    count = flat.numel()
    assert abs(flat.mean()) < 4 / count**0.5
    assert abs(flat.var() - 1) < 4 * (2 / count) ** 0.5
    neighbours = (flat[:, 1:] * flat[:, :-1]).mean()
    assert abs(neighbours) < 4 / flat[:, 1:].numel() ** 0.5


@pytest.mark.parametrize("index", range(5))
def test_log_q_is_the_density_where_the_noise_lands(index):
    q = everyone()[index]
    eps = noise(4_000, 0, 3, proposals.noise_dim(q))
    with torch.no_grad():
        z, log_q = from_noise(q, eps)
        assert z.shape == (4_000, 3, D) and log_q.shape == (4_000, 3)
        torch.testing.assert_close(log_q, log_prob(q, z.clone()), atol=2e-4, rtol=1e-4)
        # E[exp(log f - log q)] = 1 for any density f whose tails are lighter than q's
        inner = q.q if isinstance(q, Defensive) else q
        light = Independent(Normal(inner.mean, 0.3 * inner.stddev), 1)
        ratio = (light.log_prob(z) - log_q).exp().double()
    error = ratio.std(0) / len(ratio) ** 0.5
    assert ((ratio.mean(0) - 1).abs() < 4 * error).all()


@pytest.mark.parametrize("make", [gaussian, full])
def test_gaussians_agree_with_pytorch(make):
    q = make()
    z = from_noise(q, noise(1_000, 0, 3, D))[0]
    torch.testing.assert_close(log_prob(q, z).float(), q.log_prob(z), atol=1e-4, rtol=1e-4)
    error = q.stddev / 1_000**0.5
    assert ((z.mean(0) - q.mean).abs() < 4 * error).all()
    assert log_prob(q, z).dtype == torch.float64


@pytest.mark.parametrize("make", [gaussian, full])
def test_a_part_is_that_of_its_data(make):
    q, z = make(5), torch.randn(5, D)
    wide = inflated(q, 2.0)
    for whole in (q, wide, defensive(wide, PRIOR)):
        some = part(whole, slice(2, 4))
        assert some.batch_shape == (2,)
        torch.testing.assert_close(log_prob(some, z[2:4]), log_prob(whole, z)[2:4])


@pytest.mark.parametrize("make", [gaussian, full])
def test_inflating_multiplies_the_scales(make):
    q = make()
    torch.testing.assert_close(inflated(q, 1.5).stddev, 1.5 * q.stddev)
    torch.testing.assert_close(inflated(q, 1.5).mean, q.mean)
    torch.testing.assert_close(inflated(q, 1.0).log_prob(q.mean), q.log_prob(q.mean))


def test_the_mixture_is_a_mixture():
    q = gaussian()
    mixed, z = defensive(q, PRIOR, 0.25), 2 * torch.randn(30, 3, D)
    by_hand = 0.25 * PRIOR.log_prob(z).exp() + 0.75 * q.log_prob(z).exp()
    torch.testing.assert_close(mixed.log_prob(z).float(), by_hand.log(), atol=1e-4, rtol=1e-5)
    torch.manual_seed(0)
    drawn = mixed.sample((20_000,))
    assert drawn.shape == (20_000, 3, D) and not drawn.requires_grad
    mean = 0.75 * q.mean
    second = 0.25 * torch.ones(D) + 0.75 * (q.variance + q.mean.square())
    error = (second - mean.square()).sqrt() / 20_000**0.5
    assert ((drawn.mean(0) - mean).abs() < 4 * error).all()
    # prior over mixture, hence every weight over its likelihood, is bounded by one over the share
    assert (PRIOR.log_prob(z) - mixed.log_prob(z) <= -math.log(0.25) + 1e-6).all()


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_mixture_needs_a_share_between_nought_and_one(share):
    with pytest.raises(ValueError, match="between 0 and 1"):
        defensive(gaussian(), PRIOR, share)


def test_what_cannot_be_done_is_said():
    with pytest.raises(ValueError, match="above 0"):
        inflated(gaussian(), 0.0)
    with pytest.raises(TypeError, match="mix it with the prior"):
        inflated(flow(), 2.0)
    with pytest.raises(TypeError, match="cannot propose"):
        from_noise(Independent(Laplace(torch.zeros(3, D), torch.ones(3, D)), 1), torch.zeros(3, D))
