"""How the pictures of each data set were prepared: a drawing or a photo, made one of them."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from vae.config import DATA_SHAPES

#: From so much ink on, of 1, a pixel belongs to what was drawn; it leaves MNIST's own edges alone.
EDGE = 0.25
#: A speck with less than this share of the largest piece's ink is dust.
DUST = 0.03
#: Grey levels, of 255, by which ink must differ from its ground.
CONTRAST = 20


class Preparation(NamedTuple):
    """How the pictures of a data set are laid out.

    The ink is scaled until its longer side has ``box`` pixels, or left where it is if that is
    None; what comes to lie in the middle of the picture is the ink's centre of ``mass``, or the
    middle of its ``extent``. ``said`` tells people the same.
    """

    box: int | None
    middle: Literal["mass", "extent"]
    said: str


_MNIST = Preparation(
    20,
    "mass",
    "as the images of MNIST were: scaled to fit a box of 20 × 20 pixels, with the centre of its "
    "mass in the middle of 28 × 28",
)
_WHOLE = "scaled to fill the picture, and put in the middle"

#: Of each data set of images. The 8 × 8 digits have a way of their own, see ``as_datum``.
PREPARATIONS: dict[str, Preparation] = {
    "mnist": _MNIST,
    "mnist-subset": _MNIST,
    "emnist-letters": Preparation(
        24, "extent", "scaled to fit a box of 24 × 24 pixels in the middle of 28 × 28"
    ),
    "fashion-mnist": Preparation(28, "extent", _WHOLE),
    "kmnist": Preparation(28, "extent", _WHOLE),
    "shapes": Preparation(
        None, "extent", "made smaller and left where it is, for place and size mean something here"
    ),
    "digits": Preparation(
        32,
        "extent",
        "as the 8 × 8 digits were: stretched to 32 rows, set upright, its strokes made equally "
        "thick, and the black pixels of each block of 4 × 4 counted",
    ),
}


def ink(grey: np.ndarray) -> np.ndarray | None:
    r"""Tells what was drawn from what it was drawn on: 1 where there is ink, 0 where there is none.

    A plane, fitted to the border and untouched by what sticks out of it, is the ground, so that
    uneven light does no harm; ink is whatever differs from the ground, to the side on which more
    of it does. Both are stretched to the full range, and dust is dropped.

    .. math:: \text{ink} = \min(1, d / \text{peak}) \text{ where } d > 3 \sigma, \quad
        d = \pm (\text{grey} - \text{ground})

    σ is the noise of the ground, and peak the 95th percentile of those d that lie above 3 σ.

    Arguments:
        grey: Grey values from 0 to 255, with shape (H, W).

    Returns:
        Ink from 0 to 1, with shape (H, W); None if nothing differs enough from the ground.

    Example:
        >>> paper = np.full((9, 9), 200)
        >>> paper[3:6, 4] = 50
        >>> ink(paper)[2:7, 4]
        array([0., 1., 1., 1., 0.])
    """
    above, noise = _from_ground(np.asarray(grey, dtype=float))
    floor = 3 * noise
    light, dark = (np.where(side > floor, side, 0) for side in (above, -above))
    found = light if np.square(light).sum() >= np.square(dark).sum() else dark
    if not found.any() or (peak := np.quantile(found[found > 0], 0.95)) < CONTRAST:
        return None
    found = np.minimum(found / peak, 1)
    parts, n = ndimage.label(found > EDGE, np.ones((3, 3)))
    mass = ndimage.sum_labels(found, parts, np.arange(n + 1))
    dust = mass < DUST * mass[1:].max()
    dust[0] = False
    near = ndimage.grey_dilation(dust[parts].astype(np.uint8), (3, 3)).astype(bool)
    return np.where(near, 0, found)


def _from_ground(grey: np.ndarray) -> tuple[np.ndarray, float]:
    """How far each pixel lies above the ground, and the standard deviation of the ground."""
    height, width = grey.shape
    rows, columns = np.mgrid[:height, :width]
    plane = np.stack([np.ones_like(grey), rows / height, columns / width], axis=-1)
    wide = max(1, min(height, width) // 25)
    border = np.minimum.reduce([rows, columns, height - 1 - rows, width - 1 - columns]) < wide
    at, values = plane[border], grey[border]
    kept = np.abs(values - np.quantile(values, 0.5, method="nearest")) <= 60
    for _ in range(4):
        ground = np.linalg.lstsq(at[kept], values[kept], rcond=None)[0]
        away = np.abs(values - at @ ground)
        noise = 1.4826 * float(np.median(away[kept]))
        kept = away <= max(3 * noise, 2.0)
    return grey - plane @ ground, noise


def as_datum(grey: np.ndarray, dataset: str) -> np.ndarray | None:
    """Prepares a drawing or a photo as the images of a data set were prepared.

    White paper or black, it makes no difference: ink becomes white on black, as in all of these
    sets. What it does with it is told by ``PREPARATIONS``. The 8 × 8 digits come from bitmaps of
    32 rows, at most 20 columns wide, set upright and with strokes made thicker or thinner until
    the ink covers about the same share of each; their greys count the 16 pixels of a block.

    Arguments:
        grey: Grey values from 0 to 255, with shape (H, W).
        dataset: Names the set whose images it should be like.

    Returns:
        Grey values from 0 to 255, uint8, with the shape of the set's images (1, H, W); None if
        there is nothing to be seen.

    Raises:
        KeyError: If there is no such set, or its data are no images.

    Source:
        LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition, section III.A
        (MNIST); Cohen et al. 2017, EMNIST; Garris et al. 1994, NISTIR 5469 (whose programs made
        the 8 × 8 digits; that they go by 20 × 32 and share of ink was checked on the data).

    Example:
        >>> page = np.full((100, 100), 255)
        >>> page[20:80, 45:55] = 0
        >>> as_datum(page, "mnist").shape, as_datum(page[:20], "mnist") is None
        ((1, 28, 28), True)
    """
    way, (_, height, width) = PREPARATIONS[dataset], DATA_SHAPES[dataset]
    drawn = ink(grey)
    if drawn is None:
        return None
    if dataset == "digits":
        fine = _counts(_cropped(drawn))
    elif way.box is None:
        fine = _resized(_squared(drawn), height, width)
    else:
        fine = _placed(_boxed(_cropped(drawn), way.box), height, width, way.middle)
    return (255 * fine / max(fine.max(), 1e-6)).round().astype(np.uint8)[None]


def _cropped(drawn: np.ndarray) -> np.ndarray:
    """The ink's own extent."""
    rows, columns = (np.flatnonzero((drawn > EDGE).any(axis)) for axis in (1, 0))
    return drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _squared(drawn: np.ndarray) -> np.ndarray:
    """With empty margins to make it a square."""
    height, width = drawn.shape
    down, across = max(0, width - height), max(0, height - width)
    return np.pad(drawn, ((down // 2, down - down // 2), (across // 2, across - across // 2)))


def _boxed(drawn: np.ndarray, box: int) -> np.ndarray:
    """Scaled until its longer side has ``box`` pixels."""
    scale = box / max(drawn.shape)
    return _resized(drawn, *(max(1, round(side * scale)) for side in drawn.shape))


def _resized(drawn: np.ndarray, height: int, width: int) -> np.ndarray:
    """Another size: the mean over each new pixel, or smoothly where that has no pixel in it."""
    shrinks = height <= drawn.shape[0] and width <= drawn.shape[1]
    way = Image.Resampling.BOX if shrinks else Image.Resampling.BICUBIC
    image = Image.fromarray(drawn.astype(np.float32)).resize((width, height), way)
    return np.clip(np.asarray(image), 0, 1)


def _placed(drawn: np.ndarray, height: int, width: int, middle: str) -> np.ndarray:
    """On an empty picture, with the middle in its middle, or as near as it fits."""
    rows, columns = drawn.shape
    top, left = (height - rows) // 2, (width - columns) // 2
    if middle == "mass":
        # MNIST's own centres of mass all lie between 13.5 and 14.5 (pixels counted from 0).
        mass = np.array(ndimage.center_of_mass(drawn))
        ends = np.floor(np.array([height, width]) / 2 + 0.5 - mass).astype(int)
        top, left = np.clip(ends, 0, [height - rows, width - columns])
    whole = np.zeros((height, width))
    whole[top : top + rows, left : left + columns] = drawn
    return whole


def _counts(drawn: np.ndarray) -> np.ndarray:
    """Eight by eight counts of ink in blocks of a bitmap of 32 × 32, as shares of 16."""
    height, width = drawn.shape
    columns = int(np.clip(round(32 * width / height), 4, 20))
    whole = np.zeros((32, 32))
    left = (32 - columns) // 2
    whole[:, left : left + columns] = _resized(drawn, 32, columns)
    blurred = ndimage.gaussian_filter(_upright(whole), 1.0)
    level = max(np.sort(blurred, axis=None)[-int(0.31 * 1024)], 0.05)
    bits = blurred > level
    return bits.reshape(8, 4, 8, 4).sum((1, 3)) / 16


def _upright(drawn: np.ndarray) -> np.ndarray:
    """Rows shifted until the ink does not lean: no correlation of row and column."""
    rows, columns = np.mgrid[: drawn.shape[0], : drawn.shape[1]]
    down, across = ndimage.center_of_mass(drawn)
    lean = ((rows - down) * (columns - across) * drawn).sum() / max(
        ((rows - down) ** 2 * drawn).sum(), 1e-9
    )
    return ndimage.affine_transform(
        drawn, np.array([[1, 0], [lean, 1]]), offset=(0, -lean * down), order=1
    )
