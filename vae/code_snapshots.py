"""A codebook as it stood after an epoch, kept so that its learning can be replayed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vae import runs
from vae.code_record import spending
from vae.files import DamagedFile, read_tensors, write_tensors
from vae.fsq import FiniteScalarQuantizer
from vae.runs import RunError
from vae.vqvae import VQVAE

#: Vectors of held-out data that are kept beside the codes, the numbers in all of them at most, and
#: data whose codes are counted.
N_VECTORS, N_NUMBERS, N_DATA = 1_500, 24_000, 2_000


class CodeSnapshot(NamedTuple):
    """Code vectors (L, n_codes, D), the counts of their use over held-out data (L, n_codes), a few
    encoder outputs (M, D), and the labels (M) of the data they are of."""

    codebook: np.ndarray
    counts: np.ndarray
    vectors: np.ndarray
    labels: np.ndarray


@torch.no_grad()
def some_vectors(model: VQVAE, x: Tensor, labels: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Encoder outputs (n, D) as codes are compared with them (squeezed into its box by FSQ, of
    length 1 by cosine), evenly taken from maps of data (N, *event), with their labels."""
    z, quantiser = model.latents(x).flatten(1, 2), model.quantiser
    if isinstance(quantiser, FiniteScalarQuantizer):
        z = quantiser.bounded(z)
    elif quantiser.cosine:
        z = functional.normalize(z, dim=-1)
    count = min(n, z.shape[0] * z.shape[1])
    at = torch.linspace(0, z.shape[0] * z.shape[1] - 1, count, device=z.device).long()
    return z.flatten(0, 1)[at], labels.to(at.device)[at // z.shape[1]]


@torch.no_grad()
def write_snapshot(run_id: str, model: VQVAE, x: Tensor, labels: Tensor, epoch: int) -> None:
    """Keeps the codebook, how held-out data (N, *event) use it, and where their vectors lie."""
    x, labels = x[:N_DATA], labels[:N_DATA]
    codes = torch.cat([model.encode(part) for part in x.split(500)])
    few = x[: max(50, N_VECTORS // model.side**2)]
    vectors, of = some_vectors(model, few, labels, min(N_VECTORS, N_NUMBERS // model.dim))
    tensors = {
        "codebook": model.quantiser.codebook.detach().half(),
        "counts": torch.from_numpy(spending(codes, model.n_codes).counts).int(),
        "vectors": vectors.half(),
        "labels": of.to(torch.uint8),
    }
    folder = runs.folder(run_id) / "snapshots"
    folder.mkdir(exist_ok=True)
    write_tensors(folder / f"{epoch:05d}.safetensors", tensors, {"epoch": str(epoch)})


def read_snapshot(run_id: str, epoch: int) -> CodeSnapshot:
    """Reads the codebook of a run as it stood after an epoch.

    Arguments:
        run_id: The run.
        epoch: One of ``runs.snapshots``.

    Raises:
        RunError: If that epoch was not kept, or its file is damaged.
    """
    path = runs.folder(run_id) / "snapshots" / f"{epoch:05d}.safetensors"
    try:
        tensors, _ = read_tensors(path)
        codebook, counts, vectors, labels = (
            tensors[name] for name in ("codebook", "counts", "vectors", "labels")
        )
    except (FileNotFoundError, DamagedFile, KeyError) as error:
        raise RunError(f"Epoch {epoch} of {run_id} cannot be shown: it was not kept.") from error
    return CodeSnapshot(
        codebook.float().numpy(),
        counts.long().numpy(),
        vectors.float().numpy(),
        labels.long().numpy(),
    )
