"""How far the preview, a mix of decoded pictures, is from the exact decode."""

from __future__ import annotations

import numpy as np
import pytest

from tests.mixing import mixed
from ui import cache, places
from vae import latent


def off(run_id: str, xs: np.ndarray, ys: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Mean absolute difference of mix and exact picture, in % of full scale, at each place."""
    model, plane = cache.model(run_id), cache.plane(run_id, "0,1")
    mix = mixed(latent.decoded_grid(model, plane, xs, ys), xs, ys, z).round()
    exact = latent.decode_pictures(model, plane.to_latent(z)).astype(float)
    return np.abs(mix - exact).mean((1, 2)) / 2.55


@pytest.mark.parametrize(
    ("run_id", "radius", "mean", "worst"),
    [("digits-2d", 3.0, 0.14, 0.45), ("mnist-2d", 4.0, 1.0, 5.0), ("mnist-2d-conv", 4.0, 0.7, 2.7)],
)
def test_the_mix_is_near_the_exact_picture(run_id, radius, mean, worst, monkeypatch):
    """On the page's own nodes, at places drawn from the prior. Measured, in % of full scale: means
    0.11, 0.77 and 0.50, worst places 0.31, 3.5 and 1.8; the bounds are some 30 % above. As many
    nodes set evenly are off by 0.17, 1.8 and 1.1 on average."""
    monkeypatch.delenv("VAE_RUNS")
    n = places.BACKDROP_NODES
    xs, ys = cache.nodes(run_id, "0,1", None, n, radius)
    z = np.random.default_rng(0).standard_normal((400, 2))
    z = z[(np.abs(z) <= radius).all(axis=1)]
    assert (
        len(z) >= 390
        and np.isclose([xs[0], xs[-1], ys[0], ys[-1]], radius * np.array([-1, 1] * 2)).all()
    )
    bent = off(run_id, xs, ys, z)
    assert bent.mean() < mean and bent.max() < worst
    even = latent.nodes(n, radius)
    assert bent.mean() < 0.75 * off(run_id, even, even, z).mean()
