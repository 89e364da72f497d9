"""The true posterior of one datum, and the modes of many, against closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from tests.vae.exact_models import data_at, folded_model, linear_model, steep_model
from vae import evaluate, linear
from vae.config import RunConfig
from vae.posterior import modes, posterior, sample, window
from vae.quadrature import decode_grid, evidence, log_density


@pytest.mark.parametrize("D", [1, 2])
@pytest.mark.parametrize("scale", [0.5, 0.02])
def test_on_the_linear_model_it_is_the_normal(D, scale):
    model = linear_model(D, scale)
    x = data_at(model, torch.tensor([[1.0, -0.4]])[:, :D])
    truth, p = linear.posterior(model, x), posterior(model, x[0])
    assert p.log_evidence == pytest.approx(linear.log_evidence(model, x).item(), abs=2e-3)
    torch.testing.assert_close(p.log_density, truth.log_prob(p.z), rtol=0, atol=2e-3)
    torch.testing.assert_close(p.loc, truth.loc[0], rtol=0, atol=1e-3 * scale)
    torch.testing.assert_close(p.covariance, truth.covariance_matrix[0], rtol=1e-2, atol=1e-6)
    assert (p.log_density.exp().sum() * p.step**D).item() == pytest.approx(1, abs=1e-4)
    assert p.modes.shape == (1, D)
    assert (p.modes[0] - truth.loc[0]).abs().max() <= 0.51 * p.step
    assert p.mass.item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("D", [1, 2])
def test_modes_are_where_they_should_be(D):
    model = folded_model(D, scale=0.3)
    p = posterior(model, torch.tensor([2.0, 0.5]))
    expected = math.sqrt(2.0 - 0.3**2 / 2)
    assert sorted(p.modes[:, 0].sign().tolist()) == [-1, 1]
    assert (p.modes[:, 0].abs() - expected).abs().max() <= 0.51 * p.step
    torch.testing.assert_close(p.mass, torch.full((2,), 0.5).double(), rtol=0, atol=1e-3)
    if D == 2:
        assert (p.modes[:, 1] - 0.5 / 1.09).abs().max() <= 0.51 * p.step


def test_many_data_have_the_modes_that_each_has_alone():
    model = folded_model(2, scale=0.3)
    x = torch.tensor([[2.0, 0.5], [-1.0, 0.0], [0.7, -1.0]])
    grid, done = decode_grid(model), []
    found = modes(model, x, grid, progress=done.append)
    assert found.count.tolist() == [2, 1, 2]
    assert sum(done) == 3
    for datum, count, places in zip(x, found.count, found.z, strict=True):
        alone = posterior(model, datum, grid).modes
        torch.testing.assert_close(places[:count].double(), alone, rtol=0, atol=1e-6)
        assert places[count:].isnan().all()


def test_draws_are_distributed_as_the_posterior():
    p = posterior(folded_model(2, scale=0.3), torch.tensor([2.0, 0.5]))
    z = sample(p, 20_000, torch.Generator().manual_seed(0))
    error = p.covariance.diagonal().sqrt() / len(z) ** 0.5
    assert ((z.mean(0) - p.loc).abs() < 4 * error).all()
    cell = torch.eye(2).double() * p.step**2 / 12  # drawing evenly within a cell adds its variance
    torch.testing.assert_close(z.T.cov(), p.covariance + cell, rtol=0.03, atol=1e-3)


@pytest.mark.parametrize("D", [1, 2])
def test_the_window_is_a_square_around_the_mass(D):
    model = linear_model(D, 0.5)
    x = data_at(model, torch.ones(1, D))
    p = posterior(model, x[0])
    x0, x1, y0, y1 = window(p)
    assert x1 - x0 == pytest.approx(y1 - y0)
    scale = linear.posterior(model, x).stddev[0].max().item()
    assert 2 * 3.29 * scale < x1 - x0 < 1.5 * 2 * 3.29 * scale + 2 * p.step
    inside = ((p.z[:, 0] > x0) & (p.z[:, 0] < x1)).double() @ p.log_density.exp() * p.step**D
    assert inside > 0.999
    assert D == 2 or (y0 + y1) == 0


def test_erased_pixels_spread_it():
    model = linear_model(2, 0.3)
    x = data_at(model, torch.ones(1, 2))[0]
    grid, observed = decode_grid(model), torch.arange(64) < 8
    whole, part = posterior(model, x, grid), posterior(model, x, grid, observed=observed)
    assert part.covariance.det() > 4 * whole.covariance.det()


def test_erased_pixels_drop_out_of_its_density_too():
    model = steep_model("bernoulli")
    x = evaluate.examples(RunConfig(dataset="digits"), n=1)[0]
    grid, observed = decode_grid(model), torch.arange(64) < 8
    part = posterior(model, x, grid, observed=observed)
    expected = evidence(model, x[None], observed=observed, tolerance=1e-6)
    assert part.log_evidence == pytest.approx(expected.log_evidence.item(), abs=5e-3)
    anywhere = log_density(model, x, part.log_evidence, part.z, observed=observed)
    torch.testing.assert_close(anywhere, part.log_density, rtol=0, atol=1e-9)
