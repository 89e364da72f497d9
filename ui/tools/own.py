"""Your own picture: drawn, uploaded, taken or picked; where it lands, and what comes back."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from ui import (
    cache,
    figures,
    own_cache,
    own_draws,
    own_sources,
    own_usual,
    own_walk,
    places,
    widgets,
)
from ui.inline import inline
from ui.own_cache import Landing
from ui.own_draws import number
from ui.own_sources import Mine
from ui.tools.view import View
from vae import latent

#: As many dimensions are listed, those with the highest rate.
LISTED = 5
COLOUR = "#D55E00"


def layers(view: View) -> dict[str, Any]:
    """Where the picture landed with its q, the draws from it, and the walk."""
    mine = own_sources.current(view)
    if mine is None:
        return {}
    found = own_cache.landing(view.run.id, view.label, mine.x)
    p = _at(view, found.loc)
    laid: dict[str, Any] = {"marks": [{"p": p, "label": mine.name, "shape": "cross"}]}
    if view.axes != "tsne":  # widths in latent space have none in such a map
        xx, xy, yy = view.where.covariance(found.scale[None], found.covariance[None])[0].tolist()
        if len(found.loc) == 1:
            yy = 1e-6  # a line
        laid["ellipses"] = [
            {
                "p": p,
                "cov": [xx, xy, yy],
                "colour": COLOUR,
                "label": f"q of {mine.name}",
                "dash": False,
            }
        ]
    if (draws := own_draws.drawn(view, mine.x)) is not None:
        laid["draws"] = {
            "points": _at(view, draws.z),
            "colour": own_draws.COLOUR,
            "label": f"{len(draws.z)} draws from q",
        }
    if (way := own_walk.walked(found)) is not None:
        points = _at(view, way)
        laid["paths"] = [
            {"label": "walk", "colour": own_walk.COLOUR, "points": points, "dash": False}
        ]
    return laid | _close(view)


def ask(view: View) -> None:
    """Asks for the picture, above the plane, so that both are in sight while one draws."""
    own_sources.choose_source(view)
    left, right = st.columns([3, 5], gap="medium")
    with left:
        own_sources.ask(view)
    mine = own_sources.current(view)
    with right:
        if mine is None:
            st.info(own_sources.hint(view))
        else:
            _what_comes_back(view, mine)


def show(view: View, picked: Any) -> None:
    """What there is to say of the place where it landed."""
    mine = own_sources.current(view)
    if mine is None:
        return
    found = own_cache.landing(view.run.id, view.label, mine.x)
    told = ""
    if view.label is not None:
        name = cache.label_names(view.run.id)[view.label]
        told = f" Encoder and decoder are told the label **{name}**, as chosen above."
    st.caption(mine.made + told)
    _how_odd(view, found)
    _where_it_lands(view, found)
    own_draws.show(view, mine.x, found)
    own_walk.show(view, found)
    _neighbours(view, found)
    widgets.explain(
        r"q_\phi(z \mid x) \approx p_\theta(z \mid x), \qquad "
        r"\log p_\theta(x) \ge \mathbb{E}_{q}\left[\log p_\theta(x \mid z)\right] "
        r"- \mathrm{KL}(q_\phi(z \mid x) \,\|\, p(z))",
        "The encoder answers for a picture it has never seen with a whole distribution: its mean "
        "is the cross in the plane, the ellipses are one and two standard deviations.",
        "Kingma & Welling 2014, Auto-Encoding Variational Bayes",
    )


def _at(view: View, z: np.ndarray) -> list[Any]:
    """Places in the plane, as the component takes them."""
    return np.asarray(view.where.project(z), dtype=float).round(4).tolist()


def _what_comes_back(view: View, mine: Mine) -> None:
    """The picture as the model sees it, what comes back, and its numbers."""
    found = own_cache.landing(view.run.id, view.label, mine.x)
    pictures = {
        "x, as the model sees it": found.seen,
        "decoded from q's mean": found.back,
        "blue is missing, orange too much": figures.difference(found.seen, found.back),
    }
    with st.container(horizontal=True, gap="small"):
        for caption, picture in pictures.items():
            st.image(inline(picture, 224), caption=caption, width=136)
    with st.container(horizontal=True, gap="medium"):
        st.metric(
            "ELBO (nats)",
            widgets.nats(found.elbo, found.elbo_se),
            help=f"Mean of {own_cache.N_DRAWS} draws of z from q, ± the standard error of that "
            "mean.",
            width="content",
        )
        st.metric(
            "Rate (nats)",
            widgets.nats(found.rate, found.rate_se),
            help="KL(q ‖ prior).",
            width="content",
        )
        st.metric(
            "Distortion (nats)",
            widgets.nats(found.distortion),
            help=f"−E log p(x|z) under q; ± {found.distortion_se:.2f}, as the ELBO.",
            width="content",
        )
    if mine.grey:
        moved = own_usual.pixel_spread(view.run.id, view.label, mine.grey)
        st.caption(
            "± is over draws of z, for these very pixels. Another draw of the pixels would move "
            f"the ELBO by about {moved:.1f} nats (standard deviation of {own_usual.REDRAWN} such "
            "draws)."
        )


def _how_odd(view: View, found: Landing) -> None:
    """What to compare the ELBO of one picture with: those of single data, not their mean."""
    low, high = own_usual.middle(view.run.id)
    own = ", each told its own label" if view.label is not None else ""
    if found.elbo < low:
        verdict = "lower: the model finds it odd. Look where the difference is strong"
    else:
        verdict = "among them" if found.elbo <= high else "higher: the model finds it easy"
    widgets.look_for(
        f"Of the held-out data of this run{own}, 90 % have an ELBO between {widgets.nats(low)} "
        f"and {widgets.nats(high)} nats, 5 % less and 5 % more. That of this picture, "
        f"{widgets.nats(found.elbo)}, is {verdict}. The model can only give back what its data "
        "have taught it."
    )


def _where_it_lands(view: View, found: Landing) -> None:
    """Mean, scale and rate of the dimensions that carry most, and the buttons of the place."""
    st.subheader("Where it lands")
    left, right = st.columns(2, gap="large", vertical_alignment="center")
    order = np.argsort(found.rates)[::-1]
    listed = sorted(order) if len(order) <= 2 else order[:LISTED]
    rows = [
        f"| z{d + 1} | {number(found.loc[d])} ± {number(found.scale[d])} | {found.rates[d]:.2f} |"
        for d in listed
    ]
    left.markdown("\n".join(["| | mean ± scale of q | rate (nats) |", "|---|---|---|", *rows]))
    if len(order) > len(listed):
        left.caption(f"The {LISTED} of {len(order)} dimensions that carry most.")
    if view.run.config.family != "diagonal" and len(order) > 1:
        left.caption(
            "Where q leans or bends, the rates of its dimensions do not add up to its own."
        )
    with right.container(horizontal=True):
        for name, to in (("A", False), ("B", True)):
            st.button(
                f"Set as {name}",
                on_click=places.set_place,
                args=(view.run, found.loc),
                kwargs={"to": to},
                key=f"own-set-{name}",
            )
        if view.axes != "tsne":
            close = bool(_close(view))
            st.button(
                "Show the whole plane" if close else "Zoom in on it",
                on_click=_forget_zoom if close else _zoom,
                args=() if close else (view, found),
            )
    right.caption(
        "Draw one, set it as A; draw another, set it as B: then **Path** goes from one to the "
        "other."
    )


def _zoom(view: View, found: Landing) -> None:
    """Has the plane show the surroundings of the ellipse."""
    x, y = _at(view, found.loc)
    variance = view.where.covariance(found.scale[None], found.covariance[None])[0]
    half = 8 * float(max(variance[0], variance[2])) ** 0.5
    key = st.session_state["own-zooms"] = st.session_state.get("own-zooms", 0) + 1
    st.session_state["own-close"] = {
        "view": [x - half, x + half, y - half, y + half],
        "view_key": f"{view.run.id}-{view.axes}-own-{key}",
    }


def _close(view: View) -> dict[str, Any]:
    """The view to look at the ellipse with, if it was asked for in this plane."""
    found = st.session_state.get("own-close", {"view_key": ""})
    return found if found["view_key"].startswith(f"{view.run.id}-{view.axes}-") else {}


def _forget_zoom() -> None:
    """Has the plane show everything again."""
    del st.session_state["own-close"]
    st.query_params.pop("view", None)


def _neighbours(view: View, found: Landing) -> None:
    """The training data whose means lie nearest."""
    st.subheader("The training images with the nearest means")
    shown, names = cache.points(view.run.id, "train"), cache.label_names(view.run.id)
    near = latent.nearest(shown.loc, found.loc, 8)
    distances = np.linalg.norm(shown.loc[near] - found.loc, axis=1)
    found_pictures = cache.thumbnails(view.run.id, "train", near.tolist())
    with st.container(horizontal=True, gap="small"):
        for i, distance, picture in zip(near, distances, found_pictures, strict=True):
            caption = f"{names[shown.labels[i]]} · {distance:.2f}"
            st.image(inline(picture, 112), caption=caption, width=96)
    if view.label is not None:
        widgets.look_for(
            "Label and distance in z, each image encoded with its own label. The labels mix here "
            "by design: what the label says need not be said again by z. Look whether slant, width "
            "or weight are alike instead."
        )
        return
    widgets.look_for(
        "Label and distance in z. Neighbours of another kind than your picture: here the plane is "
        "too crowded for the encoder to keep the kinds apart."
    )
