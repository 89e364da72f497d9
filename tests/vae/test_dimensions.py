"""What each latent dimension carries, against torch's own divergences; lines along the axes."""

from __future__ import annotations

import numpy as np
import torch
from torch.distributions import Normal, kl_divergence

from vae import dimensions, evaluate, latent, runs

RNG = np.random.default_rng(0)
LOC, SCALE = RNG.standard_normal((50, 4)), RNG.uniform(0.1, 1.2, (50, 4))


def test_rates_are_the_mean_divergences_of_the_marginals():
    q = Normal(torch.from_numpy(LOC), torch.from_numpy(SCALE))
    expected = kl_divergence(q, Normal(torch.zeros(()).double(), 1.0)).mean(0).numpy()
    np.testing.assert_allclose(dimensions.rates(LOC, SCALE), expected, rtol=1e-12)


def test_rates_of_a_run_sum_up_to_its_rate(trained):
    run = runs.load(trained[5])
    encoded = latent.encode_set(run.model, evaluate.examples(run.config))
    total = dimensions.rates(encoded.loc, encoded.scale).sum()
    np.testing.assert_allclose(total, encoded.rate.mean(), rtol=1e-5)


def test_a_dimension_is_active_if_its_means_vary():
    spread = np.array([1.0, 0.11, 0.09, 0.0])
    loc = (LOC - LOC.mean(0)) / LOC.std(0, ddof=1) * spread
    assert dimensions.active(loc).tolist() == [True, True, False, False]  # 0.11² > 0.01 > 0.09²


def test_a_traversal_moves_one_dimension_a_row():
    at, dims, values = np.arange(4.0), np.array([2, 0]), np.array([-3.0, 0.5, 3.0])
    z = dimensions.traversal(at, dims, values)
    assert z.shape == (2, 3, 4)
    for row, d in enumerate(dims):
        np.testing.assert_array_equal(z[row, :, d], values)
        others = np.delete(np.arange(4), d)
        np.testing.assert_array_equal(z[row][:, others], np.tile(at[others], (3, 1)))
