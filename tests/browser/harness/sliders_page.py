"""A page with three sliders, one of them behind a click; z2 is not used."""

from __future__ import annotations

import json
import time

import numpy as np
import streamlit as st

from ui.canvas.sliders import Dimension, sliders

state = st.session_state
runs = state["runs"] = state.get("runs", 0) + 1
slow = st.toggle("Answer slowly")
if st.button("Set z1 to 3"):
    state["z"] = [3.0, *state.get("z", [0.0] * 3)[1:]]
moved = sliders(
    "sliders",
    z=np.array(state.get("z", [0.0, 0.0, 0.123])),
    dimensions=[
        Dimension("z1", "2.00 nats", True, (-2.0, 2.0)),
        Dimension("z2", "0.00 nats, not used", False, (0.0, 0.0)),
        Dimension("z3", "1.00 nats", True, (-1.0, 1.0)),
    ],
    order=np.array([0, 2, 1]),
    first=2,
    reach=4.0,
    decode="/api/decode?run=none",
)
if moved is not None:
    if slow:
        time.sleep(0.5)
    state["z"] = moved.tolist()
    st.rerun()
with st.container(key="report"):
    st.code(json.dumps({"runs": runs, "z": state.get("z")}))
