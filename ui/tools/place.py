"""The chosen place: its numbers, the nearest data, and a datum with what comes back."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from ui import cache, figures, places, widgets
from ui.strips import strip
from ui.tools import labels
from ui.tools.view import View
from vae import aggregate, latent

HINTS = {
    "labels": "Where two colours meet, walk across the border and watch one kind of image turn "
    "into the other. Far outside the circles no data lie, and the decoder invents.",
    "rate": "Rate is what the code of an image costs: it is high far from the centre, and where "
    "the encoder is very sure of the place. The outer 2 % share the colours of the ends.",
    "elbo": "A low ELBO marks an image that the model explains badly: click it and see why. The "
    "outer 2 % share the colours of the ends.",
    "gap": "Gaps are often large where groups meet: there a datum can be explained from more than "
    "one side, and one q sits on one of them. The outer 2 % share the colours of the ends.",
}


#: So many of the nearest data are shown.
NEAREST = 6
#: Standard error of log q(z) above which a handful of data decide it, and it is no error any more.
FEW = 0.5


def layers(view: View) -> dict[str, Any]:
    """Nothing more than the places themselves."""
    return {}


def show(view: View, picked: Any) -> None:
    """What there is to say about the chosen place."""
    if view.axes != "tsne":
        told = view.label is not None and view.colour == "labels"
        widgets.look_for(labels.HINT if told else HINTS[view.colour])
    labels.row(view)
    if view.second is not None:
        st.button("Remove the second place", on_click=places.forget_second)
    if view.at is not None:
        describe(view, view.at)
        if (index := places.chosen_datum(view.run, view.split)) is not None:
            compare(view, index)


def describe(view: View, z: np.ndarray) -> None:
    """The chosen place: its numbers, and the nearest data."""
    st.subheader("The chosen place")
    numbers, pictures = st.columns([2, 5])
    with numbers:
        _densities(view, z)
        st.markdown(places.shown(z))
    shown, names = cache.points(view.run.id, view.split), cache.label_names(view.run.id)
    near = latent.nearest(shown.loc, z, NEAREST)
    with pictures:
        st.caption(
            "Nearest data by their mean, before binarisation: label, and distance in standard "
            "deviations of the prior"
        )
        strip(
            cache.thumbnails(view.run.id, view.split, near.tolist()),
            [f"{names[shown.labels[i]]} · {np.linalg.norm(shown.loc[i] - z):.2f}" for i in near],
        )


def _densities(view: View, z: np.ndarray) -> None:
    """How likely the prior finds the place, and how many data are encoded around it."""
    log_prior = -0.5 * float(z @ z) - 0.5 * len(z) * np.log(2 * np.pi)
    st.metric(
        "log p(z) (nats)",
        f"{log_prior:.2f}".replace("-", "−"),
        help="Log-density of the prior there: the higher, the likelier a sample.",
    )
    shown = cache.points(view.run.id, view.split)
    if view.run.config.family == "flow" or (
        view.run.config.family == "full" and shown.covariance is None
    ):
        return  # a flow has no density in closed form; of many dimensions no covariances are kept
    of = " of all labels, each encoded with its own" if view.label is not None else ""
    own = places.chosen_datum(view.run, view.split)
    among = np.ones(len(shown.loc), dtype=bool)
    among[[] if own is None else [own]] = False  # a datum is always near itself
    lean = None if shown.covariance is None else shown.covariance[among]
    log_q, error = aggregate.log_density(z, shown.loc[among], shown.scale[among], lean)
    of += "" if own is None else ", without the chosen one"
    st.metric(
        "log q(z) (nats)",
        widgets.nats(log_q, error) if error < FEW else f"about {log_q:.1f}".replace("-", "−"),
        help="Log-density of the aggregate posterior, the mean of q(z | x) over "
        f"{among.sum():,} data{of}, ± the standard error over the data, where more than a "
        "few are near. Above log p(z) the data crowd, below it they are sparse; far below it "
        "nothing is encoded, and the decoder invents.",
    )
    if not error < FEW:
        st.caption(
            "One or a few q decide this log q(z): whether there are more or fewer data than p(z) "
            "says cannot be told."
        )


def compare(view: View, index: int) -> None:
    """A datum, its reconstruction, and the difference."""
    datum = cache.datum(view.run.id, view.split, index)
    st.subheader(f"Datum {index}, label {datum.label}")
    pictures, numbers = st.columns([5, 3])
    with pictures:
        strip(
            [
                datum.original,
                datum.reconstruction,
                figures.difference(datum.original, datum.reconstruction),
            ],
            [
                "original, as the model sees it",
                "reconstruction, decoded from the mean of q",
                "difference: blue is missing, orange is too much",
            ],
            side=8.5,
        )
    numbers.metric(
        "ELBO (nats)",
        widgets.nats(datum.elbo, datum.elbo_se),
        help="Mean of 256 draws of z from q, ± the standard error of that mean.",
    )
    numbers.markdown(f"rate {datum.rate:.1f} + distortion {datum.distortion:.1f} nats")
    if view.run.config.latent_dim <= 2 and not view.run.config.conditional:
        with numbers:
            asked = {"run": view.run.id, "split": widgets.SPLITS[view.split], "datum": str(index)}
            widgets.link("inference", "Its true posterior", **asked)
