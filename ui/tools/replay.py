"""The training, replayed in the plane: points, ellipses and manifold move as the model learned."""

from __future__ import annotations

import io
from functools import partial
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from ui import cache, figures, frames, places, replay_gif, widgets
from ui.tools.view import View
from vae import runs
from vae.snapshots import GRID_NODES, GRID_RADIUS

#: Colour of the line at the epoch that is shown.
SHOWN = "#D55E00"


def asked_for() -> bool:
    """Whether the page was opened by a link that names an epoch but no tool: to see it replayed."""
    if "tool" not in st.session_state:
        named = "epoch" in st.query_params and "tool" not in st.query_params
        st.session_state["opened-by-epoch"] = named
    return st.session_state["opened-by-epoch"]


def layers(view: View) -> dict[str, Any]:
    """The frames, of the data that each of them has."""
    view = _coloured(view)
    if view.axes == "tsne" or len(kept := frames.epochs(view.run)) < 2:
        return {}
    newest = places.plane_data(view)
    epoch = _epoch(kept)
    count = f"{len(cache.snapshot(view.run.id, kept[0]).labels):,}"
    note = f"The same {count} held-out data in every epoch."
    if not (same := frames.same_data(view.run, kept[0])):
        note += (
            " They are of the full set that this run was trained on; the other tools show its cut."
        )
    return {
        "points": newest["points"] | {"note": note, "numbered": same},
        "fields": [],  # of the newest weights only
        "replay": {
            "key": f"{view.run.id} {view.axes}",
            "frames": frames.frames(view, newest),
            "start": kept.index(epoch),
        },
    }


def show(view: View, picked: Any) -> None:
    """The bound as it rose, what to look for, and the replay as a file."""
    kept = frames.epochs(view.run)
    if view.axes == "tsne":
        st.info(
            "t-SNE lays every epoch out afresh, so its places cannot be compared from one epoch to "
            "the next: choose PCA or two axes to replay the training."
        )
        return
    if len(kept) < 2:
        st.info("This run has kept one epoch only: there is nothing to replay yet.")
        return
    shown = picked.frame.removeprefix("epoch ") if picked.frame else str(_epoch(kept))
    st.query_params["epoch"] = shown
    if _coloured(view) != view:
        st.caption(
            "Of past epochs the rate of each datum is known, but not this: labels are shown."
        )
    later = (
        "The groups part within the first epochs; later they only slide and turn"
        if view.label is None
        else "The heap fills the prior within the first epochs, and its colours stay mixed: the "
        "label is told, and z need not say it again"
    )
    widgets.look_for(
        "At the start all data lie in one heap near the middle, and every picture is the same "
        f"grey. {later}, while the pictures between them sharpen."
    )
    if view.run.config.latent_dim > 2:
        st.caption(
            "Pictures were kept of one plane for each epoch: that of the two dimensions with the "
            "highest rate at that time, through z = 0. In other planes the points move alone."
        )
    _curve(view, kept)
    st.download_button(
        "Download the replay (GIF)",
        partial(_gif, view, kept),
        f"{view.run.id}-replay.gif",
        "image/gif",
        on_click="ignore",
        icon=":material/movie:",
        help="Points in the colours of their labels over the decoded plane, epoch by epoch; it is "
        "drawn when you press the button, in about a second.",
    )


def _coloured(view: View) -> View:
    """The view with a colour that past epochs have."""
    return view if view.colour in frames.COLOURS else view._replace(colour="labels")


def _epoch(kept: list[int]) -> int:
    """The epoch in the link, or the newest; one that was not kept becomes the one before."""
    text = st.query_params.get("epoch", "")
    if not text.isdecimal():
        return kept[-1]
    return max((e for e in kept if e <= int(text)), default=kept[0])


def _curve(view: View, kept: list[int]) -> None:
    """The held-out ELBO, with the epochs that can be replayed, and the one that is shown."""
    lines = {line["epoch"]: line["held_out"] for line in runs.metrics(view.run.id)}
    # untrained weights score hundreds of nats lower and would flatten the rest
    drawn = [e for e in lines if e > 0 or len(lines) < 3]
    curve = {"held-out": (drawn, [lines[e]["elbo"] for e in drawn])}
    option = figures.curves(curve, x_title="epoch", y_title="ELBO (nats)")
    option["series"][0]["data"] = [
        {"value": [e, lines[e]["elbo"]], "symbol": "circle" if e in kept else "none"} for e in drawn
    ]
    option["series"][0] |= {"showSymbol": True, "symbolSize": 9}
    option["series"][0]["markLine"] = {
        "data": [{"xAxis": _epoch(kept)}],
        "symbol": "none",
        "silent": True,
        "label": {"show": False},
        "lineStyle": {"color": SHOWN, "width": 2},
    }
    option["legend"]["show"] = False
    st.subheader("The bound meanwhile")
    epoch = _epoch(kept)
    if epoch in lines:
        st.metric(
            f"Held-out ELBO after epoch {epoch} (nats)",
            f"{lines[epoch]['elbo']:.2f} ± {lines[epoch]['elbo_se']:.2f}".replace("-", "−"),
            help="Mean over held-out data, ± its standard error.",
        )
    st.echarts_chart(option, key="replay-curve", height=300, alt="Held-out ELBO by epoch, in nats")
    st.caption(
        "Held-out data. The dots are the epochs that were kept for the replay, the dashed line is "
        "the one shown. Untrained weights, epoch 0, score far lower and are left out here."
    )


def _gif(view: View, kept: list[int]) -> bytes:
    """The replay as a file."""
    run, lines = view.run, {line["epoch"]: line["held_out"] for line in runs.metrics(view.run.id)}
    shots = []
    own = [epoch for epoch in kept if epoch in runs.snapshots(run.id)]
    few = np.linspace(0, len(own) - 1, min(len(own), replay_gif.MOST)).round().astype(int)
    for epoch in np.array(own)[few].tolist():
        then = cache.snapshot(run.id, epoch, view.label)
        sheet = None
        if frames.has_grid(view, epoch):
            sheet = np.asarray(Image.open(io.BytesIO(then.grid)).convert("L"))
        words = f"epoch {epoch}"
        if epoch in lines:
            elbo, error = lines[epoch]["elbo"], lines[epoch]["elbo_se"]
            words += f", held-out ELBO {elbo:.1f} nats (standard error {error:.1f})"
        shots.append(replay_gif.Frame(view.where.project(then.loc), sheet, words))
    scene = replay_gif.Scene(
        run.id,
        places.plane_names(run, view.axes),
        cache.extent(run.id),
        GRID_RADIUS * GRID_NODES / (GRID_NODES - 1),  # pictures stand around their nodes
        then.labels,
        cache.label_names(run.id),
    )
    return replay_gif.replay_gif(scene, shots)
