"""The sets that torchvision fetches: where their files lie, reading them, fetching them."""

from __future__ import annotations

import errno
import math
import os
import re
import shutil
import tempfile
import threading
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from filelock import FileLock

from vae import torchvision_remedy
from vae.config import DATA_SHAPES

#: A download on which nothing happens for this long has failed; in seconds.
PATIENCE = 60.0

#: Training images or points, their labels, and the same held out.
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
#: Told the bytes done and the bytes in all.
Progress = Callable[[int, int], None]


class DataError(Exception):
    """A data set that cannot be had, in one sentence for a person."""


class Files(NamedTuple):
    """A set as torchvision keeps it: class and folder, file prefixes, labels, bytes to fetch."""

    folder: str
    train: str
    held_out: str
    label_names: tuple[str, ...]
    size: int


_CLOTHES = "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag"
_SYLLABLES = "o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"
_LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")
FILES = {
    "mnist": Files("MNIST", "train", "t10k", tuple("0123456789"), 11_594_722),
    "fashion-mnist": Files("FashionMNIST", "train", "t10k", (*_CLOTHES, "ankle boot"), 30_878_645),
    "kmnist": Files("KMNIST", "train", "t10k", _SYLLABLES, 21_240_888),
    "emnist-letters": Files(
        "EMNIST", "emnist-letters-train", "emnist-letters-test", _LETTERS, 561_753_746
    ),
}


def whole(name: str, folder: Path) -> bool:
    """Whether the four files of a set lie under a root, each as long as its header says."""
    for path, dimensions in _paths(name, folder):
        try:
            with path.open("rb") as file:
                header, size = file.read(16), os.fstat(file.fileno()).st_size
        except OSError:
            return False
        if _shape(header, size, dimensions) is None:
            return False
    return True


def read(name: str, folder: Path) -> Arrays:
    """Reads a set from the files that torchvision leaves under a root.

    Raises:
        DataError: If a file is missing, unreadable or damaged.
    """
    arrays = []
    for path, dimensions in _paths(name, folder):
        try:
            content = np.fromfile(path, np.uint8)
        except (FileNotFoundError, NotADirectoryError):
            raise DataError(
                f"{name} is not on this machine ({path} is missing): fetch it, or set VAE_DATA to "
                f"a folder that holds {path.parent.relative_to(folder)}."
            ) from None
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}).") from error
        shape = _shape(content[:16].tobytes(), content.size, dimensions)
        if shape is None:
            raise DataError(f"{path} is damaged: delete it, and fetch {name} again.")
        arrays.append(content[4 + 4 * dimensions :].reshape(shape))
    train, train_labels, held_out, held_out_labels = arrays
    if name == "emnist-letters":  # kept mirrored at the diagonal, with labels from 1
        train, held_out = train.transpose(0, 2, 1).copy(), held_out.transpose(0, 2, 1).copy()
        train_labels, held_out_labels = train_labels - 1, held_out_labels - 1
    for images, labels in ((train, train_labels), (held_out, held_out_labels)):
        fit = images.shape == (len(labels), *DATA_SHAPES[name][1:])
        if not fit or labels.max() >= len(FILES[name].label_names):
            raise DataError(
                f"The files in {path.parent} do not belong together: delete them, and fetch "
                f"{name} again."
            )
    return (
        train[:, None],
        train_labels.astype(np.int64),
        held_out[:, None],
        held_out_labels.astype(np.int64),
    )


