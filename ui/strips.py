"""Small pictures in a row: sent once, at their own size, in one element, and enlarged by CSS."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence

import numpy as np
import streamlit as st
from PIL import Image


def strip(pictures: Sequence[np.ndarray], captions: Sequence[str], *, side: float = 5.5) -> None:
    """Shows pictures beside one another, each over its caption; pixels stay sharp.

    Arguments:
        pictures: Of one size, uint8: grey (H, W) or colour (H, W, 3).
        captions: What stands below each, which also stands for it where it cannot be seen.
        side: The width of each, in rem.
    """
    n, (height, width) = len(pictures), pictures[0].shape[:2]
    cells = "".join(
        f'<figure><i role="img" aria-label="{html.escape(words)}" style="--k:{k}"></i>'
        f"<figcaption>{html.escape(words)}</figcaption></figure>"
        for k, words in enumerate(captions)
    )
    style = f"--n:{n};--side:{side}rem;--shape:{width}/{height};--all:url({data_url(pictures)})"
    st.html(f'<div class="strip" style="{style}">{cells}</div>')


def data_url(pictures: Sequence[np.ndarray]) -> str:
    """Pictures in one row, in sixteen levels, as an address that needs no request.

    Example:
        >>> data_url([np.zeros((8, 8), np.uint8)])[:27]
        'data:image/webp;base64,UklG'
    """
    colour = any(picture.ndim == 3 for picture in pictures)
    alike = [np.atleast_3d(p).repeat(3 // np.atleast_3d(p).shape[2], 2) for p in pictures]
    row = np.concatenate(alike if colour else pictures, axis=1)
    file = io.BytesIO()
    coarse = (np.rint(row / 17) * 17).astype(np.uint8)  # half the bytes, and nobody sees it
    Image.fromarray(coarse).save(file, "WEBP", lossless=True, quality=100, method=6)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
