"""The latent plane: one Streamlit component for every page that shows a latent space.

The sources are ordinary ES modules, one idea a file, and there is no build step. Streamlit
takes a component's JavaScript as one string, so ``_bundle`` joins them in the order of
``_MODULES``: it drops the lines that import one module from another and the word ``export``
before all but the default export. Hence two rules for these files: an import is one line, and
a name at the top level is used once in all of them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

if TYPE_CHECKING:
    from streamlit.components.v2.bidi_component import ComponentResult

_HERE = Path(__file__).parent

#: In this order each module comes after those it imports; ``plane.js`` has the default export.
_MODULES = (
    "view.js",
    "colour.js",
    "points.js",
    "dots.js",
    "picture.js",
    "load.js",
    "scene.js",
    "camera.js",
    "layers.js",
    "marks.js",
    "legend.js",
    "gestures.js",
    "picks.js",
    "panel.js",
    "plane.js",
)


def _bundle() -> str:
    """Join the modules into the one string that Streamlit wants."""
    source = "\n".join((_HERE / name).read_text(encoding="utf-8") for name in _MODULES)
    source = re.sub(r"^import .*\n", "", source, flags=re.MULTILINE)
    return re.sub(r"^export (?!default)", "", source, flags=re.MULTILINE)


def _read(suffix: str) -> str:
    """Read ``plane.<suffix>``."""
    return (_HERE / f"plane.{suffix}").read_text(encoding="utf-8")


_component = st.components.v2.component(
    "latent_plane", html=_read("html"), css=_read("css"), js=_bundle()
)


def _ignore() -> None:
    """Do nothing: Streamlit returns a value only if it has a callback."""


def plane(key: str, *, data: dict[str, Any], height: int) -> ComponentResult:
    """Show a latent plane with its points, decoded manifold and decoded picture.

    Points and manifold travel by URL and are fetched once each; the browser keeps them and the
    view over reruns. Everything in ``data`` is sent again whenever any of it changes, so it
    holds small things only.

    Arguments:
        key: Names this plane on its page; the same key keeps the same view.
        data: What to show:

            - ``points``: None, or ``url``, ``mode`` ("label" or "value"), ``labels`` (names),
              ``title`` and ``range`` (lo, hi) of the values. The URL answers float32 columns
              x, y, sxx, sxy, syy, value, index, one after the other.
            - ``backdrop``: None, or ``url``, ``rows``, ``cols``, ``extent`` (x0, x1, y0, y1)
              and ``tile`` (h, w). The URL answers a PNG of rows × cols decoded pictures, the
              largest y first.
            - ``decode``: The URL that, with ``&p=a,b`` added, answers one picture as a PNG.
            - ``axes``: The two axis names.
            - ``view`` and ``view_key``: The view (x0, x1, y0, y1) to begin with, taken again
              only when the key changes.
            - ``picks``: Marked places, each with ``p`` and ``label``; the first is the current.
            - ``path``: None, or the points of a line to draw.
            - ``layers``: Whether ``points`` and ``backdrop`` are shown.
        height: The height of the plane, in pixels; the panel beside it takes what it needs.

    Returns:
        ``pick``, for one run after a click or Enter: ``p`` (a, b), ``index`` (of the datum
        that was hit, whose mean p then is, or None) and ``shift``; and ``view``, the last view
        panned or zoomed to, or None.
    """
    return _component(
        key=key,
        data={**data, "height": height},
        on_pick_change=_ignore,
        on_view_change=_ignore,
    )
