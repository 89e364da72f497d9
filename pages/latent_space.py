"""What does each place in the latent space decode to?"""

from __future__ import annotations

import numpy as np
import streamlit as st

from ui import cache, figures, places, widgets
from ui.canvas import plane
from ui.canvas.sheet import sheet
from vae import latent, runs

st.title("What does each place in the latent space decode to?")
st.markdown(
    "The encoder puts every image somewhere in the latent space; the decoder turns any place back "
    "into an image. **Click anywhere**: the decoded image appears beside the plane. Click a point "
    "to see the datum it stands for, with what comes back from it."
)

left, middle, right, last = st.columns([3, 2, 2, 3])
with left:
    run = widgets.pick_run()
with middle:
    split = widgets.pick_split()
colour = right.selectbox(
    "Colour",
    ["labels", "rate", "elbo"],
    key="colour",
    bind="query-params",
    format_func={"labels": "label", "rate": "rate", "elbo": "ELBO"}.get,
)
with last:
    axes = places.pick_axes(run)
epoch = places.pick_epoch(run)


HINTS = {
    "labels": "Where two colours meet, walk across the border and watch one kind of image turn "
    "into the other. Far outside the circles no data lie, and the decoder invents.",
    "rate": "Rate is what the code of an image costs: it is high far from the centre, and where "
    "the encoder is very sure of the place. The outer 2 % share the colours of the ends.",
    "elbo": "A low ELBO marks an image that the model explains badly: click it and see why. The "
    "outer 2 % share the colours of the ends.",
}


def explore() -> None:
    """The plane, what was clicked in it, and the sheet: they rerun together, on their own."""
    at = places.current(run)
    where = cache.plane(run.id, axes, at)
    picked = plane("plane", data=places.plane_data(run, split, colour, axes, epoch, at), height=560)
    with st.container(horizontal=True, vertical_alignment="center"):
        second = st.toggle(
            "A click sets the second place",
            key="second",
            help="As Shift with a click does: the path between the two places is decoded below.",
        )
        if places.second(run) is not None:
            st.button("Remove the second place", on_click=places.forget_second)
    if places.take(run, where, picked, split, second=second):
        widgets.rerun_fragment()
    if epoch is not None:
        widgets.look_for(
            f"The plane after epoch {epoch}: the groups part while the encoder learns. The weights "
            "of past epochs are not kept, so a click shows a mix of the decoded grid as it was; "
            "go back to the last epoch for exact decodes, nearest data, path and sheet."
        )
        return
    if len(run.config.shape) == 1:
        st.caption(
            "The data of this run are points in the plane: a picture is a map from −4 to 4 both "
            "ways, bright where $p(x \\mid z)$ is dense, or where a datum lies."
        )
    widgets.look_for(HINTS[colour])
    if at is not None:
        describe(at)
    decoded_sheet(at)


def describe(z: np.ndarray) -> None:
    """The chosen place: its numbers, the nearest data, and a datum with what comes back."""
    log_prior = -0.5 * float(z @ z) - 0.5 * len(z) * np.log(2 * np.pi)
    shown = cache.points(run.id, split)
    near = latent.nearest(shown.loc, z, 6)
    names = cache.label_names(run.id)
    st.subheader("The chosen place")
    numbers, pictures = st.columns([2, 5])
    numbers.metric(
        "log p(z) (nats)",
        f"{log_prior:.2f}".replace("-", "−"),
        help="Log-density of the prior there: the higher, the likelier a sample.",
    )
    numbers.markdown(places.shown(z))
    pictures.caption("Nearest data by their mean, before binarisation: label and distance")
    pictures.image(
        [figures.enlarge(p, 112) for p in cache.thumbnails(run.id, split, near.tolist())],
        caption=[
            f"{names[shown.labels[i]]} · {np.linalg.norm(shown.loc[i] - z):.2f}" for i in near
        ],
        width=96,
    )
    if (index := places.chosen_datum(run, split)) is not None:
        compare(index)
    if (other := places.second(run)) is not None:
        st.subheader("The path between the two places")
        strip = cache.decode(run.id, latent.straight_path(z, other, 12))
        st.image(
            figures.enlarge(latent.mosaic(strip[None], gap=1), 1600),
            width="stretch",
            alt="Twelve decoded images from the first place to the second",
        )
        widgets.look_for(
            "A sudden change between two neighbours: there the straight line from A "
            "to B crosses a border between kinds of images."
        )


