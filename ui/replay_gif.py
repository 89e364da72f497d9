"""A replay as an animated GIF: points over the decoded plane, with epoch and bound.

Nothing here is kept between calls, so any thread may draw.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ui.figures import LABEL_COLOURS

#: At most so many pictures, and so many for the way from one epoch to the next.
MOST, STEPS = 60, 5
#: How long an epoch takes, and how long the last one stays, in milliseconds.
EPOCH_MS, LAST_MS = 600, 2000

WIDTH, HEIGHT = 480, 528
LEFT, TOP, SIDE = 52, 52, 416
#: Shades from white to black; the palette is these, then the colours of the labels.
SHADES = 16
RIM, INK, FAINT, DOT_RIM = 190, 30, 150, 130
#: Radius of a dot without its rim.
DOT = 2.5
#: How dark the decoded pictures are under the points.
STRENGTH = 0.45


class Frame(NamedTuple):
    """An epoch: places of the data (N, 2), the sheet of decoded pictures (H, W) or None, and what
    is written above."""

    places: np.ndarray
    sheet: np.ndarray | None
    caption: str


class Scene(NamedTuple):
    """What all frames share: a title, the names of the axes, half the side of the view, half the
    side of the sheets, a label for each datum (N), and what the labels are called."""

    title: str
    axes: Sequence[str]
    radius: float
    sheet_radius: float
    labels: np.ndarray
    names: Sequence[str]


def replay_gif(scene: Scene, frames: Sequence[Frame]) -> bytes:
    """Draws frames, with the way of the points between them, as a GIF that repeats for ever.

    Arguments:
        scene: What all frames share.
        frames: At most ``MOST``, of the same data in the same order.

    Returns:
        The file.

    Raises:
        ValueError: If there are no frames, or too many.

    Example:
        >>> scene = Scene("a run", ["z1", "z2"], 4.0, 3.0, np.array([0, 1]), ["a", "b"])
        >>> frame = Frame(np.zeros((2, 2)), None, "epoch 0")
        >>> Image.open(io.BytesIO(replay_gif(scene, [frame]))).size
        (480, 528)
    """
    if not 0 < len(frames) <= MOST:
        raise ValueError(f"a replay has 1 to {MOST} frames, not {len(frames)}")
    steps = ways(len(frames))
    ground, pictures = _ground(scene), []
    for k, frame in enumerate(frames):
        sheet = _under(ground, scene, frame)
        after = frames[min(k + 1, len(frames) - 1)]
        for step in range(steps if k + 1 < len(frames) else 1):
            # half way the sheet and the words are already those of the next epoch
            if step == (steps + 1) // 2 and steps > 1:
                sheet = _under(ground, scene, after)
            share = step / steps
            places = (1 - share) * frame.places + share * after.places
            pictures.append(_with_points(sheet, scene, places))
    file = io.BytesIO()
    durations = [round(EPOCH_MS / steps)] * (len(pictures) - 1) + [LAST_MS]
    pictures[0].save(
        file, "GIF", save_all=True, append_images=pictures[1:], duration=durations, loop=0
    )
    return file.getvalue()


def ways(n: int) -> int:
    """Into how many pictures the way from one of n frames to the next is cut.

    Example:
        >>> [(n, (n - 1) * ways(n) + 1) for n in (2, 13, 31, 60)]
        [(2, 6), (13, 49), (31, 31), (60, 60)]
    """
    return max(1, min(STEPS, (MOST - 1) // max(1, n - 1)))


def _pixels(places: np.ndarray, radius: float) -> np.ndarray:
    """From places (..., 2) to pixels (..., 2), x to the right and y downwards."""
    centre = np.array([LEFT, TOP]) + SIDE / 2
    return centre + np.asarray(places) * [1, -1] * (SIDE / 2 / radius)


def _ground(scene: Scene) -> np.ndarray:
    """Title, frame, circles and axis numbers: grey, with shape (HEIGHT, WIDTH)."""
    page = Image.new("L", (WIDTH, HEIGHT), 255)
    draw = ImageDraw.Draw(page)
    font, small = ImageFont.load_default(15), ImageFont.load_default(13)
    title = scene.title
    room = min((x for x, _ in _legend(scene)), default=WIDTH) - 24
    while draw.textlength(title, font) > room:
        title = title[:-2].rstrip(" .") + "."
    draw.text((12, 6), title, fill=INK, font=font)
    for x, name in _legend(scene):
        draw.text((x + 6, 7), name, fill=INK, font=small)
    draw.rectangle((LEFT - 1, TOP - 1, LEFT + SIDE, TOP + SIDE), outline=FAINT)
    for value in _ticks(scene.radius):
        x, y = _pixels(np.array([value, value]), scene.radius)
        draw.text((x, TOP + SIDE + 4), f"{value:g}", fill=INK, font=small, anchor="ma")
        draw.text((LEFT - 6, y), f"{value:g}", fill=INK, font=small, anchor="rm")
    middle = TOP + SIDE / 2
    draw.text(
        (LEFT + SIDE / 2, TOP + SIDE + 22),
        f"{scene.axes[0]} (standard deviations of the prior)",
        fill=INK,
        font=small,
        anchor="ma",
    )
    name = Image.new("L", (SIDE, 18), 255)
    text = scene.axes[1]
    ImageDraw.Draw(name).text((SIDE / 2, 2), text, fill=INK, font=small, anchor="ma")
    page.paste(name.rotate(90, expand=True), (6, int(middle - SIDE / 2)))
    return np.asarray(page)


def _ticks(radius: float) -> np.ndarray:
    """Round numbers within the view."""
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 1000) if radius / s <= 5)
    return np.arange(-(radius // step), radius // step + 1) * step


def _under(ground: np.ndarray, scene: Scene, frame: Frame) -> np.ndarray:
    """What lies under the points of a frame, in shades of the palette."""
    page = Image.fromarray(ground)
    draw = ImageDraw.Draw(page)
    draw.text((12, 27), frame.caption, fill=INK, font=ImageFont.load_default(15))
    inside = np.full((SIDE, SIDE), 255.0)
    if frame.sheet is not None:
        inside -= STRENGTH * _seen(frame.sheet, scene)
    page.paste(Image.fromarray(inside.astype(np.uint8)), (LEFT, TOP))
    for deviations in range(1, 4):
        (x0, y0), (x1, y1) = _pixels(np.array([[-1, 1], [1, -1]]) * float(deviations), scene.radius)
        if x0 > LEFT and x1 < LEFT + SIDE:
            draw.ellipse((x0, y0, x1, y1), outline=RIM)
    shades = _shade(np.asarray(page))
    for label, (x, _) in enumerate(_legend(scene)):
        _stamp(shades, np.array([[x, 15]]), np.array([label]))
    return shades


def _legend(scene: Scene) -> list[tuple[int, str]]:
    """Where each label's dot is in the first line, and its name; none if they are too many."""
    font = ImageFont.load_default(13)
    widths = [round(font.getlength(name)) + 18 for name in scene.names]
    if sum(widths) > WIDTH - 160:
        return []
    ends = WIDTH - 8 - sum(widths) + np.cumsum([0, *widths[:-1]])
    return [(int(x), name) for x, name in zip(ends, scene.names, strict=True)]


