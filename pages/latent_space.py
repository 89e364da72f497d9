"""What does each place in the latent space decode to?"""

from __future__ import annotations

from functools import partial

import streamlit as st

from ui import cache, colours, places, tsne_view, widgets
from ui.canvas import plane
from ui.tools import attribute, dimensions, own, path, place, poster, replay, samples
from vae import latent, runs

st.title("What does each place in the latent space decode to?")
st.markdown(
    "The encoder puts every image somewhere in the latent space; the decoder turns any place back "
    "into an image. **Move over the plane and the image flows; click anywhere** and the exact "
    "decode stands beside it. Click a point to see the datum it stands for."
)

TOOLS = {
    "Place": place,
    "Draw": own,
    "Path": path,
    "Directions": attribute,
    "Dimensions": dimensions,
    "Sample": samples,
    "Poster": poster,
    "Replay": replay,
}

notices = st.container()
left, middle, right, last = st.columns([3, 2, 2, 3])
with left:
    run = widgets.pick_run(notices)
with middle:
    split = widgets.pick_split()
colour = right.selectbox(
    "Colour",
    list(colours.COLOURS),
    key="colour",
    bind="query-params",
    format_func=colours.COLOURS.get,
)
with last:
    axes = places.pick_axes(run)
axes = places.settle(run, axes)
label = places.pick_label(run)
tool = st.segmented_control(
    "What to do",
    list(TOOLS),
    default="Replay" if replay.asked_for() else "Place",
    required=True,
    key="tool",
    bind="query-params",
)
if tool != "Replay":
    st.query_params.pop("epoch", None)


def explore() -> None:
    """The plane and what is done with it: they rerun together, on their own."""
    widgets.keep_to(run)
    view = places.view(run, split, colour, axes, label)
    chosen = TOOLS[tool]
    if tool == "Draw":
        own.ask(view)  # above the plane
    data = places.plane_data(view) | chosen.layers(view)
    picked = plane("plane", data=data, height=560, on_pick=partial(places.pick, view))
    places.keep_view(picked)
    if view.axes == "tsne":
        tsne_view.honesty(run)
    if len(run.config.shape) == 1:
        st.caption(
            "The data of this run are points in the plane: a picture is a map from −4 to 4 both "
            "ways, bright where $p(x \\mid z)$ is dense, or where a datum lies."
        )
    chosen.show(view, picked)


st.fragment(explore, run_every=2.0 if runs.status(run.id).state in runs.ACTIVE else None)()

st.subheader("Does the encoder fill the prior?")
st.plotly_chart(places.marginal_figure(run, split, axes), key="marginals")
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
