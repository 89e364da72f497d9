"""The same place under every label: what a conditional model keeps in z, and what in the label."""

from __future__ import annotations

import numpy as np
import streamlit as st

from ui import cache, places, widgets
from ui.strips import strip
from ui.tools.view import View

#: Where to look in the plane of a conditional run, its points coloured by label.
HINT = (
    "The colours mix. Every point is a datum, encoded with its own label; what the label says need "
    "not be said again by z, and all labels may use the same places. The plane of a model that is "
    "told nothing (digits-2d, say) is divided among them instead."
)


def under(view: View) -> str:
    """What a caption adds to "decoded" where the model is told a label, whosever the latent is."""
    return "" if view.label is None else f" under y = {cache.label_names(view.run.id)[view.label]}"


def row(view: View) -> None:
    """Pictures of A, or of z = 0, side by side; nothing where the model is told no label."""
    if view.label is None:
        return
    z = np.zeros(view.run.config.latent_dim) if view.at is None else view.at
    names = cache.label_names(view.run.id)
    told = [cache.decode(view.run.id, z, y) for y in range(len(names))]
    st.subheader("The same z under every label")
    strip(told, [f"y = {name}" for name in names], side=4.4)
    chosen = "" if view.at is not None else " No place is chosen yet: this is the middle."
    widgets.look_for(
        f"One {places.shown(z)}, decoded once for each label. The label decides what is drawn; "
        f"what stays alike from one to the next, such as slant or weight, is what z says.{chosen}"
    )
    widgets.explain(
        r"p(x \mid y) = \int p(x \mid z, y)\, p(z)\, \mathrm{d}z, \qquad z \sim q(z \mid x, y)",
        "A conditional VAE: encoder and decoder are told the label y, the prior of z is not.",
        "Sohn, Lee & Yan 2015; Kingma et al. 2014, model M2",
    )
