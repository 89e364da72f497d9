"""A page with a replay in its plane; the weights of epoch 3 and of the newest were kept."""

from __future__ import annotations

import json

import streamlit as st

from ui.canvas import plane

st.set_page_config(layout="wide")
asked, state = st.query_params, st.session_state
state.setdefault("told", [])
state.setdefault("picks", [])
count = 5 + st.number_input("More epochs", 0, 3)
replayed = st.toggle("Replay", True)

SQUARE = {"xs": [-4.0, 4.0], "ys": [-4.0, 4.0], "tile": [28, 28]}


def frame(epoch: int) -> dict[str, object]:
    """One epoch; the first has no pictures."""
    exact = epoch == 3 or epoch == count - 1
    return {
        "label": f"epoch {epoch}",
        "points": f"/api/points?epoch={epoch}&fail={asked.get('fail', '')}",
        "backdrop": {"url": f"/api/sprite?epoch={epoch}", **SQUARE} if epoch else None,
        "decode": f"/api/decode?epoch={epoch}" if exact else "",
    }


result = plane(
    "plane",
    data={
        "points": {
            "url": f"/api/points?epoch={count - 1}",
            "mode": "label",
            "labels": list("0123456789"),
            "title": "digit",
            "range": [0, 9],
        },
        "backdrop": {"url": f"/api/sprite?epoch={count - 1}", **SQUARE},
        "decode": f"/api/decode?epoch={count - 1}",
        "axes": ["z1", "z2"],
        "view": [-4, 4, -4, 4],
        "view_key": "one",
        "picks": [],
        "layers": {"points": True, "backdrop": True},
        "replay": {
            "key": "one",
            "frames": [frame(epoch) for epoch in range(count)],
            "start": int(asked.get("start", 0)),
        }
        if replayed
        else None,
    },
    height=480,
)
if result.frame:
    state["told"].append(result.frame)
if result.pick:
    state["picks"].append(result.pick)
with st.container(key="report"):
    st.text(json.dumps({"told": state["told"], "picks": state["picks"]}))
