"""From one place to another: straight, on an arc about the centre, or the shortest for the eye."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from ui import cache, paths, places, widgets
from ui.canvas.flipbook import flipbook, strip
from ui.paths import KINDS, Kind, Way
from ui.tools.view import View
from vae import runs

COLOURS: dict[Kind, str] = {
    "straight": "#E69F00",
    "spherical": "#56B4E9",
    "geodesic": "#D55E00",
}


def layers(view: View) -> dict[str, Any]:
    """The paths between the two places, as far as they are known."""
    ways = paths.known(view)
    return {
        "paths": [
            {
                "label": kind,
                "colour": COLOURS[kind],
                "points": view.where.project(way.z).round(4).tolist(),
                "dash": kind == "straight",
            }
            for kind, way in ways.items()
        ]
    }


def show(view: View, picked: Any) -> None:
    """How to set the two places, the pictures along a path, and how long the paths are."""
    ways, kind = paths.known(view), None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if ways:
            kind = st.segmented_control(
                "Path", KINDS, default="geodesic", required=True, key="way", bind="query-params"
            )
        st.toggle(
            "A click sets the second place",
            key="second",
            help="As Shift with a click does: the paths between the two places are shown below.",
        )
        st.button("Two data with different labels", on_click=_set_two, args=(view,))
        if view.second is not None:
            st.button("Remove the second place", on_click=places.forget_second)
    if kind is None:
        st.info(
            "A path needs two places: click the plane to set A, and click with Shift held down, "
            "or with the switch above, to set B. The button sets both."
        )
    else:
        _pictures(view, kind, ways.get(kind))
        _lengths(ways)
        _search(view, ways)
    _background(view)


def _set_two(view: View) -> None:
    """Sets A and B to the means of two data drawn at random, with different labels if there are."""
    shown, rng = cache.points(view.run.id, view.split), np.random.default_rng()
    one = int(rng.integers(len(shown.loc)))
    others = np.flatnonzero(shown.labels != shown.labels[one])
    other = int(rng.choice(others if len(others) else len(shown.loc)))
    places.set_place(view.run, shown.loc[one])
    places.set_place(view.run, shown.loc[other], to=True)


def _pictures(view: View, kind: Kind, way: Way | None) -> None:
    """What lies along the path that is asked for."""
    if way is None:
        st.caption("The geodesic is not there yet.")
        return
    z = way.z
    pictures = cache.decode(view.run.id, z, view.label)
    share = np.linspace(0, 100, len(z))
    flipbook(
        "path-book",
        url=strip(pictures),
        n=len(z),
        tile=pictures.shape[1:],
        places=view.where.project(z),
        captions=[
            f"{s:.0f} % of the {kind} path · {places.shown(at)}"
            for s, at in zip(share, z, strict=True)
        ],
        alt=f"Decoded pictures along the {kind} path from A to B",
    )
    widgets.look_for(
        "On the straight path, a picture that stands still and then changes at once: there the "
        "line crosses a border between kinds of images. The geodesic shares the change out evenly, "
        "and goes round what need not be crossed."
    )


def _lengths(ways: dict[Kind, Way]) -> None:
    """How long the three paths are, for the eye and in z."""
    st.subheader("How long the paths are")
    head = "| Path | length by the decoder | length in z |\n|---|---:|---:|\n"
    rows = [
        f"| {kind} | {way.seen.value:.2f} ± {np.ceil(100 * way.seen.error) / 100:.2f} "
        f"| {way.in_z:.3f} |"
        for kind, way in ways.items()
    ]
    st.markdown(head + "\n".join(rows))
    st.markdown(
        "**Length by the decoder** counts, in standard deviations, by how much the distribution of "
        "images changes on the way: a short step of length ε is told apart from one image as well "
        "as two normals whose means are ε standard deviations apart. It is a sum of short chords; "
        "± is what halving the chords last added; up to about as much again may be missing, so the "
        "length is a little too short, never too long. "
        "**Length in z** is the ruler's length in latent space, in standard deviations of the "
        "prior."
    )
    if "geodesic" not in ways:
        return
    short, straight = ways["geodesic"], ways["straight"]
    saved = 100 * (1 - short.seen.value / straight.seen.value) if straight.seen.value else 0.0
    longer = 100 * (short.in_z / straight.in_z - 1) if straight.in_z else 0.0
    widgets.look_for(
        f"Here the geodesic is {longer:.0f} % longer than the straight path in z, and {saved:.0f} "
        "% shorter by the decoder. The more the two disagree, the more the decoder bends the space "
        "between A and B."
    )
    if short.in_z > 3 * straight.in_z:
        st.caption(
            "So long a way in z leads far from all data. The decoder was never trained there, and "
            "says without a doubt what it decodes: such a shortcut is probably its mistake, not "
            "its map."
        )
    if not short.found:
        st.caption(
            "The search for the geodesic stopped before it came to rest: a shorter path is near."
        )


def _search(view: View, ways: dict[Kind, Way]) -> None:
    """Looks for the geodesic, after all else is drawn; not while the model changes by the epoch."""
    if "geodesic" in ways:
        return
    if runs.status(view.run.id).state in runs.ACTIVE:
        st.caption("The geodesic is searched for when the training has ended: it takes seconds.")
        return
    with st.spinner("Looking for the geodesic …"):
        paths.search(view)
    widgets.rerun_fragment()


def _background(view: View) -> None:
    """What the paths and the magnification are."""
    with st.expander("What the three paths are"):
        widgets.explain(
            r"G(z) = J_\eta(z)^\top\, \mathrm{Var}(x \mid z)\, J_\eta(z), \qquad "
            r"\mathrm{length}(z) = \int_0^1 \sqrt{\dot z(t)^\top G(z(t))\, \dot z(t)}\; dt",
            "The decoder pulls the distance between distributions of images back to latent space. "
            "$J_\\eta$ says how its outputs (the logits of the pixels, or their means) move with "
            "$z$, and $\\mathrm{Var}(x \\mid z)$ is the only uncertainty that enters: that of the "
            "pixels given $z$, as the decoder states it. What it does not know, far from all data, "
            "does not lengthen a path. The **geodesic** is a path of least length, found by "
            f"descent from {'two starts' if view.run.config.latent_dim == 2 else 'one start'}, so "
            "it is the shortest nearby and perhaps not of all. "
            "With more than two dimensions the decoder may ignore some, and a way through those is "
            "free: there the search is for the least length by $G + I$, so that a step of one "
            "prior standard deviation costs at least one. The lengths above are by $G$ always.",
            "Arvanitidis, Hansen & Hauberg 2018, Latent Space Oddity; Shao, Kumar & Fletcher 2018",
        )
        widgets.explain(
            r"z(t) = \frac{\sin((1-t)\,\Omega)}{\sin\Omega}\, a + \frac{\sin(t\,\Omega)}"
            r"{\sin\Omega}\, b \qquad (|a| = |b|)",
            "The **spherical** path keeps its distance from the centre, or changes it evenly where "
            "A and B are not equally far. "
            + (
                "With two dimensions that is only another way round; it matters in many, where "
                if view.run.config.latent_dim <= 3
                else f"In the {view.run.config.latent_dim} dimensions of this run "
            )
            + "almost all of the prior lies in a thin shell of radius $\\sqrt{D}$ and the middle "
            "of a straight line is as empty as no sample ever is.",
            "White 2016, Sampling Generative Networks",
        )
    with st.expander("The backdrop: log-magnification"):
        widgets.explain(
            r"\log \sqrt{\det G(z)} \qquad \text{with } G = J^\top J \text{ in units of one "
            r"standard deviation a pixel}",
            "How many distinguishable pictures fit into a unit of the plane, as a logarithm: "
            "choose **Log-magnification** under *Backdrop* in the legend of the plane. Ridges, "
            "where it is high (see the colour bar), are borders where one kind of image turns into "
            "another within a short way, and the geodesic crosses them where they are lowest; "
            "where it is low, all decodes to nearly the same picture.",
            "Bishop, Svensén & Williams 1997, Magnification Factors for the GTM Algorithm",
        )
