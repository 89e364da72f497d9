"""Modes on a lattice: of densities whose modes are known, and none where there are none."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vae.peaks import peaks


def lattice(step: float, reach: float = 3.0) -> np.ndarray:
    n = round(reach / step)
    axis = np.arange(-n, n + 1)
    return np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)


def normal(z: np.ndarray, loc: tuple[float, float], scale: float) -> np.ndarray:
    d = ((z - loc) ** 2).sum(-1) / scale**2
    return np.exp(-d / 2) / (2 * math.pi * scale**2)


def test_modes_of_a_mixture_come_with_their_masses():
    step, shares = 1 / 16, (0.5, 0.3, 0.2)
    places = lattice(step)
    z = places * step
    at = [(-1.0, -1.0), (1.0, 0.0), (-1.0, 1.5)]
    density = sum(w * normal(z, loc, 0.2) for w, loc in zip(shares, at, strict=True))
    index, mass = peaks(places, np.log(density), step)
    np.testing.assert_allclose(z[index], at, atol=1e-12)
    np.testing.assert_allclose(mass, shares, atol=1e-3)


@pytest.mark.parametrize("angle", [0.1, 0.3, 0.7, 1.2, 2.9])
def test_a_narrow_oblique_ridge_is_one_mode(angle):
    step, narrow, wide = 1 / 16, 1.2 / 16, 1.0  # about as narrow as a settled lattice leaves it
    places = lattice(step)
    z = places * step
    along, across = (
        np.array([math.cos(angle), math.sin(angle)]),
        [-math.sin(angle), math.cos(angle)],
    )
    height = -0.5 * ((z @ along / wide) ** 2 + (z @ across / narrow) ** 2)
    ups = [(height > np.roll(height.reshape(97, 97), s, (0, 1)).ravel()) for s in ((1, 0), (0, 1))]
    assert ups[0].any()
    index, mass = peaks(places, height, step)
    assert len(index) == 1
    assert mass[0] == pytest.approx(2 * math.pi * narrow * wide, rel=1e-2)


@pytest.mark.parametrize(("ratio", "count"), [(0.02, 2), (0.005, 1)])
def test_a_hundredth_of_the_highest_is_the_least(ratio, count):
    step = 1 / 16
    places = lattice(step)
    z = places * step
    density = normal(z, (-1, 0), 0.2) + ratio * normal(z, (1, 0), 0.2)
    assert len(peaks(places, np.log(density), step)[0]) == count


@pytest.mark.parametrize(("distance", "count"), [(2.2, 1), (3.5, 2)])
def test_two_hills_need_a_saddle_of_half_their_height(distance, count):
    places, step = np.arange(-80, 81)[:, None], 1 / 16
    z = places[:, 0] * step
    density = np.exp(-0.5 * (z - distance / 2) ** 2) + np.exp(-0.5 * (z + distance / 2) ** 2)
    assert len(peaks(places, np.log(density), step)[0]) == count


def test_hills_on_parts_of_the_lattice_that_do_not_touch():
    places = np.array([[0], [1], [100], [101]])
    index, mass = peaks(places, np.log([0.4, 0.2, 0.1, 0.3]), 1.0)
    assert index.tolist() == [0, 3]
    np.testing.assert_allclose(mass, [0.6, 0.4])
