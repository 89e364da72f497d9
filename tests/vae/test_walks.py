"""The walk, against what is known of an autoregression of the first order."""

from __future__ import annotations

import numpy as np
import pytest

from vae.walks import walk

D = 40_000  # as many walks side by side


def test_the_prior_stays_the_prior_and_the_start_fades_as_the_formula_says():
    step, start = 0.3, np.random.default_rng(0).standard_normal(D)
    places = walk(start, 24, step, seed=1)
    assert places.shape == (25, D) and np.array_equal(places[0], start)
    # Of D independent normals the mean has the error 1/√D, the variance √(2/D); five of them.
    assert np.abs(places.mean(1)).max() < 5 / D**0.5
    assert np.abs(places.var(1) - 1).max() < 5 * (2 / D) ** 0.5
    for t in (1, 5, 24):
        left = (1 - step**2) ** (t / 2)
        assert abs((places[t] * start).mean() - left) < 5 * ((1 + left**2) / D) ** 0.5


def test_from_far_outside_it_comes_back():
    places = walk(np.full(D, 10.0), 50, 0.3, seed=0)
    assert np.abs(places.mean(1) - 10 * (1 - 0.3**2) ** (np.arange(51) / 2)).max() < 5 / D**0.5


def test_the_seed_decides():
    start = np.zeros(3)
    assert np.array_equal(walk(start, 5, 0.2, 7), walk(start, 5, 0.2, 7))
    assert not np.array_equal(walk(start, 5, 0.2, 7), walk(start, 5, 0.2, 8))


@pytest.mark.parametrize("step", [0, -0.1, 1.01, float("nan")])
def test_a_step_beyond_its_bounds(step):
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        walk(np.zeros(2), 3, step, 0)
