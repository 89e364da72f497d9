"""What the flipbook's Python refuses, and how it writes pictures."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from ui.canvas.flipbook import LARGEST, flipbook, strip


def test_a_strip_is_one_row_of_the_pictures_without_loss():
    pictures = np.random.default_rng(0).integers(0, 256, (5, 4, 6)).astype(np.uint8)
    head, _, body = strip(pictures).partition(",")
    assert head == "data:image/png;base64"
    row = np.asarray(Image.open(io.BytesIO(base64.b64decode(body))))
    np.testing.assert_array_equal(row, np.concatenate(pictures, axis=1))


@pytest.mark.parametrize(
    "wrong", [{"n": 0}, {"n": LARGEST + 1}, {"places": [[0, 0]]}, {"captions": ["a", "b", "c"]}]
)
def test_a_flipbook_of_another_length_is_refused(wrong):
    with pytest.raises(ValueError, match="flipbook"):
        flipbook("book", **{"url": "", "n": 2, "tile": (4, 6), "alt": "", **wrong})
