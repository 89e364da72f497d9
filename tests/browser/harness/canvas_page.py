"""A page with one plane; its address says what is shown and what fails."""

from __future__ import annotations

import json

import streamlit as st
from canvas_app import nodes

from ui.canvas import plane

st.set_page_config(layout="wide")
asked = st.query_params
state = st.session_state
state.setdefault("picks", [])
state.setdefault("reported", [])

runs = state["runs"] = state.get("runs", 0) + 1
left, middle, right = st.columns(3)
left.button("Rerun")
view_key = middle.text_input("View key", "one")
epoch = right.text_input("Epoch", "1")

mode = asked.get("mode", "label")
labels = int(asked.get("labels", 10))
value = mode == "value"
bent = asked.get("bent") == "1"
names = "0123456789" if labels == 10 else "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
result = plane(
    "plane",
    data={
        "points": {
            "url": f"/api/points?mode={mode}&labels={labels}&n={asked.get('n', 10000)}",
            "mode": mode,
            "labels": [] if value else list(names),
            "title": "ELBO (nats)" if value else "digit",
            "range": [-190, -140],
        },
        "backdrop": {
            "url": f"/api/sprite?bent={int(bent)}&fail={asked.get('sprite_fails', '')}",
            "xs": nodes(bent).tolist(),
            "ys": nodes(bent).tolist(),
            "tile": [28, 28],
        },
        "decode": f"/api/decode?epoch={epoch}&fail={asked.get('decode_fails', '')}"
        f"&slow={asked.get('slow', '')}",
        "density": {"dim": 2, "rest": 0.0},
        "fields": [
            {
                "name": of,
                "title": title,
                "url": f"/api/field?of={of}&fail={asked.get('field_fails', '')}",
                "extent": [-4, 4, -4, 4],
                "range": limits,
                "unit": "nats",
                "note": f"The {title} rises {of}.",
            }
            for of, title, limits in (
                ("across", "log-magnification", None),  # its range comes with the answer
                ("upwards", "aggregate posterior", [0.0, 2.0]),
            )
            if asked.get("fields")
        ],
        "axes": ["z1", "z2"],
        "view": [-4, 4, -4, 4],
        "view_key": view_key,
        "picks": state["picks"],
        "paths": [
            {
                "label": "straight",
                "colour": "#D55E00",
                "points": [pick["p"] for pick in state["picks"]],
                "dash": False,
            }
        ]
        if len(state["picks"]) == 2
        else [],
        "layers": {"points": True, "backdrop": asked.get("backdrop", "1") == "1"},
    },
    height=int(asked.get("height", 560)),
)
if result.pick:
    state["reported"].append(result.pick)
    place = {"p": result.pick["p"], "label": "B" if result.pick["shift"] else "A"}
    if result.pick["shift"] and state["picks"]:
        state["picks"] = [state["picks"][0], place]
    else:
        state["picks"] = [place]
    st.rerun()

report = {"runs": runs, "picks": state["reported"], "view": result.view}
with st.container(key="report"):
    st.text(json.dumps(report))
