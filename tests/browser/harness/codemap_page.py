"""A page with one code map; its address says how large, how deep, and whether beside another."""

from __future__ import annotations

import json
import time

import streamlit as st
from codemap_app import N, codes_of

from ui.canvas.codemap import code_map

TITLES = ("Input x", "Encoder map", "Quantised map", "Reconstruction", "Error")
CAPTIONS = (
    "28 × 28 pixels",
    "three main directions as red, green, blue",
    "each vector its nearest code",
    "by the encoder's own codes",
    None,
)

st.set_page_config(layout="wide")
asked = st.query_params
state = st.session_state
runs = state["runs"] = state.get("runs", 0) + 1
side = int(asked.get("side", 4))
levels = int(asked.get("levels", 1))
left, middle, right = st.columns(3)
left.button("Rerun")
datum = int(middle.text_input("Datum", "0"))
away = right.toggle("Put the map away")
of = f"run=none&index={datum}&levels={levels}&side={side}"
hues = [f"hsl({round(360 * code / N)} 55% {35 + 30 * (code % 3) / 2:.0f}%)" for code in range(N)]
edited = None
if not away:
    edited = code_map(
        "map",
        pictures=[
            {"title": title, "caption": caption, "url": f"/fake/picture?{of}&of={i}"}
            for i, (title, caption) in enumerate(zip(TITLES, CAPTIONS, strict=True))
        ],
        codes=codes_of(datum, levels, side),
        palette={"url": "/api/vq/palette?run=none", "tile": (8, 8), "n": N, "columns": 16},
        colours=[hues] * levels,
        decode=f"/api/vq/decode?{of}",
        distances=f"/api/vq/distances?{of}",
        second={
            "title": "Copy from datum 5",
            "pictures": [f"/fake/picture?run=none&index=5&levels={levels}&side={side}&of=0"],
            "codes": codes_of(5, levels, side),
        }
        if asked.get("second") == "1"
        else None,
    )
if asked.get("slow") == "1" and edited is not None:
    time.sleep(0.4)
report = {"runs": runs, "edited": None if edited is None else edited.ravel().tolist()}
with st.container(key="report"):
    st.text(json.dumps(report))