def compare(index: int) -> None:
    """A datum, its reconstruction, and the difference."""
    datum = cache.datum(run.id, split, index)
    st.subheader(f"Datum {index}, label {datum.label}")
    change = figures.difference(datum.original, datum.reconstruction)
    rows = [figures.enlarge(p, 168) for p in (datum.original, datum.reconstruction)]
    columns = st.columns([1, 1, 1, 2])
    columns[0].image(rows[0], caption="original, as the model sees it", width="stretch")
    columns[1].image(rows[1], caption="reconstruction, decoded from the mean of q", width="stretch")
    columns[2].image(
        change.repeat(6, 0).repeat(6, 1),
        width="stretch",
        caption="difference: blue is missing, orange is too much",
    )
    columns[3].metric(
        "ELBO (nats)",
        widgets.nats(datum.elbo, datum.elbo_se),
        help="Mean of 256 draws of z from q, ± the standard error of that mean.",
    )
    columns[3].markdown(f"rate {datum.rate:.1f} + distortion {datum.distortion:.1f} nats")


def decoded_sheet(at: np.ndarray | None) -> None:
    """The whole plane decoded, as a sheet one can click."""
    st.subheader("The plane decoded")
    pictures, controls = st.columns([5, 3], gap="large")
    spacing = controls.segmented_control(
        "Spacing", ["z", "quantile"], default="z", required=True, key="spacing", bind="query-params"
    )
    n = controls.slider("Images a side", 5, 30, 15, key="side", bind="query-params")
    side = latent.nodes(n, cache.RADIUS, spacing)
    with pictures:
        url = places.sheet_url(run, axes, spacing, n)
        alt = "Decoded images on a grid of the plane; the arrow keys move from one to the next"
        cell = sheet("sheet", url=url, rows=n, columns=n, alt=alt)
    if cell:
        where = cache.plane(run.id, axes, at)
        places.choose(run, where, [side[cell[1]], side[n - 1 - cell[0]]])
        widgets.rerun_fragment()
    with controls:
        if at is not None:
            chosen = figures.enlarge(cache.decode(run.id, at), 224)
            st.image(chosen, width=224, caption="the chosen place, decoded")
        widgets.look_for(
            "Click an image to choose its place. Spacing by z shows the square of three prior "
            "standard deviations; by quantile every image stands for the same share of the prior "
            "in this plane (Kingma & Welling 2014, figure 4)."
        )


st.fragment(explore, run_every=2.0 if runs.status(run.id).state in runs.ACTIVE else None)()

st.subheader("Does the encoder fill the prior?")
st.plotly_chart(places.marginal_figure(run, split, axes, epoch), key="marginals")
widgets.look_for(
    "Where a coloured curve lies below the dashed one, samples from the prior land where few data "
    "were encoded; where it lies above, the data crowd. Curves that agree are not proof: they are "
    "marginals, and the two distributions may still differ between the axes."
)
widgets.explain(
    r"q(z) = \frac{1}{N}\sum_n q(z \mid x_n) \;\overset{?}{\approx}\; p(z) = \mathcal{N}(0, I)",
    "The aggregate posterior is what the encoder does to the whole data set.",
    "Hoffman & Johnson 2016, ELBO surgery",
)
widgets.show_source(cache.datum, latent.decoded_grid)
widgets.link("training", "Next: how the bound rises while a model trains")
