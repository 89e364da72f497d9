"""Data a few at a time, each time with the model that was told their labels."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from vae.model import VAE


def tiles(model: VAE, x: Tensor, labels: Tensor | None, size: int) -> Iterator[tuple[VAE, Tensor]]:
    """Data a few at a time, each time with the model that was told their labels.

    Arguments:
        model: The model.
        x: Data, with shape (N, *event).
        labels: Their labels, int64 with shape (N), more are ignored; not needed if the model is
            not conditional.
        size: How many at a time.

    Yields:
        The model, told, and a tile of the data.

    Raises:
        Nothing of its own.

    Example:
        >>> from vae.config import RunConfig
        >>> model = VAE(RunConfig(dataset="digits", hidden=(16,), conditional=True))
        >>> x, labels = torch.zeros(5, 1, 8, 8), torch.tensor([0, 1, 2, 3, 4])
        >>> [len(told.encode(tile).mean) for told, tile in tiles(model, x, labels, 2)]
        [2, 2, 1]
    """
    known = [None] * len(x) if labels is None else labels[: len(x)].split(size)
    for tile, own in zip(x.split(size), known, strict=False):
        yield (model if own is None else model.given(own)), tile
