"""The code map of one image: see which code stands in which cell, and put others there."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st

from ui.canvas.bundle import bundle, read
from ui.serving import component

#: In this order each module comes after those it imports; ``codemap.js`` has the default export.
MODULES = (
    "view.js",
    "colour.js",
    "load.js",
    "picture.js",
    "troubles.js",
    "codemaphistory.js",
    "codemaplevels.js",
    "codemapgrid.js",
    "codemapregion.js",
    "codemapsecond.js",
    "codemappatch.js",
    "codemapassets.js",
    "codemapbars.js",
    "codemapnear.js",
    "codemapchooser.js",
    "codemapdecode.js",
    "codemappictures.js",
    "codemapnumbers.js",
    "codemap.js",
)

#: What the pictures are, in this order.
PICTURES = ("input", "encoder map", "quantised map", "reconstruction", "error")

_component = component(
    "code_map",
    html=read("codemap.html"),
    css=read("codemap.css") + read("codemappanel.css"),
    js=bundle(*MODULES),
)


def code_map(
    key: str,
    *,
    pictures: Sequence[Mapping[str, str | None]],
    codes: Sequence[Any] | np.ndarray,
    palette: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    colours: Sequence[Sequence[str]],
    decode: str,
    distances: str,
    second: Mapping[str, Any] | None = None,
    names: Sequence[Sequence[str]] | None = None,
    height: int = 420,
) -> np.ndarray | None:
    r"""Shows the way of one image through a VQ-VAE, and lets a hand change the codes of its map.

    Input → encoder map → code map → quantised map and reconstruction by the encoder's own codes,
    and beneath them the picture decoded from the codes as they are now, and its error. Hovering a
    cell, or walking there with the arrow keys, shows how far the encoder's vector is from *all*
    codes; a click or Enter opens the codes to choose from; each edit is decoded at once, without a
    rerun, and its bound is shown with the change against the encoder's own choice,

    .. math:: \log p(x) \ge \log p(x \mid \text{codes}) + \log p(\text{codes})

    The edits are the browser's: they stay over reruns, whatever the page answers, until it gives
    other ``codes``; then editing begins anew. A report comes a moment after the last edit, so the
    page is always behind the hand, never ahead of it.

    ===============  =============================================================================
    by URL           what it answers
    ===============  =============================================================================
    ``decode``       with ``&codes=1,2,3,…`` added (L·H·W numbers, level by level, row by row): a
                     PNG, grey or RGB, and the headers ``X-Log-Likelihood`` (log p(x | codes) of
                     the shown image, nats) and ``X-Log-Prior`` (log p(codes), nats)
    ``distances``    L·H·W·n_codes float32, little-endian: squared distances of the encoder's
                     vector, at level l of what the levels before have left of it, to each code
    ``palette.url``  a PNG: what each code decodes to, ``columns`` patches a row, row by row
    ``pictures``     an image; the maps at one pixel a cell, they are enlarged without smoothing
    ===============  =============================================================================

    A failure is said in one line: with the words of the answer if it is short plain text, and with
    status 502, 503 or 504, or without any answer, it is asked again after a while.

    Arguments:
        key: Names this map on its page.
        pictures: Five of ``{"title", "url", "caption"}``, in the order of ``PICTURES``. The last
            one's url is shown only where input and decoded picture differ in size, and may be
            None: else the browser paints the error of what is decoded now.
        codes: The encoder's choice, with shape (L, H, W), whole numbers below n_codes.
        palette: ``{"url", "tile": (h, w), "n": n_codes, "columns": patches a row}``; one for all
            levels or one each. Without ``columns`` it is the least square that holds n.
        colours: CSS colours, with shape (L, n_codes): like codes in like colours.
        decode: See above.
        distances: See above.
        second: Another image to copy codes from: ``{"title", "pictures": [url of its input],
            "codes"}`` with codes of the same shape; None for no such image. A copied region takes
            all levels along.
        names: What codes are called beside their number, with shape (L, n_codes); None for nothing.
        height: How tall the grid of codes is at most, in CSS pixels.

    Returns:
        The edited codes, with shape (L, H, W), int64, in each run of the script after the browser
        has reported an edit of these ``codes``; None while they are the encoder's own.

    Raises:
        ValueError: If the shapes do not fit each other.
    """
    own = np.asarray(codes, dtype=np.int64)
    if own.ndim != 3 or not own.size:
        raise ValueError(f"codes have shape (L, H, W), not {own.shape}")
    levels = own.shape[0]
    given = [palette] if isinstance(palette, Mapping) else list(palette)
    palettes = [_palette(p) for p in (given * levels if len(given) == 1 else given)]
    n = palettes[0]["n"]
    if len(palettes) != levels or any(p["n"] != n for p in palettes):
        raise ValueError(f"{levels} levels need one palette, or {levels} of equally many codes")
    if own.min() < 0 or own.max() >= n:
        raise ValueError(f"codes are from 0 to {n - 1}")
    if len(pictures) != len(PICTURES):
        raise ValueError(f"a code map has {len(PICTURES)} pictures: {', '.join(PICTURES)}")
    for words in filter(None, (colours, names)):
        if len(words) != levels or any(len(row) != n for row in words):
            raise ValueError(f"colours and names have shape ({levels}, {n})")
    of = _token(key, own)
    result = _component(
        key=key,
        data={
            "key": key,
            "of": of,
            "pictures": [
                {name: p.get(name) for name in ("title", "url", "caption")} for p in pictures
            ],
            "codes": own.tolist(),
            "palettes": palettes,
            "colours": [list(row) for row in colours],
            "names": None if names is None else [list(row) for row in names],
            "decode": decode,
            "distances": distances,
            "second": None if second is None else _second(second, own.shape, n),
            "side": int(height),
        },
        on_edited_change=_ignore,
    )
    return _read(result.edited, of, own, n)


def _ignore() -> None:
    """Do nothing: Streamlit returns a value only if it has a callback."""


def _palette(palette: Mapping[str, Any]) -> dict[str, Any]:
    """One palette as the browser reads it."""
    n = int(palette["n"])
    columns = int(palette.get("columns") or math.ceil(math.sqrt(n)))
    return {
        "url": palette["url"],
        "tile": [int(v) for v in palette["tile"]],
        "n": n,
        "columns": columns,
    }


def _second(second: Mapping[str, Any], shape: tuple[int, ...], n: int) -> dict[str, Any]:
    """The other image as the browser reads it."""
    codes = np.asarray(second["codes"], dtype=np.int64)
    if codes.shape != shape or codes.min() < 0 or codes.max() >= n:
        raise ValueError(f"the second map needs codes from 0 to {n - 1} with shape {shape}")
    return {
        "title": second["title"],
        "url": next(iter(second["pictures"]), None),
        "codes": codes.tolist(),
    }


def _token(key: str, own: np.ndarray) -> str:
    """Names what is edited; another one each time that the page gives other codes."""
    name = f"{key}-of"
    digest = zlib.crc32(repr((own.shape, own.tolist())).encode())
    before, count = st.session_state.get(name, (digest, 0))
    st.session_state[name] = (digest, count + (before != digest))
    return f"{digest}-{st.session_state[name][1]}"


def _read(report: Any, of: str, own: np.ndarray, n: int) -> np.ndarray | None:
    """The edited codes that the browser reported; None if they are the encoder's, or nonsense."""
    if not isinstance(report, dict) or report.get("of") != of:
        return None
    codes = report.get("codes")
    if not isinstance(codes, list) or len(codes) != own.size:
        return None
    if not all(isinstance(code, int) and 0 <= code < n for code in codes):
        return None
    edited = np.array(codes, dtype=np.int64).reshape(own.shape)
    return None if np.array_equal(edited, own) else edited
