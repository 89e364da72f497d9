"""A page with one plane and the layers that its address names."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import streamlit as st

from ui.canvas import plane

TOP, CAP = -120.4, -122.1
START = {"p": [1.0, 1.0], "cov": [0.16, 0.0, 0.04], "colour": "#009E73", "label": "your q"}


def track(label: str, colour: str, start: list[float], depth: float) -> dict[str, Any]:
    """An imagined ascent to (0, 1), from a start that is so many nats below the best."""
    t = np.linspace(0, 1, 41)
    left = np.exp(-6 * t)
    frames = np.stack(
        [
            start[0] * left,
            1 + (start[1] - 1) * left,
            0.3 + 0.5 * left,
            0.1 * np.sin(5 * t),
            0.06 + 0.9 * left,
        ],
        axis=1,
    )
    elbo = CAP - depth * np.exp(-9 * t)
    return {"label": label, "colour": colour, "frames": frames.tolist(), "elbo": elbo.tolist()}


st.set_page_config(layout="wide")
asked = st.query_params
state = st.session_state
runs = state["runs"] = state.get("runs", 0) + 1
state.setdefault("picks", [])
state.setdefault("told", [])
wanted = asked.get("with", "heat,ellipses,draws,marks,race,handle").split(",")

left, middle, right = st.columns(3)
left.button("Rerun")
race_key = middle.text_input("Race key", "one")
reset = right.text_input("Handle key", "one")

rng = np.random.default_rng(0)
layers: dict[str, Any] = {
    "heat": {
        "url": f"/api/heat?fail={asked.get('heat_fails', '')}",
        "extent": [-4, 4, -4, 4],
        "title": "true posterior p(z | x)",
    },
    "ellipses": [
        {
            "p": [-1.5, -1.5],
            "cov": [0.49, 0.0, 0.09],
            "colour": "#D55E00",
            "label": "the encoder's q",
            "dash": False,
        },
        {
            "p": [0.2, 0.9],
            "cov": [0.25, -0.06, 0.06],
            "colour": "#CC79A7",
            "label": "best Gaussian q*",
            "dash": True,
        },
    ],
    "draws": {
        "points": (rng.normal(size=(300, 2)) * [0.2, 0.2] + [1.5, -1.4]).round(3).tolist(),
        "colour": "#E69F00",
        "label": "samples of a flow q",
    },
    "marks": [
        {"p": [0.0, 1.0], "label": "mode 1", "shape": "cross"},
        {"p": [1.5, -1.4], "label": "mode 2", "shape": "ring"},
    ],
    "race": {
        "key": race_key,
        "tracks": [
            track("from the encoder", "#D55E00", [-1.5, -1.5], 40),
            track("from the prior", "#E69F00", [0, 0], 900),
        ],
        "top": TOP,
        "cap": CAP,
        "steps_per_frame": 10,
    },
    "handle": {**START, **state.get("q", {}), "key": reset},
}
if reset != state.get("reset", "one"):
    layers["handle"] = {**START, "key": reset}
state["reset"] = reset

result = plane(
    "plane",
    data={
        "points": {
            "url": f"/api/points?n={asked.get('n', 2000)}",
            "mode": "label",
            "labels": list("0123456789"),
            "title": "digit",
            "range": [0, 9],
        }
        if asked.get("points", "1") == "1"
        else None,
        "backdrop": {
            "url": "/api/sprite",
            "xs": np.linspace(-4, 4, 41).tolist(),
            "ys": np.linspace(-4, 4, 41).tolist(),
            "tile": [28, 28],
        }
        if asked.get("backdrop", "1") == "1"
        else None,
        "decode": "/api/decode?epoch=1" if asked.get("decode", "1") == "1" else None,
        "axes": ["z1", "z2"],
        "view": [-4, 4, -4, 4],
        "view_key": "one",
        "picks": state["picks"],
        "paths": [],
        "layers": {"points": True, "backdrop": True},
        **{name: layers[name] for name in wanted if name in layers},
    },
    height=560,
)
if result.q:
    state["told"].append(result.q)
    state["q"] = result.q
    if asked.get("echo", "1") == "1":
        st.rerun()
if result.pick:
    state["picks"] = [{"p": result.pick["p"], "label": "A"}]
    st.rerun()

with st.container(key="report"):
    st.text(json.dumps({"runs": runs, "picks": state["picks"], "told": state["told"][-1:]}))
