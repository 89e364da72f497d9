"""The flipbook: a row of pictures to leaf through, with a ring that walks in the plane."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np

from ui.canvas.bundle import bundle, read
from ui.serving import component
from vae import latent

#: More pictures than this make a strip that nobody looks through.
LARGEST = 64

_component = component(
    "flipbook",
    html=read("flipbook.html"),
    css=read("flipbook.css"),
    js=bundle("colour.js", "flipbook.js"),
)


def strip(pictures: np.ndarray) -> str:
    """Writes pictures as one row in a PNG, as an address that needs no request.

    Arguments:
        pictures: Grey values 0 to 255, with shape (n, H, W), uint8.

    Returns:
        A data URL; thirty-three handwritten digits take about 12 kB.

    Example:
        >>> strip(np.zeros((3, 8, 8), np.uint8))[:30]
        'data:image/png;base64,iVBORw0K'
    """
    png = latent.png(latent.mosaic(np.asarray(pictures)[None]))
    return "data:image/png;base64," + base64.b64encode(png).decode()


def flipbook(
    key: str,
    *,
    url: str,
    n: int,
    tile: Sequence[int],
    places: Sequence[Sequence[float]] | None = None,
    captions: Sequence[str] | None = None,
    alt: str,
    start: int = 0,
) -> None:
    """Shows pictures one after the other: Play, a scrubber, the speed, thumbnails to click.

    Nothing of this reruns the script. While it plays, and when a picture is chosen, a ring is
    drawn at the picture's place in every latent plane of the page; it goes when the flipbook goes.
    Space plays, the arrow keys leaf; with reduced motion it hops through a few of the pictures.

    Arguments:
        key: Names this flipbook on its page; the same key keeps the picture that is shown.
        url: Where the pictures are: a PNG of one row of n pictures, of ``strip`` or by a route.
        n: How many pictures, at most ``LARGEST``.
        tile: Height and width of one, in pixels.
        places: Where each picture is in the plane, with shape (n, 2); None for no ring.
        captions: What is said of each picture while it is shown, n of them; None for "3 of 33".
        alt: What the pictures show, for those who cannot see them.
        start: The picture that is shown first.

    Raises:
        ValueError: If n is not from 1 to ``LARGEST``, or places or captions are not n.
    """
    if not 1 <= n <= LARGEST:
        raise ValueError(f"a flipbook has 1 to {LARGEST} pictures, not {n}")
    if any(column is not None and len(column) != n for column in (places, captions)):
        raise ValueError(f"a flipbook of {n} pictures needs as many places and captions")
    rounded = None if places is None else np.asarray(places, float).round(4).tolist()
    _component(
        key=key,
        data={
            "url": url,
            "n": n,
            "tile": [int(side) for side in tile],
            "places": rounded,
            "captions": None if captions is None else list(captions),
            "alt": alt,
            "start": start,
        },
    )
