"""A page with a codebook in its plane; its address says how many codes, and in which case."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import streamlit as st
from codes_app import EPOCHS, codes

from ui.canvas import plane

st.set_page_config(layout="wide")
asked, state = st.query_params, st.session_state
state.setdefault("picks", [])
count, case = int(asked.get("codes", 24)), asked.get("case", "")
number = int(asked.get("n", 0))

SIDE = np.linspace(-4, 4, 41).tolist()
pictures = {"url": "/api/sprite", "xs": SIDE, "ys": SIDE, "tile": [28, 28]}
empty = {"url": "/api/blank", "xs": [-4.0, 4.0], "ys": [-4.0, 4.0], "tile": [28, 28]}
backdrop = pictures if asked.get("pictures") == "1" else empty


def codebook(epoch: int) -> dict[str, Any]:
    """The codes of an epoch, as the plane takes them; collapsed, all lie at one place."""
    places, usage = codes(count, epoch)
    if case == "collapsed":
        places, usage = np.full((count, 2), 0.5), np.eye(count)[0]
    return {"places": places.tolist(), "usage": usage.tolist()}


def url(epoch: int) -> str:
    """Where the points of an epoch are."""
    return f"/api/points?codes={count}&n={max(1, number)}&epoch={epoch}"


chosen = state["picks"][-1].get("code") if state["picks"] else None
shown: dict[str, Any] = {
    **codebook(EPOCHS - 1),
    "cells": case != "pca",
    "title": "Code vectors",
    "selected": chosen,
    "neighbours": [] if chosen is None else [(chosen + k) % count for k in (1, 2, 3)],
    "trails": None,
    "unit_note": "Measured on held-out digits.",
}
frames = [
    {
        "label": f"epoch {epoch}",
        "points": url(epoch),
        "backdrop": None if epoch == 0 else backdrop,
        "decode": "",
        "codes": codebook(epoch),
    }
    for epoch in range(EPOCHS)
]
result = plane(
    "plane",
    data={
        "points": {
            "url": url(EPOCHS - 1),
            "mode": "label",
            "labels": list("0123456789"),
            "title": "digit",
            "range": [0, 9],
        },
        "backdrop": backdrop,
        "decode": "/api/decode?epoch=1",
        "axes": ["z1", "z2"],
        "unit": "",
        "prior": False,
        "view": [-4, 4, -4, 4],
        "view_key": "one",
        "picks": [{"p": pick["p"], "label": ""} for pick in state["picks"][-1:]],
        "layers": {"points": number > 0, "backdrop": True},
        "codes": None if case == "none" else shown,
        "replay": {"key": "one", "frames": frames, "start": 1} if case == "replay" else None,
    },
    height=int(asked.get("height", 560)),
)
if result.pick:
    state["picks"].append(result.pick)
    st.rerun()
with st.container(key="report"):
    book = [codebook(epoch) for epoch in range(EPOCHS)]
    st.text(json.dumps({"picks": state["picks"], "codes": book if count < 50 else []}))
