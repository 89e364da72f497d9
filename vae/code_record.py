"""What is written down about an epoch of a VQ-VAE: its bound, and how it spends its codes."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vae.vqvae import VQVAE

#: Data that are encoded at once.
ROWS = 500
#: Logits of the prior over codes that are in memory at once.
N_LOGITS = 2**24


class Spending(NamedTuple):
    """How often a codebook is used: ``counts`` (L, n_codes) over some set of latents."""

    counts: np.ndarray

    @property
    def share(self) -> np.ndarray:
        """The share of the latents that use each code, with shape (L, n_codes)."""
        return self.counts / np.maximum(1, self.counts.sum(-1, keepdims=True))

    @property
    def perplexity(self) -> np.ndarray:
        r"""exp of the entropy of the shares, level by level: as many codes, used evenly, would be
        as hard to guess. From 1 to n_codes.

        Example:
            >>> Spending(np.array([[2, 2, 0, 0]])).perplexity
            array([2.])
        """
        share = self.share
        logs = np.log(share, out=np.zeros_like(share), where=share > 0)
        return np.exp(-(share * logs).sum(-1))

    @property
    def dead(self) -> np.ndarray:
        """Codes that none of the latents use, level by level."""
        return (self.counts == 0).sum(-1)

    @property
    def used(self) -> np.ndarray:
        """The share of the codes that are used at least once, level by level."""
        return (self.counts > 0).mean(-1)


class Judged(NamedTuple):
    """N data under a model: of each distortion, rate and squared error in nats and in grey² per
    number of the datum; commitment and codebook terms averaged over them; codes (N, L, H, W)."""

    distortion: Tensor
    rate: Tensor
    squared_error: Tensor
    commitment: float
    codebook: float
    codes: Tensor


@torch.no_grad()
def judge(model: VQVAE, x: Tensor) -> Judged:
    """The bound of every datum, and the codes it is given.

    Arguments:
        model: The model; it is not changed.
        x: Data, with shape (N, *event).

    Returns:
        See ``Judged``; float64, except the codes.

    Example:
        >>> from vae.config import RunConfig
        >>> model = VQVAE(RunConfig(model="vq-vae", dataset="digits", map_side=1))
        >>> judge(model, torch.zeros(3, 1, 8, 8)).rate  # log 128
        tensor([4.8520, 4.8520, 4.8520], dtype=torch.float64)
    """
    found = []
    rows = min(ROWS, max(1, N_LOGITS // (model.n_latents * model.n_codes)))
    for part in x.split(rows):
        q = model.quantise(part)
        codes = q.code_indices.movedim(0, 1)
        p_x = model.decode_vectors(q.quantised)
        squares = (p_x.mean - part).square().flatten(1).mean(-1)
        pulls = q.commitment.sum().double(), q.codebook.sum().double()
        found.append((-p_x.log_prob(part), -model.prior.log_prob(codes), squares, *pulls, codes))
    distortion, rate, squares, commitment, codebook, codes = zip(*found, strict=True)
    return Judged(
        torch.cat(distortion).double(),
        torch.cat(rate).double(),
        torch.cat(squares).double(),
        float(sum(commitment)) / len(x),
        float(sum(codebook)) / len(x),
        torch.cat(codes),
    )


def bits_per_dim(nats: float, n: int) -> float:
    """A bound in nats as bits for each of the n numbers of a datum; lower is better.

    Example:
        >>> round(bits_per_dim(-90.0, 784), 3)
        0.166
    """
    return -nats / (n * math.log(2))


def spending(codes: Tensor, n_codes: int) -> Spending:
    """How often maps (N, L, H, W) use each code."""
    levels = codes.movedim(1, 0).flatten(1)
    counts = [torch.bincount(level, minlength=n_codes) for level in levels]
    return Spending(torch.stack(counts).cpu().numpy())


def record(model: VQVAE, sets: dict[str, Tensor], batch_size: int) -> dict[str, Any]:
    """What is written down about an epoch, on train and held-out data, in nats.

    Arguments:
        model: The model; where its codes stand is remembered for the next record.
        sets: Fixed data of each split, on the model's device.
        batch_size: Of training: perplexity and usage are also taken over so many data at a time.

    Returns:
        For each split ``elbo``, ``elbo_se``, ``rate``, ``distortion`` (under the model's own prior,
        which is uniform until it is trained), ``elbo_uniform``, ``rate_uniform``,
        ``bits_per_dim``, ``squared_error``, ``commitment``, ``codebook``, and, level by level,
        ``perplexity``, ``usage``, ``dead`` (over the split's data) and ``batch_perplexity``,
        ``batch_usage`` (means over its batches). Beside them ``moved``, how far codes moved since
        the last record (root mean square), and ``revived``, how often one was revived so far.

    Source:
        van den Oord et al. 2017 for the bound.
    """
    out: dict[str, Any] = {}
    for split, x in sets.items():
        found = judge(model, x)
        value = -(found.distortion + found.rate)
        whole = spending(found.codes, model.n_codes)
        parts = [spending(part, model.n_codes) for part in found.codes.split(batch_size)]
        out[split] = {
            "elbo": value.mean().item(),
            "elbo_se": (value.std() / len(value) ** 0.5).item(),
            "rate": found.rate.mean().item(),
            "distortion": found.distortion.mean().item(),
            "elbo_uniform": -found.distortion.mean().item() - model.uniform,
            "rate_uniform": model.uniform,
            "bits_per_dim": bits_per_dim(value.mean().item(), x[0].numel()),
            "squared_error": found.squared_error.mean().item(),
            "commitment": found.commitment,
            "codebook": found.codebook,
            "perplexity": whole.perplexity.round(3).tolist(),
            "usage": whole.used.round(4).tolist(),
            "dead": whole.dead.tolist(),
            "batch_perplexity": np.mean([p.perplexity for p in parts], 0).round(3).tolist(),
            "batch_usage": np.mean([p.used for p in parts], 0).round(4).tolist(),
        }
    now = model.quantiser.codebook.detach()
    moved = (now - model.before).square().sum(-1).mean().sqrt().item()
    model.before.copy_(now)
    return out | {"moved": moved, "revived": int(model.quantiser.revived.sum())}
