"""The latent plane: one Streamlit component for every page that shows a latent space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from ui.canvas.bundle import bundle, read

if TYPE_CHECKING:
    from streamlit.components.v2.bidi_component import ComponentResult

#: In this order each module comes after those it imports; ``plane.js`` has the default export.
MODULES = (
    "view.js",
    "colour.js",
    "points.js",
    "dots.js",
    "picture.js",
    "load.js",
    "surface.js",
    "ink.js",
    "heat.js",
    "overlays.js",
    "scene.js",
    "camera.js",
    "layers.js",
    "racechart.js",
    "race.js",
    "handle.js",
    "marks.js",
    "legend.js",
    "shown.js",
    "gestures.js",
    "hands.js",
    "picks.js",
    "panel.js",
    "plane.js",
)

_component = st.components.v2.component(
    "latent_plane",
    html=read("plane.html"),
    css="\n".join(map(read, ("plane.css", "legend.css", "race.css"))),
    js=bundle(*MODULES),
)


def _ignore() -> None:
    """Do nothing: Streamlit returns a value only if it has a callback."""


def plane(key: str, *, data: dict[str, Any], height: int) -> ComponentResult:
    """Show a latent plane with its points, decoded manifold and decoded picture.

    Points, manifold and heat map travel by URL and are fetched once each; the browser keeps them,
    the view and what was switched on or off in the legend over reruns. Everything in ``data`` is
    sent again whenever any of it changes, so it holds small things only.

    Colours are any CSS colours; those of Okabe and Ito stay apart from one another and from the
    blue of the heat map with every kind of colour vision: #D55E00, #009E73, #E69F00, #CC79A7.

    Arguments:
        key: Names this plane on its page; the same key keeps the same view.
        data: What to show:

            - ``points``: None, or ``url``, ``mode`` ("label" or "value"), ``labels`` (names),
              ``title`` and ``range`` (lo, hi) of the values. The URL answers float32 columns
              x, y, sxx, sxy, syy, value, index, one after the other.
            - ``backdrop``: None, or ``url``, ``rows``, ``cols``, ``extent`` (x0, x1, y0, y1)
              and ``tile`` (h, w). The URL answers a PNG of rows × cols decoded pictures, the
              largest y first.
            - ``decode``: The URL that, with ``&p=a,b`` added, answers one picture as a PNG;
              "" if there is only the mix of the backdrop's pictures, None for no picture at all.
            - ``axes``: The two axis names.
            - ``view`` and ``view_key``: The view (x0, x1, y0, y1) to begin with, taken again
              only when the key changes.
            - ``picks``: Marked places, each with ``p`` and ``label``; the first is the current.
            - ``path``: None, or the points of a line to draw.
            - ``layers``: Whether ``points``, ``backdrop`` and ``heat`` are shown: False takes a
              layer away, with its switch. Where there is any of what follows, the legend has a
              switch for each layer; with a heat map the backdrop is off until it is switched on.

            These may be absent or None:

            - ``heat``: ``url``, ``extent`` (x0, x1, y0, y1) and ``title``. The URL answers an
              8-bit grey PNG of a density on a grid: 0 for nothing, 255 for the highest, the
              largest y first; its outermost pixels have their *centres* on the extent.
            - ``ellipses``: Gaussians, each with its mean ``p``, ``cov`` (xx, xy, yy), ``colour``,
              ``label`` (no two alike) and ``dash``; drawn at one and two standard deviations.
            - ``draws``: Samples as dots: ``points`` (x, y each), ``colour``, ``label``.
            - ``marks``: Places, each with ``p``, ``label`` and ``shape`` ("cross" or "ring").
            - ``race``: Gaussians that move while one plays or scrubs: ``key`` (another one begins
              at frame 0 again), ``top`` (log p(x)), ``cap`` (L[q*], or None), ``steps_per_frame``
              and ``tracks``: each with ``label`` (no two alike), ``colour``, ``frames`` of
              x, y, xx, xy, yy, and ``elbo``, one value a frame.
            - ``handle``: A Gaussian to drag, stretch and turn: ``p``, ``cov``, ``colour``,
              ``label`` and maybe ``key``. It stays where the hand left it until the page says
              something new; another ``key`` takes p and cov even if they are what they were.
        height: The height of the plane, in pixels; the panel beside it takes what it needs.

    Returns:
        ``pick``, for one run after a click or Enter: ``p`` (a, b), ``index`` (of the datum
        that was hit, whose mean p then is, or None) and ``shift``; ``q``, for one run when the
        handle was moved, on release and up to eight times a second before: ``p`` and ``cov``
        (positive definite, no scale below 1e-3); and ``view``, the last view panned or zoomed to,
        or None. While the handle moves, the next report waits up to 0.4 s for ``data`` to change,
        so a page that sends q back as its ``handle`` is asked as fast as it can answer.
    """
    return _component(
        key=key,
        data={**data, "height": height},
        on_pick_change=_ignore,
        on_q_change=_ignore,
        on_view_change=_ignore,
    )
