"""The preview of the plane in numpy: what the browser must show between decoded pictures."""

from __future__ import annotations

import numpy as np


def mixed(tiles: np.ndarray, xs: np.ndarray, ys: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The bilinear mixes at places (N, 2) of pictures (rows, columns, H, W), the largest y first:
    (N, H, W). The weight of a node is a hat over x times a hat over y."""
    x, y = np.asarray(places).T
    across = np.stack([np.interp(x, xs, hat) for hat in np.eye(len(xs))], axis=1)
    upwards = np.stack([np.interp(y, ys, hat) for hat in np.eye(len(ys))], axis=1)
    return np.einsum("nr,nc,rchw->nhw", upwards[:, ::-1], across, tiles)
