"""Data sets: bundled, generated, or fetched by torchvision; whole in memory, images as uint8."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vae import downloads, toys
from vae.config import DATA_SHAPES
from vae.downloads import FILES, Arrays, DataError, Progress

#: The bundled cut of MNIST (see ``bundled/README.md``), and the sha256 of that file.
SUBSET = Path(__file__).parent / "bundled" / "mnist-subset.npz"
SUBSET_SHA256 = "be66f939e2719dc39149ff21b9253135fd48543c828eee969a2c598f9cb46b79"

_DIGITS = FILES["mnist"].label_names
_lock = threading.Lock()


class Dataset(NamedTuple):
    """One data set in memory, shared by all who load it: read its arrays, never write to them.

    Images are uint8 from 0 to 255 with shape (N, C, H, W), points float32 with shape (N, 2),
    labels int64 with shape (N,) that index ``label_names``. ``sha256`` is that of the four arrays.
    """

    name: str
    train: np.ndarray
    train_labels: np.ndarray
    held_out: np.ndarray
    held_out_labels: np.ndarray
    label_names: tuple[str, ...]
    sha256: str


def root() -> Path:
    """The folder of the sets that torchvision fetches: ``VAE_DATA``, else ``~/.cache/elbo-room``.

    Example:
        >>> root().is_absolute()
        True
    """
    named = os.environ.get("VAE_DATA")
    return Path(named).expanduser().absolute() if named else Path.home() / ".cache" / "elbo-room"


def load(name: str) -> Dataset:
    """Loads a data set; a second call in the same process returns the same arrays.

    Nothing is fetched: call ``ensure`` first where the set may be missing.

    Arguments:
        name: One of the keys of ``DATA_SHAPES``.

    Returns:
        The data set, images as uint8, points as float32.

    Raises:
        DataError: If there is no such set, or its files are missing, unreadable or damaged.

    Example:
        >>> digits = load("digits")
        >>> digits.train.shape, digits.held_out.shape
        ((1437, 1, 8, 8), (360, 1, 8, 8))
    """
    _check_name(name)
    with _lock:
        return _load(name, root())


def available(name: str) -> bool:
    """Whether ``load`` needs no network: bundled, generated, or whole files on disk.

    Arguments:
        name: One of the keys of ``DATA_SHAPES``.

    Raises:
        DataError: If there is no such set.

    Example:
        >>> available("shapes")
        True
    """
    _check_name(name)
    return name not in FILES or downloads.whole(name, root())


def fetch(name: str, progress: Progress | None = None) -> None:
    """Has torchvision download a set, unless its files are there already.

    One process downloads at a time, others wait and then find the files. A set appears under
    ``root()`` only when its checksum is right and every file is whole.

    Arguments:
        name: One of the keys of ``DATA_SHAPES``.
        progress: Called from this thread about five times a second.

    Raises:
        DataError: If there is no such set, or it cannot be fetched or written.
    """
    if not available(name):
        downloads.fetch(name, root(), progress or (lambda done, total: None))


def ensure(name: str, progress: Progress | None = None) -> tuple[str, str | None]:
    """Fetches a set if that is needed, and names the bundled one if it cannot be had.

    Arguments:
        name: One of the keys of ``DATA_SHAPES``.
        progress: As for ``fetch``.

    Returns:
        The name to load, and a sentence to show if that is not the one asked for.

    Example:
        >>> ensure("digits")
        ('digits', None)
    """
    try:
        fetch(name, progress)
    except DataError as error:
        sentence = str(error).removesuffix(".")
        return "mnist-subset", f"{sentence}; the bundled MNIST subset is used instead."
    return name, None


def at_hand(name: str) -> Dataset:
    """The data set of a run without a download: full MNIST is stood in for by its bundled cut.

    The cut's training images are training images of MNIST, and its held-out ones test images, so
    a model trained on the full set may be looked at and judged on it.

    Arguments:
        name: One of the keys of ``DATA_SHAPES``.

    Returns:
        The data set; its own ``name`` tells which.

    Raises:
        DataError: If there is no such set, or another set's files are missing or damaged.

    Example:
        >>> at_hand("digits").name
        'digits'
    """
    return load("mnist-subset" if name == "mnist" and not available(name) else name)


def binarise(images: Tensor, generator: torch.Generator | None = None) -> Tensor:
    r"""Draws black-or-white images from grey ones.

    .. math:: P(\text{pixel} = 1) = \text{grey} / 255

    An integer drawn evenly from 0, …, 254 lies below the grey value with just this probability;
    0 stays 0 and 255 becomes 1, always.

    Arguments:
        images: Grey values, uint8 from 0 to 255, of any shape.
        generator: The source of randomness, on the device of the images.

    Returns:
        Zeros and ones, float32, with the shape of ``images``.

    Example:
        >>> binarise(torch.tensor([0, 255], dtype=torch.uint8))
        tensor([0., 1.])
    """
    return torch.empty_like(images).random_(0, 255, generator=generator).lt(images).float()


def _check_name(name: str) -> None:
    """Refuses the name of no data set."""
    if name not in DATA_SHAPES:
        raise DataError(f"There is no data set called {name!r:.60}.")


@lru_cache(maxsize=4)
def _load(name: str, folder: Path) -> Dataset:
    """Reads or makes one set."""
    if name in FILES:
        arrays, label_names = downloads.read(name, folder), FILES[name].label_names
    elif name == "mnist-subset":
        arrays, label_names = _subset(), _DIGITS
    elif name == "digits":
        arrays, label_names = _digits(), _DIGITS
    else:
        arrays, label_names = _generated(name)
    checksum = hashlib.sha256()
    for array in arrays:
        checksum.update(np.ascontiguousarray(array))
    return Dataset(name, *arrays, label_names, checksum.hexdigest())


def _subset() -> Arrays:
    """The bundled cut of MNIST."""
    try:
        content = SUBSET.read_bytes()
    except OSError as error:
        raise DataError(f"The bundled {SUBSET} cannot be read ({error.strerror}).") from error
    if hashlib.sha256(content).hexdigest() != SUBSET_SHA256:
        raise DataError(
            f"The bundled {SUBSET} is damaged: get it again with git checkout -- {SUBSET.name}."
        )
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return (
            arrays["train"],
            arrays["train_labels"].astype(np.int64),
            arrays["held_out"],
            arrays["held_out_labels"].astype(np.int64),
        )


def _digits() -> Arrays:
    """scikit-learn's digits; every fifth of each label, in their order, is held out."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images = np.rint(pixels * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    labels = labels.astype(np.int64)
    held_out = np.zeros(len(labels), bool)
    held_out[np.argsort(labels, kind="stable")[::5]] = True
    return images[~held_out], labels[~held_out], images[held_out], labels[held_out]


def _generated(name: str) -> tuple[Arrays, tuple[str, ...]]:
    """A set from ``vae.toys``: seed 0 trains, seed 1 is held out."""
    if name == "shapes":
        (train, train_factors), (held_out, factors) = toys.shapes(10_000, 0), toys.shapes(2_000, 1)
        return (train, train_factors.kind, held_out, factors.kind), toys.KINDS
    mixture = {"gaussian-mixture": toys.GAUSSIAN_MIXTURE, "pinwheel": toys.PINWHEEL}[name]
    label_names = tuple(str(component) for component in range(len(mixture.weights)))
    return (*toys.sample(mixture, 10_000, 0), *toys.sample(mixture, 2_000, 1)), label_names
