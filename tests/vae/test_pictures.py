"""Files that people bring: read rightly, or refused in one sentence, and never dangerous."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from vae import pictures
from vae.pictures import PictureError, read

RAMP = np.arange(0, 240, 2, dtype=np.uint8).reshape(8, 15)


def written(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """An image as a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "WEBP", "JPEG"])
def test_every_kind_of_file(kind):
    lossless = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100}}.get(kind, {})
    found = read(written(Image.fromarray(RAMP), kind, **lossless))
    assert found.shape == RAMP.shape and found.dtype == np.uint8
    assert np.abs(found.astype(int) - RAMP).max() <= (3 if kind == "JPEG" else 0)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_every_mode(mode):
    grey = np.where(RAMP > 100, 255, 0).astype(np.uint8)
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    else:
        image = Image.fromarray(grey).convert(mode)
    kind = "JPEG" if mode == "CMYK" else "PNG"
    found = read(written(image, kind))
    assert np.abs(found.astype(int) - grey).max() <= (60 if kind == "JPEG" else 0)


def test_sixteen_bits_keep_their_greys():
    image = Image.fromarray(RAMP.astype(np.uint16) * 257)
    assert np.array_equal(read(written(image)), RAMP)


def test_what_is_transparent_is_white():
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    image.putpixel((1, 2), (0, 0, 0, 255))
    found = read(written(image))
    assert found[2, 1] == 0 and (found == 255).sum() == 15
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([0, 0, 0, 90, 90, 90])
    palette.putpixel((0, 0), 1)
    found = read(written(palette, transparency=0))
    assert found[0, 0] == 90 and (found == 255).sum() == 15


def test_a_photo_is_turned_as_its_camera_says():
    image = Image.fromarray(np.kron(RAMP, np.ones((8, 8), np.uint8)))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    found = read(written(image, "JPEG", exif=exif, quality=95))
    assert np.abs(found.astype(int) - np.rot90(np.asarray(image), -1)).max() <= 12


def test_of_an_animation_the_first_frame_counts():
    frames = [Image.new("L", (5, 5), grey) for grey in (200, 10, 90)]
    for kind in ("GIF", "WEBP", "PNG"):
        options = {"lossless": True} if kind == "WEBP" else {}
        content = written(
            frames[0], kind, save_all=True, append_images=frames[1:], duration=99, **options
        )
        assert (read(content) == 200).all()


def test_a_large_picture_is_made_smaller():
    stripes = np.tile(np.array([0, 255], np.uint8), (900, 1600))
    found = read(written(Image.fromarray(stripes)))
    assert max(found.shape) == pictures.SIDE and abs(found.mean() - 127.5) < 1


def png_that_claims(width: int, height: int) -> bytes:
    """The head of a PNG file of this size, with hardly any data behind it."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("side", [7_100, 10_000, 20_000, 2**31 - 1])
def test_a_bomb_is_refused_before_it_is_decoded(side, monkeypatch):
    monkeypatch.setattr(pictures, "_grey", lambda image: pytest.fail("it was decoded"))
    with pytest.raises(PictureError, match="more than 50 million pixels"):
        read(png_that_claims(side, side))


def test_too_many_bytes_are_refused():
    with pytest.raises(PictureError, match=r"10\.\d MB and the limit is 10 MB"):
        read(b"\0" * (pictures.MAX_BYTES + 2**19))


FOREIGN = {
    "empty": b"",
    "text": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "pdf": b"%PDF-1.7\n",
    "zeros": bytes(999),
    "tiff": written(Image.fromarray(RAMP), "TIFF"),
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_no_picture_is_refused(name):
    with pytest.raises(PictureError, match="no picture that can be read here"):
        read(FOREIGN[name])


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "WEBP", "JPEG"])
def test_a_file_that_is_cut_off_or_damaged_is_said(kind):
    rng = np.random.default_rng(0)
    content = written(Image.fromarray(rng.integers(0, 255, (64, 64), dtype=np.uint8)), kind)
    for share in (0.1, 0.5, 0.9):
        with pytest.raises(PictureError):
            read(content[: int(share * len(content))])
    for _ in range(40):  # whatever is flipped: a picture, or one sentence
        broken = bytearray(content)
        broken[rng.integers(len(broken))] ^= int(rng.integers(1, 256))
        try:
            assert read(bytes(broken)).ndim == 2
        except PictureError as error:
            assert str(error).endswith(".") and "\n" not in str(error)


def test_a_png_of_another_length_than_it_claims():
    with pytest.raises(PictureError, match="damaged, or its file is cut off"):
        read(png_that_claims(500, 500))
