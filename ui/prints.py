"""Posters for the printer: pictures in a grid on paper, as one PNG at 300 dots an inch."""

from __future__ import annotations

import io
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

DPI = 300
#: Short and long side, in millimetres.
PAPERS: dict[str, tuple[int, int]] = {"A4": (210, 297), "A3": (297, 420), "A2": (420, 594)}
Ground = Literal["light", "dark"]

#: White around the pictures, and the letters of the caption, as shares of the short side.
MARGIN, LETTERS = 0.05, 0.016
#: Space between two pictures, as a share of one.
GAP = 0.06


def size(paper: str, rows: int, columns: int) -> tuple[int, int]:
    """Width and height of a paper in pixels, turned as the grid lies.

    Example:
        >>> size("A4", 10, 10), size("A4", 10, 20)
        ((2480, 3508), (3508, 2480))
    """
    short, long = (round(side / 25.4 * DPI) for side in PAPERS[paper])
    return (long, short) if columns > rows else (short, long)


def on_ground(pictures: np.ndarray, ground: Ground) -> np.ndarray:
    """Pictures with ink black on white paper, or bright on black, as they are decoded."""
    return 255 - pictures if ground == "light" else pictures


def poster(pictures: np.ndarray, *, paper: str, ground: Ground, caption: str) -> bytes:
    """Lays pictures out on paper, with one line of text below.

    Every pixel of a picture becomes a block: nothing is smoothed.

    Arguments:
        pictures: uint8 pictures, bright on black, with shape (rows, columns, H, W).
        paper: One of ``PAPERS``.
        ground: ``"light"`` for black ink on white paper, ``"dark"`` for bright on black.
        caption: What is written below; made smaller until it fits.

    Returns:
        A grey PNG of the whole paper, which says its own resolution.

    Raises:
        KeyError: If there is no such paper.

    Source:
        Sizes of ISO 216.

    Example:
        >>> png = poster(np.zeros((3, 2, 8, 8), np.uint8), paper="A4", ground="dark", caption="a")
        >>> Image.open(io.BytesIO(png)).size
        (2480, 3508)
    """
    rows, columns, h, w = pictures.shape
    width, height = size(paper, rows, columns)
    margin, letters = (round(share * min(width, height)) for share in (MARGIN, LETTERS))
    room = (width - 2 * margin, height - 2 * margin - 2 * letters)
    scale = min(
        (room[0] / (columns + (columns - 1) * GAP)) / w, (room[1] / (rows + (rows - 1) * GAP)) / h
    )
    tile_w, tile_h = int(scale * w), int(scale * h)
    gap = int(GAP * tile_w)
    paint = {"light": 255, "dark": 0}[ground]
    page = np.full((height, width), paint, np.uint8)
    whole_w = columns * (tile_w + gap) - gap
    whole_h = rows * (tile_h + gap) - gap
    left, top = (width - whole_w) // 2, margin + (room[1] - whole_h) // 2
    across = np.arange(tile_w) * w // tile_w
    down = np.arange(tile_h) * h // tile_h
    for r in range(rows):
        for c in range(columns):
            y, x = top + r * (tile_h + gap), left + c * (tile_w + gap)
            tile = pictures[r, c][down][:, across]
            page[y : y + tile_h, x : x + tile_w] = on_ground(tile, ground)
    sheet = Image.fromarray(page)
    _write(sheet, caption, (width, top + whole_h + letters // 2), letters, room[0], 255 - paint)
    file = io.BytesIO()
    sheet.save(file, "PNG", dpi=(DPI, DPI), compress_level=4)
    return file.getvalue()


def _write(
    sheet: Image.Image, text: str, at: tuple[int, int], letters: int, room: int, colour: int
) -> None:
    """A line in the middle of the width, as large as there is room."""
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(letters)
    if (length := draw.textlength(text, font)) > room:
        font = ImageFont.load_default(letters * room / length)
    draw.text(
        (at[0] / 2, at[1]), text, fill=round(0.35 * 128 + 0.65 * colour), font=font, anchor="ma"
    )
