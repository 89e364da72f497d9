"""The latent plane as it stood after an epoch, kept so that the training can be replayed."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vae import bounds, families, latent, runs
from vae.config import RunConfig
from vae.files import DamagedFile, read_tensors, write_tensors
from vae.model import VAE
from vae.runs import RunError

#: A run keeps at most about this many snapshots; a longer one thins the later epochs.
MAX_SNAPSHOTS = 60
N_SNAPSHOT, GRID_NODES, GRID_RADIUS = 2_000, 15, 3.0


class Snapshot(NamedTuple):
    """Means, scales and labels of fixed held-out data (N first), the axes of the decoded plane,
    its grid as the bytes of a picture, and covariances as ``latent.Encoded`` has them."""

    loc: np.ndarray
    scale: np.ndarray
    labels: np.ndarray
    axes: tuple[int, int]
    grid: bytes
    covariance: np.ndarray | None = None


def keeps_snapshot(config: RunConfig, epoch: int) -> bool:
    """Whether latents and grid of an epoch are kept: every evaluated one of a short run, and of
    a long one the first, the last, and later ones ever further apart."""
    if epoch in (0, config.epochs) or config.epochs / config.evaluate_every <= MAX_SNAPSHOTS:
        return True
    ratio = config.epochs ** (1 / MAX_SNAPSHOTS)
    before = math.floor(math.log(max(1, epoch - config.evaluate_every), ratio))
    return math.floor(math.log(epoch, ratio)) > before


@torch.no_grad()
def write_snapshot(run_id: str, model: VAE, x: Tensor, labels: Tensor, epoch: int) -> None:
    """Keeps where held-out data lie, and the decoded grid of the plane that carries most rate.

    A conditional model is told the data's own labels, and its grid is kept under every label.
    """
    labels = labels[: len(x)]
    q = model.given(labels).encode(x)
    loc, scale = families.moments(q)
    rates = bounds.rate_per_dimension(families.marginals(q), model.prior()).mean(0).cpu().numpy()
    first, second = _two_busiest(rates)
    plane = latent.axes_plane(model.latent_dim, first, second)
    side = latent.nodes(GRID_NODES, GRID_RADIUS)
    device = model.zero.device
    points = np.stack(np.meshgrid(side, side[::-1]), axis=-1)
    z = torch.as_tensor(plane.to_latent(points), dtype=torch.float32, device=device)
    tensors = {
        "loc": loc.half(),
        "scale": scale.half(),
        "labels": labels.to(torch.uint8),
        "axes": torch.tensor([first, second]),
    }
    for label in range(model.n_labels) if model.conditional else [None]:
        told = model if label is None else model.given(label)
        grid = latent.webp(latent.mosaic(latent.picture(told.decode(z))))
        tensors[_grid(label)] = torch.frombuffer(bytearray(grid), dtype=torch.uint8)
    if (covariance := latent.leaning(q)) is not None:  # as correlations, which half floats hold
        tensors["correlation"] = (covariance / _outer(scale)).half()
    folder = runs.folder(run_id) / "snapshots"
    folder.mkdir(exist_ok=True)
    write_tensors(folder / f"{epoch:05d}.safetensors", tensors, {"epoch": str(epoch)})


def _two_busiest(rates: np.ndarray) -> tuple[int, int]:
    """The two latent dimensions of highest rate, in their order; of one dimension, (0, 1)."""
    if len(rates) < 3:
        return 0, 1
    first, second = sorted(np.argsort(rates)[-2:].tolist())
    return first, second


def _grid(label: int | None) -> str:
    """What the grid is called: of a conditional model there is one for each label."""
    return "grid" if label is None else f"grid.{label}"


def read_snapshot(run_id: str, epoch: int, label: int | None = None) -> Snapshot:
    """Reads the plane of a run as it stood after an epoch.

    Arguments:
        run_id: The run.
        epoch: One of ``runs.snapshots``.
        label: The label under which the grid was decoded, if the run is conditional.

    Raises:
        RunError: If that epoch was not kept, or its file is damaged.
    """
    path = runs.folder(run_id) / "snapshots" / f"{epoch:05d}.safetensors"
    try:
        tensors, _ = read_tensors(path)
        loc, scale, labels = (tensors[name] for name in ("loc", "scale", "labels"))
        first, second = tensors["axes"].tolist()
        grid = tensors[_grid(label)]
    except (FileNotFoundError, DamagedFile, KeyError, ValueError) as error:
        raise RunError(f"Epoch {epoch} of {run_id} cannot be shown: it was not kept.") from error
    covariance = None
    if "correlation" in tensors:
        covariance = (tensors["correlation"].float() * _outer(scale.float())).numpy()
    return Snapshot(
        loc.float().numpy(),
        scale.float().numpy(),
        labels.long().numpy(),
        (first, second),
        grid.numpy().tobytes(),
        covariance,
    )


def _outer(scale: Tensor) -> Tensor:
    """Products of the scales of each two dimensions: (N, D) to (N, D, D)."""
    return scale.unsqueeze(-1) * scale.unsqueeze(-2)
