"""Pictures in one row of one image: the right ones, in sixteen levels, for little."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from ui.strips import data_url

RNG = np.random.default_rng(0)


def opened(url: str) -> np.ndarray:
    kind, _, data = url.partition(",")
    assert kind == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")).astype(int)


def test_each_picture_has_its_place_and_is_right_to_sixteen_levels():
    pictures = RNG.integers(0, 256, (3, 28, 20), dtype=np.uint8)
    row = opened(data_url(pictures))
    assert row.shape == (28, 60, 3)
    for k, picture in enumerate(pictures):
        cell = row[:, 20 * k : 20 * k + 20]
        assert np.abs(cell - picture[..., None]).max() <= 8  # half a level of 17
        assert (cell % 17 == 0).all()


def test_grey_and_colour_stand_side_by_side():
    grey, colour = RNG.integers(0, 16, (8, 8)), RNG.integers(0, 16, (8, 8, 3))
    row = opened(data_url([(17 * grey).astype(np.uint8), (17 * colour).astype(np.uint8)]))
    np.testing.assert_array_equal(row[:, :8], 17 * np.stack([grey] * 3, -1))
    np.testing.assert_array_equal(row[:, 8:], 17 * colour)
