"""What the latent page looks at: a run, its data, a plane, and the places chosen in it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vae.evaluate import Split
from vae.latent import Plane
from vae.runs import Run


class View(NamedTuple):
    """The plane of a run as the page shows it.

    ``axes`` names the plane ("0,1", "pca"), ``where`` is that plane, ``at`` and ``second`` are the
    places A and B (D each) or None, ``label`` is what a conditional model is told, else None.
    """

    run: Run
    split: Split
    colour: str
    axes: str
    label: int | None
    where: Plane
    at: np.ndarray | None
    second: np.ndarray | None
