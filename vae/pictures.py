"""Pictures that people bring: a file's bytes to grey values, whatever stands in the file."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps

#: What is read; a file is known by its content, not by its name.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
MAX_BYTES = 10 * 2**20
#: A file of a few kilobytes may claim any size: what claims more is never decoded.
MAX_PIXELS = 50_000_000
#: The longer side of what comes back, in pixels: far more than any model here sees.
SIDE = 512


class PictureError(ValueError):
    """A file that is not used as a picture: one sentence for the person who brought it."""


def read(content: bytes) -> np.ndarray:
    """Reads an image file as grey values, safely: nothing large is decoded, and nothing runs.

    It is turned as its camera says (EXIF); of an animation the first frame counts; what is
    transparent becomes white; and a large picture is made smaller.

    Arguments:
        content: The bytes of the file.

    Returns:
        Grey values from 0 (black) to 255 (white), uint8, with shape (H, W), neither above
        ``SIDE``.

    Raises:
        PictureError: If there are more than ``MAX_BYTES`` bytes, or more than ``MAX_PIXELS``
            pixels are claimed, or the file is cut off, or of another kind than ``FORMATS``.

    Source:
        Grey is ITU-R 601-2 luma, as Pillow has it: L = 0.299 R + 0.587 G + 0.114 B.

    Example:
        >>> file = io.BytesIO()
        >>> Image.new("RGB", (4, 2), "white").save(file, "PNG")
        >>> read(file.getvalue()).tolist()
        [[255, 255, 255, 255], [255, 255, 255, 255]]
    """
    if len(content) > MAX_BYTES:
        raise PictureError(
            f"This file has {len(content) / 2**20:.1f} MB and the limit is "
            f"{MAX_BYTES // 2**20} MB: make the picture smaller, or take a screenshot of it."
        )
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels() from error
    except Exception as error:  # its readers raise almost anything at a foreign file
        raise PictureError(
            "This file is no picture that can be read here: choose one that is a PNG, JPEG, "
            "WebP, GIF or BMP."
        ) from error
    with image:
        if image.width * image.height > MAX_PIXELS:
            raise _too_many_pixels()
        try:
            return _grey(image)
        except Exception as error:
            raise PictureError(
                "This picture is damaged, or its file is cut off: save it once more, as a PNG, "
                "and choose that."
            ) from error


def _too_many_pixels() -> PictureError:
    """The sentence for a picture that is too large to be decoded."""
    return PictureError(
        f"This picture has more than {MAX_PIXELS // 10**6} million pixels, the limit: make it "
        "smaller, or take a screenshot of it."
    )


def _grey(image: Image.Image) -> np.ndarray:
    """Decodes an opened image: upright, on white, grey, and no larger than ``SIDE``."""
    image.draft("L", (SIDE, SIDE))  # a large JPEG is decoded at a fraction of its size
    if image.mode.startswith("I"):  # 16 bits a pixel, which Pillow would cut off at 255
        high = np.asarray(image, dtype=float) / 257
        image = Image.fromarray(np.clip(high.round(), 0, 255).astype(np.uint8))
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("L")
    image.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(image)
