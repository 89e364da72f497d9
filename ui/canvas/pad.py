"""The pixel pad: a picture whose pixels one rubs out, or draws."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import streamlit as st

from ui.canvas.bundle import bundle, read
from ui.serving import component

#: In this order each module comes after those it imports; ``pad.js`` has the default export.
MODULES = ("colour.js", "brush.js", "padpaint.js", "pad.js")

_component = component("pixel_pad", html=read("pad.html"), css=read("pad.css"), js=bundle(*MODULES))


class Pad(NamedTuple):
    """What the hand made of the picture that the page gave; None while it has not touched it.

    Attributes:
        mask: In mode "erase", which pixels are still seen, with shape (height * width,), bool.
        pixels: In mode "draw", the picture, with shape (height * width,), uint8.
    """

    mask: np.ndarray | None
    pixels: np.ndarray | None


def pack(mask: Sequence[int] | np.ndarray) -> str:
    """Writes a mask for a URL: bits, the first in the highest place, as base64url.

    Arguments:
        mask: True or 1 where a pixel is seen, with shape (n,); another shape is flattened.

    Returns:
        ``ceil(n / 8)`` bytes as base64url, without padding.

    Example:
        >>> pack([1, 0, 1, 0, 0, 0, 0, 0, 1])
        'oIA'
    """
    bits = np.packbits(np.asarray(mask, dtype=bool).ravel())
    return base64.urlsafe_b64encode(bits.tobytes()).decode().rstrip("=")


def unpack(text: str, n: int) -> np.ndarray | None:
    """Reads a mask of n pixels that ``pack`` wrote.

    Arguments:
        text: What stands in the URL, whoever wrote it.
        n: How many pixels the picture has.

    Returns:
        True where a pixel is seen, with shape (n,); None if the text is no mask of n pixels.

    Example:
        >>> unpack("oIA", 9).astype(int)
        array([1, 0, 1, 0, 0, 0, 0, 0, 1])
        >>> unpack("oIA", 784) is None
        True
    """
    packed = _bytes(text, b"-_")
    if packed is None or len(packed) != -(-n // 8):
        return None
    bits = np.unpackbits(np.frombuffer(packed, np.uint8)).astype(bool)
    return None if bits[n:].any() else bits[:n]


def pad(
    key: str,
    *,
    pixels: Sequence[int] | np.ndarray,
    height: int,
    width: int,
    mode: Literal["erase", "draw"],
    mask: Sequence[int] | np.ndarray | None = None,
    alt: str,
) -> Pad:
    """Shows a picture to rub pixels out of, or to draw on, with a brush, Undo and the like.

    What the hand did stays over reruns until the page gives another picture or mask. A page that
    keeps the mask in its URL gives it back here: that changes nothing under the hand, and
    settles it, so that ``mask`` is None again. Hence, with ``seen`` from the URL or None::

        made = pad("eraser", pixels=x, height=28, width=28, mode="erase", mask=seen, alt="A 7")
        if made.mask is not None:
            st.query_params["seen"] = pack(made.mask)
            st.rerun()

    A drawing may be given back in the same way, with all its greys or as black and white.

    Arguments:
        key: Names this pad on its page.
        pixels: The grey values 0 to 255, row-major, height * width of them.
        height: Rows of pixels.
        width: Columns of pixels.
        mode: "erase" hides pixels; "draw" paints them white, beginning with ``pixels``.
        mask: In mode "erase" 1 or True where a pixel is seen to begin with; None for everywhere.
        alt: What the picture shows, for those who cannot see it.

    Returns:
        The mask, or the pixels, once the hand has changed what was given; both None before.

    Raises:
        ValueError: If pixels or mask have another size than the picture.
    """
    n = height * width
    values = np.clip(np.asarray(pixels).ravel(), 0, 255).astype(int).tolist()
    seen = None if mask is None else np.asarray(mask, dtype=bool).ravel().astype(int).tolist()
    if len(values) != n or (seen is not None and len(seen) != n):
        raise ValueError(f"a pad of {height} × {width} needs {n} pixels, and as many in its mask")
    of = zlib.crc32(repr((mode, values, seen)).encode())
    result = _component(
        key=key,
        data={
            "pixels": values,
            "mask": seen,
            "height": height,
            "width": width,
            "mode": mode,
            "alt": alt,
            "of": of,
        },
        on_mask_change=_ignore,
        on_pixels_change=_ignore,
    )
    text = _news(key, of, result.mask if mode == "erase" else result.pixels)
    if mode == "erase":
        return Pad(unpack(text, n), None)
    drawn = _bytes(text, b"+/")
    fits = drawn is not None and len(drawn) == n
    return Pad(None, np.frombuffer(drawn, np.uint8) if fits else None)


def _ignore() -> None:
    """Do nothing: Streamlit returns a value only if it has a callback."""


def _news(key: str, of: int, report: Any) -> str:
    """What the browser reported on this very picture and mask since they were given, or ""."""
    report = report if isinstance(report, dict) else {}
    settled = st.session_state.get(f"{key}-settled", (of, None))
    if settled[0] != of:
        settled = (of, report.get("at"))
    st.session_state[f"{key}-settled"] = settled
    if report.get("of") != of or report.get("at") == settled[1]:
        return ""
    return str(report.get("packed", ""))


def _bytes(text: str, last_two: bytes) -> bytes | None:
    """Reads base64 without its padding; None if it is none."""
    try:
        body = text.rstrip("=")
        return base64.b64decode(body + "=" * (-len(body) % 4), altchars=last_two, validate=True)
    except (binascii.Error, ValueError):
        return None
