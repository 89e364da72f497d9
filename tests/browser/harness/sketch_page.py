"""A page with one drawing board, which keeps what was drawn even while the board is away."""

from __future__ import annotations

import base64
import json

import streamlit as st

from ui.canvas.sketch import Drawing, drawn, sketch

state = st.session_state
runs = state["runs"] = state.get("runs", 0) + 1


def keep() -> None:
    """Keep what was drawn."""
    state["mine"] = drawn("board")


def anew() -> None:
    """Begin again, with the picture of a bar."""
    import io

    from PIL import Image

    file = io.BytesIO()
    bar = Image.new("L", (112, 112))
    bar.paste(255, (20, 50, 92, 62))
    bar.save(file, "PNG")
    state["of"] = state.get("of", 0) + 1
    state["mine"] = Drawing(state["of"], 0, file.getvalue())


away = st.toggle("Put the board away")
st.button("Rerun")
st.button("Begin with a bar", on_click=anew)
mine = state.get("mine") or Drawing(0, 0, b"")
if not away:
    sketch(
        "board",
        picture=mine.png,
        of=state.get("of", 0),
        heard=mine.at,
        alt="A board to draw on",
        on_change=keep,
    )
report = {"runs": runs, "png": base64.b64encode(mine.png).decode()}
with st.container(key="report"):
    st.text(json.dumps(report))
