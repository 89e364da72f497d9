"""All latent dimensions: a slider for each, and the pictures along each."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import numpy as np
import streamlit as st

from ui import places, traversals, widgets
from ui.canvas.sheet import sheet
from ui.canvas.sliders import Dimension, sliders
from ui.tools.view import View
from ui.traversals import FIRST, STEPS, Traits
from vae import runs


def layers(view: View) -> dict[str, Any]:
    """Nothing more than the places themselves."""
    return {}


def show(view: View, picked: Any) -> None:
    """The sliders, then the sheet; both choose A."""
    traits = traversals.traits(view.run.id)
    z = np.zeros(len(traits.rate)) if view.at is None else view.at
    _sliders(view, z, traits)
    _sheet(view, z, traits)


def _sliders(view: View, z: np.ndarray, traits: Traits) -> None:
    """A slider for each dimension; letting one go chooses A."""
    st.subheader("A slider for each dimension")
    n, used = len(z), int(traits.active.sum())
    total = "in all"
    if view.run.config.family != "diagonal":
        total = "one by one (the rate is higher: q does not factorise)"
    st.markdown(
        f"**{used} of {n}** dimensions are used: the encoder’s means vary along them, with a "
        "variance above 0.01 over the held-out data. They come in the order of what they carry, "
        f"{_rate(traits.rate.sum())} nats {total}; the blue bar is where 95 % of the means lie."
    )
    moved = sliders(
        "sliders",
        z=z,
        dimensions=[
            Dimension(f"z{d + 1}", _about(traits, d), traits.active[d], tuple(traits.within[:, d]))
            for d in range(n)
        ],
        order=traits.order,
        first=FIRST,
        reach=float(max(4, np.ceil(np.abs(z).max()))),
        decode=f"/api/decode?{urlencode(_asked(view))}",
    )
    if moved is not None and moved.shape == z.shape:
        places.set_place(view.run, moved)
        widgets.rerun_fragment()
    st.button(
        "Set all to 0",
        disabled=not z.any(),
        on_click=places.set_place,
        args=(view.run, np.zeros(n)),
    )
    widgets.look_for(
        "A slider that changes nothing: the model does not use this dimension, and its rate is "
        "about 0. Where the blue bar ends, so do the data; beyond it the decoder invents."
    )


def _sheet(view: View, z: np.ndarray, traits: Traits) -> None:
    """The pictures along each dimension; a click chooses one as A."""
    st.subheader("Along each dimension")
    pictures, words = st.columns([5, 3], gap="large")
    rows = len(z)
    if rows > FIRST:
        all_of_them = words.toggle(f"All {rows} dimensions", key="every", bind="query-params")
        rows = rows if all_of_them else FIRST
    order = traits.order[:rows]
    ask = {**_asked(view), "at": places.written(z), "rows": rows}
    with pictures:
        cell = sheet(
            "traversal",
            url=f"/api/traversal?{urlencode(ask)}",
            rows=rows,
            columns=len(STEPS),
            alt="Decoded pictures: one row a dimension, from −3 on the left to 3 on the right",
            chosen=st.session_state.get("traversed"),
            row_names=[f"z{d + 1}, {_rate(traits.rate[d])}" for d in order],
            column_names=[f"{v:g}".replace("-", "−") if v % 1 == 0 else "" for v in STEPS],
        )
    if cell:
        st.session_state["traversed"] = cell
        place = z.copy()
        place[order[cell[0]]] = STEPS[cell[1]]
        places.set_place(view.run, place)
        widgets.rerun_fragment()
    held = "at 0, for no place is chosen" if view.at is None else "where they are in A"
    with words:
        st.markdown(
            f"Each row moves one dimension from −3 to 3; all others stay {held}. Beside its name "
            "stands its rate in nats. Click a picture to choose its place as A: the rows then go "
            "through it."
        )
        widgets.look_for(
            "A row that does not change: the model does not use that dimension. A row that changes "
            "one thing only, such as slant or thickness: there the model has found it by itself."
        )
    widgets.explain(
        r"R_d = \frac{1}{N}\sum_n \tfrac{1}{2}\left(\mu_{nd}^2 + \sigma_{nd}^2 - 1 - "
        r"\log \sigma_{nd}^2\right)",
        "What a dimension carries on average over the held-out data. If q factorises, these sum up "
        "to the rate of the ELBO.",
        "Kingma & Welling 2014, appendix B; Burda et al. 2016 for active units; rows of pictures: "
        "Higgins et al. 2017",
    )


def _asked(view: View) -> dict[str, Any]:
    """What every picture of this tool is decoded by."""
    ask = {"run": view.run.id, "stamp": runs.stamp(view.run.id)}
    return ask if view.label is None else {**ask, "y": view.label}


def _about(traits: Traits, d: int) -> str:
    """What a slider says of its dimension."""
    return f"{_rate(traits.rate[d])} nats" + ("" if traits.active[d] else ", not used")


def _rate(nats: float) -> str:
    """A rate to the hundredth, which is never below zero: 1.93."""
    return f"{max(0.0, nats):.2f}"
