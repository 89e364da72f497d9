"""A page with a plane and a flipbook; picture i of it is grey i, and lies at x = i / 2 − 2."""

from __future__ import annotations

import json

import numpy as np
import streamlit as st

from ui.canvas import plane
from ui.canvas.flipbook import flipbook, strip

GROUPS = [{"label": "group 1", "colour": "#009E73"}, {"label": "group 2", "colour": "#CC79A7"}]

st.set_page_config(layout="wide")
asked, state = st.query_params, st.session_state
runs = state["runs"] = state.get("runs", 0) + 1
state.setdefault("loops", [])
state.setdefault("picks", [])
side = np.linspace(-4, 4, 41).tolist()
result = plane(
    "plane",
    data={
        "points": None,
        "backdrop": {"url": "/api/sprite", "xs": side, "ys": side, "tile": [28, 28]},
        "decode": "/api/decode?epoch=1",
        "axes": ["z1", "z2"],
        "view": [-4, 4, -4, 4],
        "view_key": "one",
        "picks": state["picks"],
        "layers": {"points": True, "backdrop": asked.get("backdrop") == "1"},
        "paths": [
            {"label": "up", "colour": "#D55E00", "points": [[-3, -3], [-3, 3]], "dash": False},
            {"label": "over", "colour": "#E69F00", "points": [[-3, 3], [3, 3]], "dash": True},
        ],
        "polygons": [{**GROUPS[loop["group"]], **loop} for loop in state["loops"]],
        "lasso": {"groups": GROUPS},
    },
    height=500,
)
if result.lasso:
    kept = [loop for loop in state["loops"] if loop["group"] != result.lasso["group"]]
    state["loops"] = [*kept, result.lasso]
    st.rerun()
if result.pick:
    state["picks"] = [{"p": result.pick["p"], "label": "A"}]
    st.rerun()

n = 9
if st.toggle("Flipbook", value=True):
    pictures = np.arange(n, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 6), np.uint8) * 20
    flipbook(
        "book",
        url="/api/nothing" if asked.get("fail") == "1" else strip(pictures),
        n=n,
        tile=pictures.shape[1:],
        places=[[i / 2 - 2, 1.0] for i in range(n)],
        captions=[f"picture {i}" for i in range(n)],
        alt="Nine greys",
        start=int(asked.get("start", 0)),
    )

with st.container(key="report"):
    st.text(
        json.dumps(
            {"runs": runs, "loops": state["loops"], "picks": state["picks"], "view": result.view}
        )
    )