def fetch(name: str, folder: Path, progress: Progress) -> None:
    """Has torchvision download a set into a root, unless another process just did.

    One downloader at a time: the others wait, and then find the files. A set appears under the
    root only when its checksum is right and every file is whole.

    Raises:
        DataError: If the set cannot be fetched or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".download.lock"):
            if not whole(name, folder):
                for left_behind in folder.glob(".download-*/"):  # by a process that was killed
                    shutil.rmtree(left_behind, ignore_errors=True)
                _download(name, folder, progress)
    except DataError:
        raise
    except Exception as error:  # torchvision, and what it calls, raise a dozen kinds
        raise DataError(f"{name} could not be downloaded: {_reason(error)}.") from error


def _download(name: str, folder: Path, progress: Progress) -> None:
    """Downloads into a folder of its own, then moves the files to where they belong."""
    torchvision_remedy.mend()
    from torchvision import datasets

    split = {"split": "letters"} if name == "emnist-letters" else {}
    temporary = Path(tempfile.mkdtemp(prefix=".download-", dir=folder))
    failures: list[Exception] = []

    def work() -> None:
        """Leaves its failure to the thread that waits."""
        try:
            getattr(datasets, FILES[name].folder)(temporary, download=True, **split)
        except Exception as error:
            failures.append(error)

    try:
        worker = threading.Thread(target=work, daemon=True)  # a stalled one must not hold the exit
        worker.start()
        _watch(worker, temporary, FILES[name].size, progress)
        if failures:
            raise failures[0]
        if not whole(name, temporary):
            raise RuntimeError("File corrupted.")
        moves = zip(_paths(name, temporary), _paths(name, folder), strict=True)
        for (source, _), (target, _) in moves:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(source, target)
        progress(FILES[name].size, FILES[name].size)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _watch(worker: threading.Thread, folder: Path, size: int, progress: Progress) -> None:
    """Reports the bytes that arrive in a folder until the worker ends, or nothing happens."""
    before, since = 0, time.monotonic()
    while worker.is_alive():
        worker.join(0.2)
        arrived, written = _bytes(folder)
        progress(min(arrived, size), size)
        if written != before:
            before, since = written, time.monotonic()
        elif time.monotonic() - since > PATIENCE:
            raise TimeoutError(f"nothing arrived for {PATIENCE:.0f} seconds")


def _bytes(folder: Path) -> tuple[int, int]:
    """Bytes that arrived in a folder as archives, and all bytes in it, unpacked ones too."""
    arrived = written = 0
    for place, _, names in os.walk(folder):
        for path in (Path(place, name) for name in names):
            try:
                size = path.stat().st_size
            except OSError:  # unpacked, and gone since
                continue
            written += size
            if path.parent.name == "raw" and path.suffix in (".gz", ".zip"):
                arrived += size
    return arrived, written


def _reason(error: Exception) -> str:
    """Why a download failed, in a few words."""
    text = str(error)
    if isinstance(error, ImportError):
        return f"torchvision does not import ({text})"
    if isinstance(error, TimeoutError) and "arrived" in text:
        return text
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "the disk is full"
    if isinstance(error, OSError) and error.errno and error.filename:
        return f"{error.filename} cannot be written ({error.strerror})"
    if isinstance(error, (EOFError, zlib.error, zipfile.BadZipFile)) or "corrupted" in text:
        return "what arrived does not match its checksum"
    if answer := re.search(r"HTTP Error \d+", text):
        return f"the server answered {answer[0]}"
    if isinstance(error, OSError) or text.startswith("Error downloading"):
        return "no server sent it (is there a network?)"
    return f"{error!r:.200}"


def _paths(name: str, folder: Path) -> list[tuple[Path, int]]:
    """The four files of a set, in the order of ``Arrays``, and the dimensions of what they hold."""
    files = FILES[name]
    raw = folder / files.folder / "raw"
    return [
        (raw / f"{prefix}-{kind}-idx{dimensions}-ubyte", dimensions)
        for prefix in (files.train, files.held_out)
        for kind, dimensions in (("images", 3), ("labels", 1))
    ]


def _shape(header: bytes, size: int, dimensions: int) -> tuple[int, ...] | None:
    """The shape that an idx file of bytes states, or nothing if the file is not whole."""
    start = 4 + 4 * dimensions
    if size <= start:
        return None
    magic, *shape = np.frombuffer(header[:start], ">i4").tolist()
    stated = start + math.prod(shape)
    return tuple(shape) if (magic, stated) == (0x800 + dimensions, size) else None
