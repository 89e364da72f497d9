"""The drawing board: draw with a mouse, a pen, a finger or the keys, and get a small picture."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import NamedTuple

import streamlit as st

from ui.canvas.bundle import bundle, read
from ui.serving import component

#: More than any drawing of 112 × 112 greys takes; a stranger may send anything.
LARGEST = 64 * 1024

_component = component(
    "sketch",
    html=read("sketch.html"),
    css=read("sketch.css"),
    js=bundle("colour.js", "strokes.js", "sketch.js"),
)


class Drawing(NamedTuple):
    """What the hand has drawn.

    Attributes:
        of: Which given picture it began with, see ``sketch``.
        at: When it was sent; each report has another.
        png: White on black, 112 × 112, as a PNG file; empty if nothing is drawn.
    """

    of: int
    at: int
    png: bytes


def drawn(key: str) -> Drawing | None:
    """What the browser reported last on this drawing board; None if it did not, or nonsense.

    It is there before the script runs, hence for what stands above the board, too, and for the
    ``on_change`` of ``sketch``.

    Arguments:
        key: Names the board on its page.
    """
    report = getattr(st.session_state.get(key), "drawing", None)
    try:
        text, of, at = str(report["png"]), int(report["of"]), int(report["at"])
        if len(text) > LARGEST:
            return None
        return Drawing(of, at, base64.b64decode(text, validate=True))
    except (TypeError, KeyError, ValueError, binascii.Error):
        return None


def sketch(
    key: str,
    *,
    picture: bytes = b"",
    of: int = 0,
    heard: int = 0,
    alt: str,
    on_change: Callable[[], None],
) -> None:
    """Shows a black square to draw on in white, with a pen of five widths, Undo and Clear.

    The drawing is reported at the end of each stroke, and up to four times a second while one is
    drawn; while the page has not said, by ``heard``, that it knows the last report, it waits, up
    to a second and a half. So a page that takes long is not asked faster than it can answer::

        def keep():
            state["mine"] = drawn("board")

        mine = state.get("mine") or Drawing(0, 0, b"")
        sketch("board", picture=mine.png, heard=mine.at, alt="…", on_change=keep)

    Arguments:
        key: Names this board on its page.
        picture: A PNG to begin with; it is taken when the board appears and when ``of`` changes.
        of: Another number has the board begin anew, with the picture.
        heard: The ``at`` of the last report that the page has dealt with.
        alt: What the board is for, for those who cannot see it.
        on_change: Called before the script runs, after a report; ask ``drawn`` there.
    """
    _component(
        key=key,
        data={
            "picture": base64.b64encode(picture).decode(),
            "of": of,
            "heard": heard,
            "alt": alt,
        },
        on_drawing_change=on_change,
    )
