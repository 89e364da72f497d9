"""A page with one pixel pad; its address says in which mode, and whether the page gives back."""

from __future__ import annotations

import json

import numpy as np
import streamlit as st

from ui.canvas.pad import pack, pad, unpack

SIDE = 28

st.set_page_config(layout="wide")
asked = st.query_params
state = st.session_state
runs = state["runs"] = state.get("runs", 0) + 1
mode = asked.get("mode", "erase")
left, middle, right = st.columns(3)
left.button("Rerun")
datum = middle.text_input("Datum", "0")
if right.button("See all"):
    state["seen"] = None

v, u = np.mgrid[:SIDE, :SIDE]
ring = 255 * np.exp(-(((np.hypot(u - 13.5 + int(datum), v - 13.5) - 8) / 1.8) ** 2))
blank = np.zeros(SIDE * SIDE, int)
given = state.get("seen")
drawn = unpack(state.get("drawn", ""), SIDE * SIDE)
if drawn is not None:
    blank = drawn * 255
made = pad(
    "pad",
    pixels=ring.ravel().astype(int) if mode == "erase" else blank,
    height=SIDE,
    width=SIDE,
    mode=mode,
    mask=given if given is None else unpack(given, SIDE * SIDE),
    alt="A ring",
)
if made.mask is not None and asked.get("echo") == "1":
    state["seen"] = pack(made.mask)
    st.rerun()
if made.pixels is not None and asked.get("echo") == "1":
    state["drawn"] = pack(made.pixels > 127)
    st.rerun()

mask = made.mask if made.mask is not None else (given and unpack(given, SIDE * SIDE))
report = {
    "runs": runs,
    "mask": None if mask is None else pack(mask),
    "drawn": state.get("drawn"),
    "pixels": None if made.pixels is None else made.pixels.tolist(),
}
with st.container(key="report"):
    st.text(json.dumps(report))
