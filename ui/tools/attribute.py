"""Directions with a meaning: the mean of one group minus that of another, applied anywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from ui import analogies, cache, figures, groups, places, widgets
from ui.canvas.flipbook import flipbook, strip
from ui.groups import Between
from ui.tools import labels
from ui.tools.view import View
from vae import latent
from vae.directions import FEWEST

#: How far a place is moved along the direction, in directions, and in how many steps.
REACH, N_PICTURES = 2.0, 33
EXAMPLES = 3
COLOUR = "#D55E00"


def layers(view: View) -> dict[str, Any]:
    """The lasso, the loops, the direction, and the line through A along it."""
    labels = [f"group {i + 1}" for i in (0, 1)]
    loops = [groups.loop(view, i) for i in (0, 1)]
    laid: dict[str, Any] = {
        "lasso": {
            "groups": [
                {"label": label, "colour": colour}
                for label, colour in zip(labels, groups.COLOURS, strict=True)
            ]
        },
        "polygons": [
            {"label": label, "colour": colour, "points": loop.tolist()}
            for label, colour, loop in zip(labels, groups.COLOURS, loops, strict=True)
            if loop is not None
        ],
    }
    found = groups.between(view)
    if found.direction is None or found.means is None:
        return laid
    ends = view.where.project(found.means)
    laid["marks"] = [
        {"p": end.tolist(), "label": f"mean of group {i + 1}", "shape": "cross"}
        for i, end in enumerate(ends)
    ]
    # A step in z has no direction in a picture by t-SNE.
    lines = [("direction", _arrow(*ends[::-1]), False)] if view.axes != "tsne" else []
    if view.at is not None:
        z = _moved(view.at, found)
        lines.append(("A along it", view.where.project(z), True))
    laid["paths"] = [
        {"label": label, "colour": COLOUR, "points": points.round(4).tolist(), "dash": dash}
        for label, points, dash in lines
    ]
    return laid


def show(view: View, picked: Any) -> None:
    """The groups, what their direction is worth, and what it does."""
    if picked.lasso:
        groups.take(view, picked.lasso)
        widgets.rerun_fragment()
    st.subheader("A direction: from the mean of group 2 to that of group 1")
    columns = st.columns(2)
    for i, column in enumerate(columns):
        with column:
            groups.choose(view, i)
    found = groups.between(view)
    _worth(view, found)
    if found.direction is not None:
        _applied(view, found)
        _examples(view, found)
    analogies.show(view)
    _explained()


def _worth(view: View, found: Between) -> None:
    """How many data, how long the direction is, and whether it tells the groups apart."""
    counts = [len(rows) for rows in found.members]
    for i in (0, 1):
        if groups.chosen(view, i) == groups.DRAWN and groups.loop(view, i) is None:
            st.info(
                f"Group {i + 1} waits for a loop: press “group {i + 1}” at the top of the plane "
                "and drag round some data; or, with the keys, move by arrows, set corners with "
                "Enter and close the loop with Space. A loop belongs to the plane it was drawn in."
            )
    if found.direction is None or found.means is None:
        if all(groups.chosen(view, i) != groups.DRAWN for i in (0, 1)) or found.shared:
            st.info("The two groups need at least two data each that the other does not hold.")
        return
    direction, apart = found.direction, found.separation
    pictures = cache.decode(view.run.id, found.means, view.label)
    shown, length, area = st.columns([2, 2, 2])
    with shown.container(horizontal=True):
        for i in (0, 1):
            caption = f"mean of group {i + 1}, decoded{labels.under(view)}"
            st.image(figures.enlarge(pictures[i], 112), width=96, caption=caption)
    length.metric(
        "Length (units of z)",
        f"{direction.length:.2f} ± {direction.length_se:.2f}",
        help="Of the mean of group 1 minus that of group 2, ± its standard error over the choice "
        "of data.",
    )
    if not found.looped:
        length.caption(f"by chance about {direction.by_chance:.2f}")
    if apart is not None:
        area.metric(
            "Separation (AUC)",
            f"{apart.auc:.3f} ± {apart.standard_error:.3f}" if apart.auc < 0.9995 else "> 0.999",
            help="The chance that a datum of group 1 lies farther along the direction than one of "
            "group 2: 0.5 is none, 1 is complete. Each half of the data is judged by the direction "
            "of the other half; ± the standard error, given the direction of either half.",
        )
    shared = f" {found.shared} are in both and count in neither." if found.shared else ""
    area.caption(f"{counts[0]:,} and {counts[1]:,} data.{shared}")
    widgets.look_for(_verdict(found))


def _verdict(found: Between) -> str:
    """Whether the direction is worth following, in words."""
    apart, direction = found.separation, found.direction
    if found.looped:
        return (
            "You chose these groups because they lie apart in this plane, so their separation says "
            "nothing; a direction between labels can be judged."
        )
    if apart is None:
        return (
            f"With fewer than {FEWEST} data in a group, groups that are alike may lie apart "
            "without any overlap: the direction cannot be judged. Take more data."
        )
    if apart.auc - 0.5 < 2 * apart.standard_error:
        return (
            "A separation that is not above 0.5 by two standard errors: that the groups differ "
            "along this direction is not shown, and what its pictures show may mean nothing."
        )
    if apart.auc < 0.8:
        return (
            "The groups differ on average along this direction, yet overlap widely: many data of "
            "either group lie on the other's side."
        )
    if apart.auc < 0.95:
        return (
            "Most pairs of data lie in the right order along this direction, yet the groups "
            "overlap: some data of either lie on the other's side."
        )
    far = direction.length > 2 * direction.by_chance
    return (
        f"A {'length well above what chance makes and a ' if far else ''}separation near 1: the "
        "groups lie apart along this direction. That it changes nothing else is not said by that; "
        "the pictures below show it."
    )


def _applied(view: View, found: Between) -> None:
    """The place A, moved along the direction."""
    st.subheader("A, moved along the direction")
    if view.at is None:
        st.info("Click the plane to choose the place A: the direction is applied to it here.")
        return
    z = _moved(view.at, found)
    pictures = cache.decode(view.run.id, z, view.label)
    flipbook(
        "direction-book",
        url=strip(pictures),
        n=len(z),
        tile=pictures.shape[1:],
        places=view.where.project(z),
        captions=[
            f"A {'−' if t < 0 else '+'} {abs(t):.3g} × direction · {places.shown(at)}"
            for t, at in zip(_multiples(), z, strict=True)
        ],
        alt="Decoded pictures of the place A, moved along the direction by −2 to 2 times",
        start=N_PICTURES // 2,
    )


def _examples(view: View, found: Between) -> None:
    """The same direction, applied to data drawn at random."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.subheader("The same direction, from three data", width="stretch")
        if st.button("Three other data"):
            st.session_state["examples"] = st.session_state.get("examples", 0) + 1
    loc = cache.points(view.run.id, view.split).loc
    rng = np.random.default_rng(st.session_state.get("examples", 0))
    rows = rng.choice(len(loc), EXAMPLES, replace=False)
    t = np.linspace(-REACH, REACH, 9)
    z = loc[rows][:, None] + t[:, None] * found.direction.vector
    mosaic = latent.mosaic(cache.decode(view.run.id, z, view.label), gap=1)
    st.image(
        figures.enlarge(mosaic, 1600),
        width="stretch",
        alt="Three rows of nine decoded pictures; the middle one of each row is the mean of a "
        "datum, decoded",
        caption=f"The means of data {', '.join(map(str, rows))} in the middle, −2 to +2 directions "
        f"from there, all decoded{labels.under(view)}",
    )
    widgets.look_for(
        "The same change in every row, and nothing else: that is what a direction promises. It is "
        "an assumption, a straight line with one meaning everywhere; where the rows end in the "
        "same blurred picture, or in none, the line has left the data."
    )


