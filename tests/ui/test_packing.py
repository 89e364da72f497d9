"""Points as bytes."""

from __future__ import annotations

import numpy as np
import pytest

from ui.packing import packed


@pytest.mark.parametrize(("values", "bytes_each"), [(np.arange(7), 15), (np.arange(7) / 3, 18)])
def test_a_point_takes_15_bytes_with_a_label_and_18_with_a_value(values, bytes_each):
    body = packed(np.zeros((7, 2)), np.ones((7, 3)), values)
    assert len(body) == 8 + 7 * bytes_each
    assert np.frombuffer(body[:8], "<u4").tolist() == [7, bytes_each - 14]


def test_scales_keep_their_size_and_correlations_their_distance_from_one():
    """Half a step of log scale is 0.025 %, half a step of the inverse tangent 0.013 %."""
    random = np.random.default_rng(0)
    scale = 10 ** random.uniform(-6, 6, size=(1000, 2))
    rho = np.tanh(random.uniform(-7, 7, size=1000))
    xx, yy = (scale**2).T
    body = packed(scale, np.stack([xx, rho * scale.prod(1), yy], 1), np.zeros(1000, int))
    steps = np.frombuffer(body[8 + 8000 :][:4000], "<u2").reshape(2, -1).T
    np.testing.assert_allclose(np.exp(steps / 2048 - 16), scale, rtol=2.5e-4)
    leaning = np.tanh(np.frombuffer(body[8 + 12_000 :][:2000], "<i2") / 4096)
    np.testing.assert_allclose(1 - leaning**2, 1 - rho**2, rtol=3e-4)


def test_what_has_no_width_or_is_no_number_breaks_nothing():
    covariance = np.array([[1, 0, 0], [np.nan] * 3, [0, 0, 0], [4, 8, 16]], dtype=float)
    with np.errstate(all="raise"):
        body = packed(np.full((4, 2), np.nan), covariance, np.zeros(4, int))
    steps = np.frombuffer(body[8 + 32 : 8 + 48], "<u2").reshape(2, 4)
    assert steps[0, 0] == 16 * 2048 and steps[1, 0] == 0
    leaning = np.frombuffer(body[8 + 48 : 8 + 56], "<i2")
    assert leaning.tolist() == [0, 0, 0, 32767]