def _shade(grey: np.ndarray | int) -> np.ndarray:
    """The shade of the palette nearest to a grey."""
    return ((255 - np.asarray(grey, int)) * (SHADES - 1) / 255).round().astype(np.uint8)


def _seen(sheet: np.ndarray, scene: Scene) -> np.ndarray:
    """A sheet at its place in the view, black elsewhere: (SIDE, SIDE)."""
    (x0, y0), (x1, y1) = _pixels(np.array([[-1, 1], [1, -1]]) * scene.sheet_radius, scene.radius)
    width, height = max(1, round(x1 - x0)), max(1, round(y1 - y0))
    view = Image.new("L", (SIDE, SIDE), 0)
    small = Image.fromarray(sheet).resize((width, height), Image.Resampling.BOX)
    view.paste(small, (round(x0) - LEFT, round(y0) - TOP))
    return np.asarray(view).astype(float)


def _with_points(shades: np.ndarray, scene: Scene, places: np.ndarray) -> Image.Image:
    """A picture of the animation: a dot for each datum, later ones on top."""
    page = shades.copy()
    at = _pixels(places, scene.radius).round().astype(int)
    # what lies outside the frame has no place; a dot on its edge is cut
    _stamp(page[TOP : TOP + SIDE, LEFT : LEFT + SIDE], at - [LEFT, TOP], scene.labels)
    picture = Image.fromarray(page, "P")
    picture.putpalette(_palette())
    return picture


def _stamp(page: np.ndarray, at: np.ndarray, labels: np.ndarray) -> None:
    """Puts a dot with a rim at each pixel (N, 2: x, y), in the colour of its label."""
    dy, dx = np.mgrid[-3:4, -3:4]
    apart = np.hypot(dx, dy)
    dot = apart < DOT + 0.7
    rows, columns = at[:, 1, None] + dy[dot], at[:, 0, None] + dx[dot]
    own = SHADES + labels % len(LABEL_COLOURS)
    colours = np.where(apart[dot] < DOT, own[:, None], _shade(DOT_RIM))
    inside = (rows >= 0) & (rows < page.shape[0]) & (columns >= 0) & (columns < page.shape[1])
    page[rows[inside], columns[inside]] = colours[inside]


def _palette() -> list[int]:
    """The colours of the palette, red, green, blue of each."""
    greys = [round(255 * (1 - shade / (SHADES - 1))) for shade in range(SHADES)]
    labels = [int(colour[i : i + 2], 16) for colour in LABEL_COLOURS for i in (1, 3, 5)]
    return [grey for grey in greys for _ in range(3)] + labels
