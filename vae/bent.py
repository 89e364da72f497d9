r"""Where to put the nodes of a decoded grid, so that the mix of neighbours is near the decoder.

.. math:: |\text{mix} - \text{exact}| \lesssim \tfrac{h^2}{8} \max |\partial^2 x|
"""

from __future__ import annotations

import numpy as np
import torch

from vae.latent import Plane, picture
from vae.model import VAE

#: Nodes along each side of the even grid on which the bend is judged.
PROBE = 33
#: How densely nodes follow the bend, what they keep of an even grid, and how far from the middle
#: the bend still counts, in standard deviations. Power 1/3 would be the least mean over the square;
#: more of it helps where the data are, and the square gains nearly as much.
POWER, FLOOR, WIDTH = 0.7, 0.3, 3.0
#: A bend that nobody sees: this share of full scale in one step of the even grid.
UNSEEN = 1e-4


def bent_nodes(model: VAE, plane: Plane, n: int, radius: float) -> tuple[np.ndarray, np.ndarray]:
    r"""Coordinates of columns and rows, denser where the decoder bends.

    .. math:: \frac{1}{h(x)} \propto
        \Big( e^{-x^2 / 2w^2} \int e^{-y^2 / 2w^2}\, |\partial_x^2\, p(x, y)|\, dy \Big)^{0.7}
        + \text{floor}

    and likewise for y, with the root mean square over the pixels of the second differences of the
    decoded pictures p. The floor keeps every gap below (1 + floor) / floor even ones.

    Arguments:
        model: The model.
        plane: The plane.
        n: How many of each.
        radius: Where the grid ends, on every side.

    Returns:
        The coordinates of the columns and of the rows, each with shape (n), rising from -radius to
        radius.

    Raises:
        ValueError: If n < 2.

    Source:
        de Boor 1973, Good Approximation by Splines with Variable Knots: equal shares of a power of
        the derivative that makes the error.

    Example:
        >>> from vae.config import RunConfig
        >>> from vae.latent import axes_plane
        >>> model = VAE(RunConfig(dataset="digits", hidden=(8,)))
        >>> columns, rows = bent_nodes(model, axes_plane(2, 0, 1), 5, 3.0)
        >>> columns[[0, -1]], rows[[0, -1]]
        (array([-3.,  3.]), array([-3.,  3.]))
    """
    if n < 2:
        raise ValueError("a grid needs at least 2 nodes a side")
    side = np.linspace(-radius, radius, PROBE)
    pictures = _greys(model, plane.to_latent(np.stack(np.meshgrid(side, side), axis=-1)))
    weight = np.exp(-0.5 * (side / WIDTH) ** 2)
    places = []
    for along in (pictures.swapaxes(0, 1), pictures):  # by x first, then by y
        bend = np.sqrt(np.square(np.diff(along, 2, axis=0)).mean(axis=-1)) @ weight / weight.sum()
        seen = np.pad(np.where(bend > UNSEEN, bend, 0), 1, mode="edge")
        density = (weight * seen) ** POWER
        between = density[1:] + density[:-1]
        if between.any():
            between /= between.mean()
        share = np.concatenate([[0.0], np.cumsum(between + FLOOR)])
        places.append(np.interp(np.linspace(0, share[-1], n), share, side))
    return places[0], places[1]


@torch.no_grad()
def _greys(model: VAE, z: np.ndarray) -> np.ndarray:
    """Pictures (*, H W), where they can be had without rounding: bends are small differences."""
    p_x = model.decode(torch.as_tensor(z).to(model.zero))
    greys = p_x.mean.clamp(0, 1) if len(model.shape) == 3 else torch.from_numpy(picture(p_x))
    return greys.flatten(z.ndim - 1).float().numpy()
