"""The aggregate posterior in a plane, against sums of torch's own densities."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal

from vae import aggregate

SIDE = np.linspace(-3, 3, 41)
BLUR = (SIDE[1] - SIDE[0]) ** 2 / 4


def gaussians(N: int, lean: bool) -> tuple[np.ndarray, np.ndarray]:
    """Means (N, 2), and covariances as xx, xy, yy."""
    rng = np.random.default_rng(0)
    scale = rng.uniform(0.02, 0.6, (N, 2))
    correlation = rng.uniform(-0.9, 0.9, N) if lean else np.zeros(N)
    covariance = [scale[:, 0] ** 2, correlation * scale.prod(axis=1), scale[:, 1] ** 2]
    return rng.normal(size=(N, 2)), np.stack(covariance, axis=1)


@pytest.mark.parametrize("lean", [True, False])
def test_it_is_the_mean_of_all_densities(lean, monkeypatch):
    monkeypatch.setattr(aggregate, "TILE", 1_000)
    loc, covariance = gaussians(50, lean)
    full = covariance[:, [0, 1, 1, 2]].reshape(-1, 2, 2) + BLUR * np.eye(2)
    q = MultivariateNormal(torch.from_numpy(loc), torch.from_numpy(full))
    grid = torch.from_numpy(np.stack(np.meshgrid(SIDE, SIDE[::-1]), axis=-1))
    expected = (q.log_prob(grid[:, :, None]).logsumexp(-1) - np.log(50)).numpy()
    seen = expected > -40  # what is below is all alike
    found = aggregate.of_gaussians(loc, covariance, SIDE)
    np.testing.assert_allclose(found[seen], expected[seen], rtol=1e-9, atol=1e-9)
    assert (found[~seen] < -30).all()


@pytest.mark.parametrize("lean", [True, False])
def test_narrow_ones_do_not_fall_between_the_nodes(lean):
    """The mass on the grid is 1, within what half a step of blur leaves: 2 e^{−π²/2} an axis."""
    rng = np.random.default_rng(1)
    loc, tiny = rng.uniform(-2, 2, (30, 2)), np.full(30, 1e-8)
    covariance = np.stack([tiny, 0.5 * tiny * lean, tiny], axis=1)
    mass = np.exp(aggregate.of_gaussians(loc, covariance, SIDE)).sum() * (SIDE[1] - SIDE[0]) ** 2
    assert mass == pytest.approx(1, abs=4 * np.exp(-(np.pi**2) / 2))


def test_draws_are_counted_where_they_lie():
    side, rng = np.linspace(-3, 3, 13), np.random.default_rng(2)
    z = rng.normal(size=(200_000, 2)) * [1.0, 0.5]
    found = np.exp(aggregate.of_draws(z, side))
    x, y = np.meshgrid(side, side[::-1])
    exact = np.exp(-0.5 * (x**2 + 4 * y**2)) / np.pi
    smooth = np.abs(found - exact)  # the mean over a cell bends by h²/24 of the curvature, 5 / π
    noise = 5 * np.sqrt(exact / len(z) / 0.25) + 0.25 / 24 * 5 / np.pi + 1e-4
    assert (smooth < noise).all() and found.sum() * 0.25 == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("lean", [True, False])
def test_the_density_at_a_place_is_torchs_own_and_its_error_that_of_the_mean(lean):
    rng = np.random.default_rng(3)
    loc, scale = rng.normal(size=(400, 4)), rng.uniform(0.3, 1.5, (400, 4))
    factor = np.tril(rng.normal(size=(400, 4, 4)), -1) * lean + scale[:, None] * np.eye(4)
    covariance = factor @ factor.swapaxes(1, 2)
    q = MultivariateNormal(torch.from_numpy(loc), scale_tril=torch.from_numpy(factor))
    for z in (np.zeros(4), np.array([2.0, -1.0, 0.5, 3.0])):
        log_q = q.log_prob(torch.from_numpy(z)).numpy()
        value, error = aggregate.log_density(z, loc, scale, covariance if lean else None)
        density = np.exp(log_q)
        assert value == pytest.approx(np.log(density.mean()), abs=1e-9)
        relative = density.std(ddof=1) / 400**0.5 / density.mean()
        assert error == pytest.approx(relative, rel=1e-6)
    far, _ = aggregate.log_density(np.full(4, 300.0), loc, scale)
    assert np.isfinite(far) and far < -1000
