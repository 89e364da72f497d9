"""Weights of past epochs, kept so that a bound can be judged as it was while the model learned."""

from __future__ import annotations

import math

from vae import runs
from vae.config import RunConfig
from vae.files import write_tensors
from vae.model import VAE

#: A run keeps the weights of at most about this many past epochs, early ones closer together.
MAX_PAST = 10


def keeps_weights(config: RunConfig, epoch: int) -> bool:
    """Whether the weights of an epoch are kept: few, evenly spaced on a logarithmic scale.

    Example:
        >>> [e for e in range(31) if keeps_weights(RunConfig(epochs=30), e)]
        [0, 1, 2, 3, 4, 6, 8, 11, 16, 22]
    """
    if epoch >= config.epochs:
        return False  # the newest model is kept anyway
    if epoch == 0 or config.epochs / config.evaluate_every <= MAX_PAST:
        return True
    ratio = config.epochs ** (1 / MAX_PAST)
    before = epoch - config.evaluate_every
    return before < 1 or math.floor(math.log(epoch, ratio)) > math.floor(math.log(before, ratio))


def write_weights(run_id: str, model: VAE, epoch: int) -> None:
    """Keeps the weights of an epoch as float16: half the room, and bounds move by far less than
    their standard errors."""
    folder = runs.folder(run_id) / "weights"
    folder.mkdir(exist_ok=True)
    half = {name: t.half() for name, t in model.state_dict().items()}
    write_tensors(folder / f"{epoch:05d}.safetensors", half, {"epoch": str(epoch)})
