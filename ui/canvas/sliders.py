"""Sliders for all dimensions of a latent place, with the picture it decodes to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ui.canvas.bundle import bundle, read
from ui.serving import component

#: In this order each module comes after those it imports; ``sliders.js`` has the default export.
MODULES = ("view.js", "load.js", "picture.js", "sliders.js")

_component = component(
    "latent_sliders", html=read("sliders.html"), css=read("sliders.css"), js=bundle(*MODULES)
)


class Dimension(NamedTuple):
    """What stands at a slider: its name, words beside it, whether the model uses the dimension, and
    between which values most means lie, which is marked on the track."""

    name: str
    about: str
    used: bool
    within: tuple[float, float]


def sliders(
    key: str,
    *,
    z: np.ndarray,
    dimensions: list[Dimension],
    order: np.ndarray,
    first: int,
    reach: float,
    decode: str,
) -> np.ndarray | None:
    """Shows a slider for each latent dimension beside the picture that their place decodes to.

    The picture follows the hand without a rerun; the page is told when a slider is let go.

    Arguments:
        key: Names these sliders on their page.
        z: Where they are, with shape (D).
        dimensions: What stands at each, D of them.
        order: The dimensions in the order in which they are shown, with shape (D).
        first: How many are shown at once; the others are behind a click.
        reach: Each goes from −reach to reach.
        decode: The URL that, with ``&z=…`` added, answers the decoded picture.

    Returns:
        The place, with shape (D), in the run of the script after a slider was let go; else None.
    """
    data = {
        "z": np.round(z, 3).tolist(),
        "dimensions": [
            {
                "name": d.name,
                "about": d.about,
                "used": bool(d.used),
                "from": round(max(-reach, float(d.within[0])), 2),
                "to": round(min(reach, float(d.within[1])), 2),
            }
            for d in dimensions
        ],
        "order": np.asarray(order).tolist(),
        "first": first,
        "reach": reach,
        "decode": decode,
    }
    moved = _component(key=key, data=data, on_z_change=lambda: None).z
    return np.array(moved, dtype=float) if moved else None
