"""The whole plane decoded: a sheet one can click, and a poster for the printer."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import urlencode

import numpy as np
import streamlit as st

from ui import cache, places, posters, prints, widgets
from ui.canvas.sheet import sheet
from ui.posters import Layout
from ui.prints import Ground
from ui.tools.view import View
from vae import runs


def layers(view: View) -> dict[str, Any]:
    """Nothing more."""
    return {}


def show(view: View, picked: Any) -> None:
    """The sheet, how it is laid out, and its print."""
    st.subheader("The plane decoded")
    if view.axes == "tsne":
        st.info("A t-SNE picture has no coordinates to decode: choose two axes, or PCA.")
        return
    pictures, controls = st.columns([5, 3], gap="large")
    with controls:
        layout = _layout(view)
        paper, ground = _paper()
    with pictures:
        _preview(view, layout, ground)
    with controls:
        _print(view, layout, paper, ground)
        widgets.look_for(
            "Click an image to choose its place. Spacing by z shows a rectangle of the plane; by "
            "quantile every image stands for the same share of the prior in this plane "
            "(Kingma & Welling 2014, figure 4)."
        )


def _layout(view: View) -> Layout:
    """Asks how many pictures, and how they are spaced."""
    first, second = st.columns(2)
    flat = view.run.config.latent_dim == 1
    rows = first.number_input(
        "Rows", 1, posters.MOST, 1 if flat else 15, key="rows", bind="query-params"
    )
    columns = second.number_input(
        "Columns", 1, posters.MOST, 15, key="columns", bind="query-params"
    )
    spacing = st.segmented_control(
        "Spacing", ["z", "quantile"], default="z", required=True, key="spacing", bind="query-params"
    )
    radius = st.slider(
        "The longer side ends at ± (standard deviations of the prior)",
        1.0,
        6.0,
        cache.RADIUS,
        0.5,
        key="radius",
        bind="query-params",
        disabled=spacing == "quantile",
    )
    return Layout(int(rows), int(columns), spacing, float(radius))


def _paper() -> tuple[str, Ground]:
    """Asks for paper and ground."""
    paper = st.segmented_control(
        "Paper", list(prints.PAPERS), default="A3", required=True, key="paper", bind="query-params"
    )
    ground = st.segmented_control(
        "Ground",
        ["light", "dark"],
        default="dark",
        required=True,
        key="ground",
        bind="query-params",
        help="Light: black ink on white paper. Dark: bright on black, as on the screen.",
    )
    return paper, ground


def _preview(view: View, layout: Layout, ground: Ground) -> None:
    """The sheet; a click chooses the place of a picture."""
    x, y = layout.nodes()
    chosen = None if view.at is None else _cell(view.where.project(view.at), x, y)
    cell = sheet(
        "sheet",
        url=_url(view, layout, ground),
        rows=layout.rows,
        columns=layout.columns,
        alt="Decoded images on a grid of the plane; the arrow keys move from one to the next",
        chosen=chosen,
    )
    if cell:
        places.choose(view.run, view.where, [x[cell[1]], y[layout.rows - 1 - cell[0]]])
        widgets.rerun_fragment()


def _cell(p: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[int, int] | None:
    """Row and column of the picture at a place, if one stands just there."""
    column, row = int(np.abs(x - p[0]).argmin()), int(np.abs(y - p[1]).argmin())
    if max(abs(x[column] - p[0]), abs(y[row] - p[1])) > 2e-3:  # links keep three decimals
        return None
    return len(y) - 1 - row, column


def _url(view: View, layout: Layout, ground: Ground) -> str:
    """Where the decoded sheet is."""
    run = view.run
    ask = {"run": run.id, "stamp": runs.stamp(run.id), "axes": view.axes, **layout._asdict()}
    if view.label is not None:
        ask["y"] = view.label
    if run.config.latent_dim > 2:
        ask["at"] = places.written(view.where.origin)
    return f"/api/poster?{urlencode({**ask, 'ground': ground})}"


def _print(view: View, layout: Layout, paper: str, ground: Ground) -> None:
    """The button that makes a poster when it is pressed."""
    width, height = prints.size(paper, layout.rows, layout.columns)
    st.download_button(
        "Download the poster (PNG)",
        partial(_poster, view, layout, paper, ground),
        f"{view.run.id}-{layout.columns}x{layout.rows}-{paper}.png",
        "image/png",
        on_click="ignore",
        icon=":material/print:",
        help=f"{width:,} × {height:,} pixels: {paper} at {prints.DPI} dots an inch. It is made "
        "when you press the button.",
    )


def _poster(view: View, layout: Layout, paper: str, ground: Ground) -> bytes:
    """The poster as a file."""
    at = view.where.origin if view.run.config.latent_dim > 2 else None
    pictures = posters.pictures(view.run.id, view.axes, at, view.label, layout)
    words = [view.run.id, f"epoch {view.run.epoch}"]
    if view.label is not None:
        words.append(f"told {cache.label_names(view.run.id)[view.label]}")
    words.append(layout.words(places.plane_names(view.run, view.axes)))
    return prints.poster(pictures, paper=paper, ground=ground, caption=" - ".join(words))
