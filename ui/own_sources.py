"""Where a picture of one's own comes from: drawn, uploaded, taken, or picked from the data."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import streamlit as st
from PIL import Image

from ui import cache, inference_cache, own_cache, widgets
from ui.canvas.sketch import Drawing, drawn, sketch
from ui.tools.view import View
from vae import latent, pictures
from vae.pictures import PictureError
from vae.preparation import PREPARATIONS

SOURCES = {"draw": "Draw", "upload": "Upload", "camera": "Camera", "data": "From the data"}
#: What the upload's own window offers; what counts is what stands in the file.
ENDINGS = ["png", "jpg", "jpeg", "webp", "gif", "bmp"]
ANY = "any"
#: What to draw, so that the model has seen its like.
WANTED = {
    "shapes": "a filled square, triangle, bar or heart, about a third of the board wide",
    "fashion-mnist": "a piece of clothing, filled, as large as the board",
    "kmnist": "a hiragana, as large as the board",
    "emnist-letters": "a letter, as large as the board",
}


class Mine(NamedTuple):
    """A picture as the model sees it (float32 bytes), what the plane calls it, how it became what
    it is, and the greys (uint8 bytes) that its pixels were drawn from; none if they stay."""

    x: bytes
    name: str
    made: str
    grey: bytes


def source(view: View) -> str:
    """Where the picture comes from, as the link says."""
    if len(view.run.config.shape) == 1:
        return "data"
    asked = st.query_params.get("picture", "")
    return asked if asked in SOURCES else "draw"


def current(view: View) -> Mine | None:
    """The picture, if there is one; known before anything is drawn."""
    if source(view) == "data":
        index = _index(view)
        x = own_cache.example(view.run.id, view.split, index)
        stored = own_cache.stored(view.run.id, view.split, index)
        made = "It is a datum, as the model sees it."
        return Mine(x, f"datum {index}", made, stored if _is_drawn(view) else b"")
    png = _kept(source(view))
    grey = own_cache.prepared(view.run.id, png) if png else None
    if grey is None:
        return None
    x = own_cache.presented(view.run.id, grey)
    made = f"{_prepared(view)} {_binarised(view)}"
    return Mine(x, "yours", made, grey.tobytes() if _is_drawn(view) else b"")


def hint(view: View) -> str:
    """What to do while there is no picture."""
    if source(view) != "draw":
        wanted = "Bring a picture"
    else:
        wanted = f"Draw {WANTED.get(view.run.config.dataset, 'a digit, as large as the board')}"
    return (
        f"{wanted}: its place appears in the plane below, with an ellipse for what the encoder is "
        "not sure of."
    )


def choose_source(view: View) -> None:
    """Asks where the picture is to come from."""
    if len(view.run.config.shape) == 1:
        st.markdown(
            "The data of this run are points in the plane, so there is nothing to draw: click a "
            "dot in the plane below, or choose one here."
        )
        return
    st.session_state["own-source"] = source(view)
    st.segmented_control(
        "Your picture",
        list(SOURCES),
        required=True,
        key="own-source",
        format_func=SOURCES.get,
        on_change=lambda: _go_to(st.session_state["own-source"]),
    )


def ask(view: View) -> None:
    """Asks for a picture; what is wrong with one is said here."""
    kind = source(view)
    {"draw": _drawn, "upload": _uploaded, "camera": _taken, "data": _from_the_data}[kind](view)
    if sentence := st.session_state.get("own-trouble", {}).get(kind):
        st.warning(sentence)
    if kind != "data" and _kept(kind) and current(view) is None:
        st.warning(
            "There is nothing to be seen in this picture: what is drawn must be clearly darker or "
            "lighter than what is around it, and have a margin."
        )


def _drawn(view: View) -> None:
    """A board to draw on."""
    mine = _drawing()
    sketch(
        "own-board",
        picture=mine.png,
        of=mine.of,
        heard=mine.at,
        alt="A black square to draw on in white",
        on_change=_keep_drawing,
    )


def _drawing() -> Drawing:
    """What was drawn last, even if the board was away since."""
    return st.session_state.get("own-drawing") or Drawing(0, 0, b"")


def _keep_drawing() -> None:
    """Keeps what was drawn, if it is a picture, and of what the page gave last."""
    mine = drawn("own-board")
    if mine is None or mine.of != _drawing().of:
        return
    try:
        if mine.png:
            pictures.read(mine.png)
    except PictureError:
        return
    st.session_state["own-drawing"] = mine


def _uploaded(view: View) -> None:
    """A file."""
    st.file_uploader(
        "A photo, scan or screenshot of one thing, dark on light or light on dark",
        type=ENDINGS,
        max_upload_size=pictures.MAX_BYTES // 2**20,
        key="own-upload",
        on_change=_keep_file,
        args=("upload",),
    )
    _what_was_brought(view)


def _taken(view: View) -> None:
    """A photo."""
    st.camera_input(
        "Draw it with a thick pen on white paper, and fill the picture with it",
        key="own-camera",
        on_change=_keep_file,
        args=("camera",),
    )
    _what_was_brought(view)


def _keep_file(kind: str) -> None:
    """Keeps a file as a grey picture; one that cannot be read is said, and the last one stays."""
    kept = st.session_state.setdefault("own-pictures", {})
    trouble = st.session_state.setdefault("own-trouble", {})
    trouble.pop(kind, None)
    file = st.session_state[f"own-{kind}"]
    if file is None:
        kept.pop(kind, None)
        return
    try:
        kept[kind] = latent.png(pictures.read(file.getvalue()))
    except PictureError as error:
        trouble[kind] = str(error)


def _kept(kind: str) -> bytes:
    """The picture of a source, as a PNG; empty if there is none."""
    return (
        _drawing().png
        if kind == "draw"
        else st.session_state.get("own-pictures", {}).get(kind, b"")
    )


def _what_was_brought(view: View) -> None:
    """The picture itself, which outlives the widget that brought it."""
    kind = source(view)
    if not (png := _kept(kind)):
        return
    st.image(png, width=200, caption="Your picture, in grey")
    grey = own_cache.prepared(view.run.id, png)
    with st.container(horizontal=True):
        if grey is not None:
            st.button("Draw on it", on_click=_draw_on, args=(grey,))
        if st.session_state.get(f"own-{kind}") is None:
            st.button("Forget it", on_click=lambda: st.session_state["own-pictures"].pop(kind))


def _from_the_data(view: View) -> None:
    """A datum by its number, by its label, or any."""
    run, names = view.run, cache.label_names(view.run.id)
    labels = own_cache.labels(run.id, view.split)
    st.session_state["own-example"] = _index(view)
    label = st.selectbox(
        "Label", [ANY, *names], key="own-label", on_change=_surprise, args=(labels, names)
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        index = st.number_input(
            "Datum",
            0,
            len(labels) - 1,
            key="own-example",
            on_change=lambda: _choose(st.session_state["own-example"]),
            help=f"Its number in the {widgets.SPLITS[view.split]} data. A click on a dot in the "
            "plane chooses one too.",
        )
        st.button(
            "Surprise me",
            icon=":material/casino:",
            on_click=_surprise,
            args=(labels, names),
            help="Any datum" + ("" if label == ANY else f" with the label {label}"),
        )
        if len(run.config.shape) == 3:
            (grey,) = cache.thumbnails(run.id, view.split, [index])
            st.button("Draw on it", on_click=_draw_on, args=(grey,))
    st.caption(f"Its label is **{names[labels[index]]}**.")


def _index(view: View) -> int:
    """Which datum, as the link says; a click on a dot of the plane chooses one too."""
    state, most = st.session_state, inference_cache.size(view.run.id, view.split) - 1
    clicked = st.query_params.get("datum")
    fresh = "own-clicked" in state or "example" not in st.query_params
    if clicked is not None and clicked != state.get("own-clicked") and fresh:
        st.query_params["example"] = clicked
    state["own-clicked"] = clicked
    asked = st.query_params.get("example", "")
    return min(int(asked), most) if asked.isdecimal() and len(asked) < 9 else 0


def _choose(index: int) -> None:
    """Makes a datum the picture."""
    st.query_params["example"] = str(index)


def _surprise(labels: np.ndarray, names: tuple[str, ...]) -> None:
    """Any datum, of the label that is asked for."""
    label = st.session_state["own-label"]
    among = np.arange(len(labels)) if label == ANY else np.flatnonzero(labels == names.index(label))
    if len(among):
        _choose(int(np.random.default_rng().choice(among)))


def _draw_on(grey: np.ndarray) -> None:
    """Puts a picture (H, W) on the board, and goes there."""
    board = Image.fromarray(grey).resize((112, 112), Image.Resampling.BICUBIC)
    st.session_state["own-drawing"] = Drawing(_drawing().of + 1, 0, latent.png(np.asarray(board)))
    _go_to("draw")


def _go_to(kind: str) -> None:
    """Takes the picture from another source."""
    st.query_params["picture"] = kind


def _prepared(view: View) -> str:
    """How a picture was prepared, for people."""
    return f"It was prepared {PREPARATIONS[view.run.config.dataset].said}."


def _is_drawn(view: View) -> bool:
    """Whether the pixels of a run's data are drawn to black or white at random."""
    return view.run.config.binarisation != "none"


def _binarised(view: View) -> str:
    """What became of its greys, for people."""
    if not _is_drawn(view):
        return "Its greys stay, for this run learns from grey pixels."
    return (
        "Its greys were then drawn to black or white, white with probability grey/255, as all data "
        "of this run are; the same picture always gets the same draw."
    )
