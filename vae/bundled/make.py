"""Cuts the bundled MNIST subset again from the real files.

``VAE_DATA=/folder/with/MNIST python -m vae.bundled.make`` writes ``mnist-subset.npz`` beside
this file and prints the two checksums. The compressed bytes may differ with another zlib; the
arrays, and so the second checksum, do not.
"""

from __future__ import annotations

import hashlib

import numpy as np

from vae import data


def spread(labels: np.ndarray, step: int) -> np.ndarray:
    """Indices of one datum in ``step``, evenly through each label, in file order.

    Line up the data by label, file order kept within a label, and take every ``step``-th. No
    random number is drawn, and every label keeps its share to within one datum.

    Arguments:
        labels: One label per datum, with shape (N,).
        step: How many data there are for each one taken.

    Returns:
        Increasing indices, with shape (⌈N / step⌉,).

    Example:
        >>> spread(np.array([7, 1, 1, 7, 1, 7]), 3)
        array([0, 1])
    """
    return np.sort(np.argsort(labels, kind="stable")[::step])


def main() -> None:
    """Writes the file."""
    full = data.load("mnist")
    train, held_out = spread(full.train_labels, 6), spread(full.held_out_labels, 5)
    np.savez_compressed(
        data.SUBSET,
        train=full.train[train],
        train_labels=full.train_labels[train].astype(np.uint8),
        held_out=full.held_out[held_out],
        held_out_labels=full.held_out_labels[held_out].astype(np.uint8),
    )
    print("file  ", hashlib.sha256(data.SUBSET.read_bytes()).hexdigest())
    print("arrays", data.load("mnist-subset").sha256)


if __name__ == "__main__":
    main()