def _explained() -> None:
    """The formulas behind it."""
    with st.expander("What a direction is, and what its error"):
        widgets.explain(
            r"v = \bar z_1 - \bar z_2, \qquad z' = z + t\, v, \qquad "
            r"C = \frac{S_1}{n_1} + \frac{S_2}{n_2}, \qquad "
            r"\mathrm{se}(|v|) \approx \frac{\sqrt{v^\top C\, v}}{|v|}, \qquad "
            r"|v|_{\text{by chance}} = \sqrt{\mathrm{tr}\, C}",
            "The means are over the encoder's means of the data in each group, in all latent "
            "dimensions, whatever plane is shown; $S$ are the covariances of the groups. Groups "
            "that are alike still have means that differ, by about $\\sqrt{\\mathrm{tr}\\, C}$.",
            "Larsen et al. 2016, Autoencoding beyond pixels using a learned similarity metric; "
            "White 2016, Sampling Generative Networks; the AUC's error: DeLong et al. 1988",
        )


def _multiples() -> np.ndarray:
    """By how many directions A is moved."""
    return np.linspace(-REACH, REACH, N_PICTURES)


def _moved(z: np.ndarray, found: Between) -> np.ndarray:
    """A place and what it becomes along the direction: (N_PICTURES, D)."""
    return z + _multiples()[:, None] * found.direction.vector


def _arrow(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """An arrow as one line: its shaft, and a head of a tenth of its length."""
    along = 0.1 * (end - start)
    across = 0.5 * along[::-1] * [-1, 1]
    return np.array([start, end, end - along + across, end, end - along - across])
