"""Which x is looked at on the Inference page: a datum, what is left of it, or a drawing."""

from __future__ import annotations

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ui import posteriors, widgets
from ui.canvas.pad import pack, pad, unpack
from ui.posteriors import Subject
from vae.runs import Run


def ask(run: Run, datum: Subject, look: str) -> Subject | None:
    """The datum; with a pad to rub out some of it, or to draw; nothing before the first stroke."""
    if look == "erase":
        return _rubbed(run, datum)
    return _drawn(run, datum) if look == "draw" else datum


def beside() -> DeltaGenerator:
    """The room beside the pad."""
    return st.session_state["beside-the-pad"]


def _rubbed(run: Run, datum: Subject) -> Subject:
    """A datum with a pad on which to rub out pixels; the URL keeps which are seen."""
    height, width = run.config.shape[1:]
    seen = unpack(st.query_params.get("seen", ""), height * width)
    left, right = st.columns([2, 3])
    st.session_state["beside-the-pad"] = right
    with left:
        made = pad(
            "eraser",
            pixels=posteriors.picture(datum),
            height=height,
            width=width,
            mode="erase",
            mask=seen,
            alt="The image, with the pixels that were rubbed out hatched",
        )
    right.markdown(
        "**Rub out pixels.** What you rub out is not seen any more: it drops out of the "
        r"likelihood, $p(x_{\text{seen}} \mid z) = \prod_{i\ \text{seen}} p(x_i \mid z)$, and the "
        "posterior below is that of what is left. Rub out a half, and see it spread; where "
        "what is left fits two digits, it splits (not every half does: try others). The encoder "
        "never learned to leave out pixels: its q is given black ones instead."
    )
    if made.mask is not None:
        seen = made.mask
        st.query_params["seen"] = pack(seen)
        widgets.rerun_fragment()
    if seen is None or seen.all():
        return datum
    return datum._replace(observed=pack(seen))


def _drawn(run: Run, datum: Subject) -> Subject | None:
    """A drawing of one's own, black and white; the URL keeps it."""
    _, height, width = run.config.shape
    drawing = unpack(st.query_params.get("drawing", ""), height * width)
    left, right = st.columns([2, 3])
    st.session_state["beside-the-pad"] = right
    with left:
        made = pad(
            "drawing",
            pixels=np.zeros(height * width) if drawing is None else drawing * 255,
            height=height,
            width=width,
            mode="draw",
            alt="A black square to draw on in white",
        )
    right.markdown(
        "**Draw with the mouse or a finger.** Your drawing is a new x that the model has never "
        "seen; its pixels become black or white as those of the data. Where would the model say "
        "that it came from? Draw something that is no digit, too: the posterior is still there, "
        "and log p(x) says how unlikely the model finds it."
    )
    if made.pixels is not None:
        st.query_params["drawing"] = pack(made.pixels > 127)
        widgets.rerun_fragment()
    if drawing is None or not drawing.any():
        right.info("Draw something: its posterior appears below.")
        return None
    return datum._replace(source=f"drawn:{pack(drawing)}")
