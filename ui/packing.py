"""Points as bytes for the plane: 15 a point with labels, 18 with values."""

from __future__ import annotations

import numpy as np

#: Means a standard deviation of e^((step / 2048) - 16): right to 0.03 %, from 1e-7 to 8e6.
LOG_STEP, LOG_ZERO = 2048, 16
#: Means a correlation of tanh(step / 4096), which spares the digits that ellipses need near ±1.
LEAN_STEP = 4096


def packed(loc: np.ndarray, covariance: np.ndarray, values: np.ndarray) -> bytes:
    """Two uint32, the number of points and the bytes of a value, then little-endian columns:
    x, y (float32), values (float32), standard deviations of x and y (uint16), correlation (int16),
    values that are whole numbers from 0 to 255 (uint8); one of the columns of values is not there.

    Arguments:
        loc: Places in the plane, with shape (N, 2).
        covariance: xx, xy, yy, with shape (N, 3).
        values: What points are coloured by, with shape (N): labels if they are integers.

    Returns:
        The bytes; ``points.js`` reads them.

    Example:
        >>> len(packed(np.zeros((10, 2)), np.ones((10, 3)), np.arange(10)))
        158
    """
    xx, xy, yy = np.asarray(covariance, dtype=float).T
    tiny = np.finfo(float).tiny
    scales = 0.5 * np.log(np.maximum(np.stack([xx, yy]), tiny))
    with np.errstate(divide="ignore", invalid="ignore"):
        leaning = np.arctanh(np.clip(xy / np.sqrt(xx * yy), -1, 1))
    labels = np.issubdtype(values.dtype, np.integer)
    columns = [
        np.array([len(loc), 1 if labels else 4], "<u4"),
        np.asarray(loc, "<f4").T,
        np.asarray(values[:0] if labels else values, "<f4"),
        _steps((scales + LOG_ZERO) * LOG_STEP, "<u2"),
        _steps(leaning * LEAN_STEP, "<i2"),
        np.asarray(values if labels else values[:0], "u1"),
    ]
    return b"".join(column.tobytes() for column in columns)


def _steps(numbers: np.ndarray, kind: str) -> np.ndarray:
    """The nearest whole numbers that the kind can hold; 0 for what is no number."""
    room = np.iinfo(kind)
    return np.nan_to_num(np.clip(np.rint(numbers), room.min, room.max)).astype(kind)
