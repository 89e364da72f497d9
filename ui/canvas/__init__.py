"""The latent plane: one Streamlit component for every page that shows a latent space."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ui.canvas.bundle import bundle, read
from ui.serving import component

if TYPE_CHECKING:
    from streamlit.components.v2.bidi_component import ComponentResult

#: In this order each module comes after those it imports; ``plane.js`` has the default export.
MODULES = (
    "view.js",
    "colour.js",
    "points.js",
    "stamps.js",
    "stamping.js",
    "gl.js",
    "dots.js",
    "picture.js",
    "load.js",
    "compare.js",
    "surface.js",
    "ink.js",
    "heat.js",
    "overlays.js",
    "cells.js",
    "codes.js",
    "codeink.js",
    "outlines.js",
    "tiles.js",
    "scene.js",
    "camera.js",
    "layers.js",
    "racechart.js",
    "race.js",
    "handle.js",
    "lasso.js",
    "marks.js",
    "legend.js",
    "ground.js",
    "shown.js",
    "drift.js",
    "gestures.js",
    "hands.js",
    "picks.js",
    "troubles.js",
    "panel.js",
    "hover.js",
    "chosen.js",
    "compose.js",
    "film.js",
    "replay.js",
    "plane.js",
)

_component = component(
    "latent_plane",
    html=read("plane.html"),
    css="\n".join(map(read, ("plane.css", "legend.css", "race.css", "replay.css", "lasso.css"))),
    js=bundle(*MODULES),
)


def _ignore() -> None:
    """Do nothing: Streamlit returns a value only if it has a callback."""


def plane(
    key: str, *, data: dict[str, Any], height: int, on_pick: Callable[[], None] = _ignore
) -> ComponentResult:
    """Show a latent plane with its points, decoded manifold and decoded picture.

    The image flows while pointer, finger or arrow keys move: the browser mixes the four decoded
    pictures around the place, and asks the server for nothing. A click, Enter, a key let go or a
    finger lifted decodes the place exactly; the panel can show how far the mix was off.

    Points, manifold, fields and heat map travel by URL and are fetched once each; the browser keeps
    them, the view and what was chosen in the legend over reruns. What fails or takes long is said
    in one line, and asked for again if it may have passed (status 502 to 504, or no answer).
    Everything in ``data`` is sent again whenever any of it changes, so it holds small things only.

    Colours are any CSS colours; those of Okabe and Ito stay apart from one another and from the
    blue of the heat map with every kind of colour vision: #D55E00, #009E73, #E69F00, #CC79A7.

    Arguments:
        key: Names this plane on its page; the same key keeps the same view.
        data: What to show. Any element of the page may let a ring walk in every plane of it by an
            event ``latent-walk`` on ``document``, as ``ui.canvas.flipbook`` does.

            - ``points``: None, or ``url``, ``mode`` ("label" or "value"), ``labels`` (names),
              ``title``, ``range`` (lo, hi) of the values, and maybe ``note``, a sentence under
              the legend. The URL answers what ``ui.packing.packed`` makes, up to 70,000 points.
            - ``backdrop``: None, or ``url``, ``xs``, ``ys`` (the coordinates of its columns and
              rows, both rising, evenly or not) and ``tile`` (h, w). The URL answers a PNG of
              len(ys) × len(xs) decoded pictures, the largest y first.
            - ``decode``: The URL that, with ``&p=a,b`` added, answers one picture as a PNG;
              "" if there is only the mix of the backdrop's pictures, None for no picture at all.
            - ``axes``: The two axis names.
            - ``view`` and ``view_key``: The view (x0, x1, y0, y1) to begin with, taken again
              only when the key changes.
            - ``picks``: Marked places, each with ``p`` and ``label``; the first is the current.
            - ``layers``: Whether ``points``, ``backdrop`` and ``heat`` are shown: False takes a
              layer away, with its switch in the legend.

            These may be absent or None:

            - ``fields``: Backdrops to choose instead of the decoded pictures: ``name`` (no two
              alike), ``title``, ``url``, ``extent``, ``range`` (lo, hi) of the colours or None,
              ``unit`` and ``note`` (a sentence). The URL answers a PNG as of ``heat``, in which 0
              to 255 are lo to hi, and names them in the header ``X-Range: lo,hi`` if ``range``
              does not; it is fetched when the field is first chosen.
            - ``density``: ``dim`` and ``rest`` of a plane through a latent space of so many
              dimensions, whose place nearest to 0 has the squared length rest: the caption then
              says log p(z), in nats.
            - ``prior``: False where the circles of the prior mean nothing, as by t-SNE.
            - ``unit``: What the axes count in, instead of standard deviations of the prior.
            - ``decoded``: What to say of a picture that was decoded where no datum was hit.
            - ``heat``: ``url``, ``extent`` (x0, x1, y0, y1) and ``title``. The URL answers an
              8-bit grey PNG of a density on a grid: 0 for nothing, 255 for the highest, the
              largest y first; its outermost pixels have their *centres* on the extent. It is the
              backdrop then: fields are not offered, and the decoded pictures wait to be asked for.
            - ``ellipses``: Gaussians, each with its mean ``p``, ``cov`` (xx, xy, yy), ``colour``,
              ``label`` (those that share one share a switch) and ``dash``; drawn at one and two
              standard deviations.
            - ``draws``: Samples as dots: ``points`` (x, y each), ``colour``, ``label``.
            - ``marks``: Places, each with ``p``, ``label`` and ``shape`` ("cross" or "ring").
            - ``paths``: Lines, each with ``label`` (no two alike), ``colour``, ``points`` (x, y
              each) and ``dash``.
            - ``polygons``: Closed outlines with a light fill: ``label``, ``colour``, ``points``.
            - ``lasso``: ``groups``, each with ``label`` and ``colour``: a toolbar chooses between
              moving the plane and drawing a loop for one of them, which is told once it closes.
            - ``codes``: A codebook: ``places`` (x, y each), ``usage`` (each code's share of the
              latents, in all 1; 0 is a dead code), ``cells`` (True if the places are all there is
              to the codes: their exact Voronoi cells are drawn, and a click in one means its code)
              and maybe ``title`` (instead of "Codes"), ``selected`` (a code with a ring, or None),
              ``neighbours`` (codes with a dashed ring), ``trails`` (for each code, the places on
              its way) and ``unit_note``, a sentence under their switches.
            - ``replay``: The plane over time, instead of ``points`` (whose legend stays),
              ``backdrop`` and ``decode``: ``key`` (another one begins anew), ``start`` and
              ``frames``, each with ``label``, ``points`` (a URL; the same data in the same order),
              ``backdrop`` (or None), ``decode`` (or "") and maybe ``codes``, the ``places`` and
              ``usage`` of the same codes in the same order; their trails then lead here through
              the frames before. Where no frame has codes, those above stand still.
            - ``race``: Gaussians that move while one plays or scrubs: ``key`` (another one begins
              at frame 0 again), ``top`` (log p(x)), ``cap`` (L[q*], or None), ``steps_per_frame``
              and ``tracks``: each with ``label`` (no two alike), ``colour``, ``frames`` of
              x, y, xx, xy, yy, and ``elbo``, one value a frame.
            - ``handle``: A Gaussian to drag, stretch and turn: ``p``, ``cov``, ``colour``,
              ``label`` and maybe ``key``. It stays where the hand left it until the page says
              something new; another ``key`` takes p and cov even if they are what they were.
        height: The height of the plane, in pixels; the panel beside it takes what it needs.
        on_pick: Called before the page runs again with a pick, which ``st.session_state[key]`` has.

    Returns:
        ``pick``, for one run after a click, a tap, Enter or an arrow key let go: ``p`` (a, b),
        ``index`` (of the datum that was hit, whose mean p then is, or None; arrow keys hit none)
        and ``shift`` (the second place is meant), and with ``codes`` also ``code``: the code whose
        mark was hit, else the one in whose cell p lies, else None; what is switched off in the
        legend is not hit, nor are marks by arrow keys. ``q``, for one run when the handle was
        moved, on release and up to eight times a second before: ``p`` and ``cov`` (positive
        definite, no scale below 1e-3); and ``view``, the last view panned or zoomed to, or None.
        While the handle moves, the next report waits up to 0.4 s for ``data`` to change, so a page
        that sends q back as its ``handle`` is asked as fast as it can answer.
        ``lasso``, for one run after a loop was closed: ``group``, counted from 0, and ``points``,
        up to 200 corners (x, y each). ``frame``, for one run after the replay came to rest: its
        label.
    """
    return _component(
        key=key,
        data={**data, "height": height},
        on_pick_change=on_pick,
        on_q_change=_ignore,
        on_view_change=_ignore,
        on_lasso_change=_ignore,
        on_frame_change=_ignore,
    )
