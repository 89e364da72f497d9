"""The rate is information and marginal divergence, each computed on its own."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Independent, MultivariateNormal, Normal

from vae.families import family
from vae.surgery import aggregate, surgery


def prior(D: int) -> Independent:
    return Independent(Normal(torch.zeros(D), torch.ones(D)), 1)


def encoded(N: int, D: int, scale: float = 0.4) -> Independent:
    g = torch.Generator().manual_seed(0)
    loc = torch.randn(N, D, generator=g)
    return Independent(Normal(loc, scale * (0.5 + torch.rand(N, D, generator=g))), 1)


def as_full(q: Independent) -> MultivariateNormal:
    return MultivariateNormal(q.mean, torch.diag_embed(q.variance))


@pytest.mark.parametrize("D", [1, 2, 5])
@pytest.mark.parametrize("full", [False, True])
def test_the_parts_add_up_to_the_rate(D, full):
    q = encoded(300, D)
    parts = surgery(as_full(q) if full else q, prior(D), seed=1)
    residual = parts.rate - parts.mutual_information - parts.marginal_kl
    assert abs(residual) < 4 * parts.error
    assert parts.error < 0.03
    assert 0 < parts.mutual_information < parts.log_n == math.log(300)


def test_the_parts_of_a_flow_add_up_too():
    torch.manual_seed(0)
    with torch.no_grad():
        q = family("flow", 2)(torch.randn(6, 20) - torch.tensor([0, 0, 1.0, 1.0] + 16 * [0]))
    parts = surgery(q, prior(2))
    residual = parts.rate - parts.mutual_information - parts.marginal_kl
    assert abs(residual) < 4 * parts.error < 0.5
    assert parts.rate_error > 0


def test_codes_that_do_not_overlap_say_everything_and_equal_ones_nothing():
    apart = Independent(Normal(torch.arange(8.0)[:, None] * 100, torch.ones(8, 1)), 1)
    same = Independent(Normal(torch.full((8, 2), 0.5), torch.full((8, 2), 0.3)), 1)
    assert surgery(apart, prior(1)).mutual_information == pytest.approx(math.log(8), abs=1e-9)
    parts = surgery(same, prior(2))
    assert parts.mutual_information == pytest.approx(0, abs=1e-6)
    assert parts.marginal_kl == pytest.approx(parts.rate, abs=1e-4)
    assert parts.marginal_error < 1e-3


def test_the_aggregate_of_the_prior_itself_has_no_divergence():
    q = Independent(Normal(torch.zeros(3, 2), torch.ones(3, 2)), 1)
    parts = surgery(q, prior(2))
    assert parts.marginal_kl == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("D", [1, 2])
def test_the_aggregate_is_the_mean_density(D):
    q = encoded(50, D)
    found = aggregate(q, cells=512)
    centre = (found.edges[1:] + found.edges[:-1]) / 2
    z = torch.cartesian_prod(*[centre] * D).view(-1, D)[:: 37**D]
    expected = q.log_prob(z[:, None].float()).exp().mean(1)
    torch.testing.assert_close(
        found.density.flatten()[:: 37**D].float(), expected, rtol=0.02, atol=1e-4
    )
    assert found.mass.sum().item() == pytest.approx(1, abs=1e-6)


def test_the_aggregate_of_what_does_not_factorise_is_counted():
    q = encoded(200, 2)
    exact, counted = aggregate(q, cells=16), aggregate(as_full(q), cells=16)
    edges = counted.edges
    assert counted.mass.sum().item() == pytest.approx(1)
    centre = ((edges[1:] + edges[:-1]) / 2)[:, None]
    mean = (counted.mass.sum(1) @ centre).item()
    assert mean == pytest.approx(q.mean[:, 0].mean().item(), abs=0.02)
    assert exact.mass.shape == counted.mass.shape


def test_three_dimensions_have_no_cells():
    with pytest.raises(ValueError, match="one or two"):
        aggregate(encoded(4, 3))
    with pytest.raises(ValueError, match="at least"):
        surgery(encoded(0, 2), prior(2))
