"""Nearest data equal brute force, the aggregate's density equals the mixture's, regions hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.vae.test_sampling import data, model
from vae import novelty, sampling


@pytest.mark.parametrize("kind", ["pixels", "points"])
def test_the_nearest_equals_brute_force(kind):
    random = np.random.default_rng(0)
    if kind == "pixels":
        stored = random.integers(0, 256, (2_500, 1, 8, 8)).astype(np.uint8)
        samples, numbers = random.random((9, 1, 8, 8)), stored / 255
    else:
        stored = random.normal(size=(2_500, 2)).astype(np.float32)
        samples, numbers = random.normal(size=(9, 2)), stored.astype(float)
    found = novelty.nearest_data(samples, stored)
    apart = np.linalg.norm((samples[:, None] - numbers).reshape(9, 2_500, -1), axis=2)
    assert np.array_equal(found.index, apart.argmin(axis=1))
    assert np.allclose(found.distance, apart.min(axis=1), rtol=1e-12)


def test_a_copy_is_at_no_distance():
    stored = np.random.default_rng(0).integers(0, 256, (1_200, 1, 8, 8)).astype(np.uint8)
    found = novelty.nearest_data(stored[[1_100, 3]] / 255, stored)
    assert found.index.tolist() == [1_100, 3] and found.distance.tolist() == [0, 0]


@pytest.mark.parametrize("family", ["diagonal", "full", "flow"])
def test_the_aggregates_density_is_that_of_the_mixture(family, monkeypatch):
    monkeypatch.setattr(novelty, "TILE", 3)
    made, x = model(family), data(8)
    z = np.random.default_rng(0).normal(size=(7, 2))
    q = made.encode(x)
    each = q.log_prob(torch.from_numpy(z).float()[:, None]).double()
    expected = torch.logsumexp(each, 1) - math.log(8)
    assert np.allclose(novelty.log_aggregate(made, x, z), expected, atol=1e-3)


def test_the_datum_that_a_draw_came_from_can_be_left_out(monkeypatch):
    monkeypatch.setattr(novelty, "TILE", 3)
    made, x = model(), data(8)
    z, own = sampling.from_aggregate(made, x, 7, seed=1)
    own = np.append(own[:-1], 8)  # the last came from elsewhere
    found = novelty.log_aggregate(made, x, z, without=own)
    for k, row in enumerate(own):
        others = x[torch.arange(8) != row]
        assert found[k] == pytest.approx(novelty.log_aggregate(made, others, z[[k]])[0], abs=1e-6)
    with pytest.raises(ValueError, match="beside"):
        novelty.log_aggregate(made, x[:1], z[:1], without=np.zeros(1, int))


def test_draws_of_few_data_are_as_certain_as_the_data():
    """36 data with 1,000 narrow draws each time: the error covers how much the share varies."""
    random = np.random.default_rng(0)

    def draws() -> np.ndarray:
        return random.normal(size=36)[random.integers(36, size=1_000)] + random.normal(
            scale=0.05, size=1_000
        )

    found = [
        novelty.outside(draws(), draws(), holds=0.8, behind=36, behind_reference=36)
        for _ in range(200)
    ]
    spread = np.std([share for share, _ in found], ddof=1)
    assert np.mean([error for _, error in found]) == pytest.approx(spread, rel=0.25)


def test_of_the_reference_itself_a_twentieth_is_outside():
    random = np.random.default_rng(0)
    found = [novelty.outside(*random.normal(size=(2, 1_000))) for _ in range(200)]
    shares = np.array([share for share, _ in found])
    spread = shares.std(ddof=1)
    assert abs(shares.mean() - 0.05) < 5 * spread / math.sqrt(len(shares))
    assert np.mean([error for _, error in found]) == pytest.approx(spread, rel=0.25)


def test_a_share_of_none_or_all_is_not_certain():
    low, high = np.full(50, -9.0), np.full(50, 9.0)
    reference = np.linspace(-1, 1, 400)
    assert novelty.outside(low, reference).share == 1
    assert novelty.outside(high, reference).share == 0
    assert novelty.outside(low, reference).error > 0.01


def test_latents_where_nothing_was_encoded_are_outside():
    """Latents far from every code are outside, the aggregate's own are not."""
    made, x = model(), data(40)
    held_out = sampling.from_aggregate(made, x, 1_000, seed=1).z
    own = sampling.from_aggregate(made, x, 1_000, seed=2).z
    far = 8 + sampling.from_prior(made, 1_000).z
    reference = novelty.log_aggregate(made, x, held_out)
    share, error = novelty.outside(novelty.log_aggregate(made, x, own), reference)
    assert abs(share - 0.05) < 4 * error
    assert novelty.outside(novelty.log_aggregate(made, x, far), reference).share > 0.99


def test_there_must_be_something_to_compare_with():
    with pytest.raises(ValueError, match="compare"):
        novelty.nearest_data(np.zeros((1, 2)), np.zeros((0, 2)))
    with pytest.raises(ValueError, match="compare"):
        novelty.outside(np.zeros(0), np.zeros(3))
    with pytest.raises(ValueError, match="one datum"):
        novelty.log_aggregate(model(), data(0), np.zeros((1, 2)))
