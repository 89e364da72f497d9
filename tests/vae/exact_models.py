"""Models whose integrals are known otherwise, for the tests of what is computed on lattices."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from vae import linear
from vae.config import RunConfig
from vae.model import VAE


def linear_model(D: int = 2, scale: float = 0.5, seed: int = 0, *, size: float = 0.3) -> VAE:
    """A linear-Gaussian model of digits in float64 with random parameters; q is exact."""
    model = _model("gaussian", D, body="linear", family="full", hidden=())
    g = torch.Generator().manual_seed(seed)
    weight = size * torch.randn(64, D, generator=g, dtype=torch.float64)
    mean = torch.rand(64, generator=g, dtype=torch.float64)
    linear.set_parameters(model, weight, mean, torch.tensor(scale))
    return model


def data_at(model: VAE, z: Tensor, seed: int = 0) -> Tensor:
    """Data that a Gaussian model generates at latents (N, D)."""
    g = torch.Generator().manual_seed(seed)
    p_x = model.decode(z.to(model.zero)).base_dist
    return p_x.loc + p_x.scale * torch.randn(p_x.loc.shape, generator=g, dtype=model.zero.dtype)


def steep_model(likelihood: str, D: int = 2, activation: str = "tanh", steep: float = 3.0) -> VAE:
    """A small decoder of digits, in float64, with weights large enough for uneven posteriors."""
    torch.manual_seed(1)
    model = _model(likelihood, D, hidden=(16, 12), activation=activation)
    for p in model.decoder.parameters():
        p.mul_(steep)
    if likelihood == "gaussian":
        model.log_scale.fill_(-0.5)
    return model


class Folded(nn.Module):
    """Points (z_1², z_2), or (z², 0) with one latent dimension: what z_1 is, but for its sign."""

    def forward(self, z: Tensor) -> Tensor:
        """From latents (B, D) to points (B, 2)."""
        second = z[:, 1:] if z.shape[1] > 1 else torch.zeros_like(z)
        return torch.cat((z[:, :1] ** 2, second), 1)


def folded_model(D: int = 2, scale: float = 0.3) -> VAE:
    """A model of points with two modes: z_1² = x_1 - σ²/2, and z_2 = x_2 / (1 + σ²)."""
    model = _model("gaussian", D, dataset="pinwheel", hidden=(4,))
    model.decoder = Folded()
    model.log_scale.fill_(math.log(scale))
    return model


@torch.no_grad()
def brute_force(model: VAE, x: Tensor, step: float, radius: float = 6.0) -> np.ndarray:
    """log p(x) by one plain sum over a dense lattice, through ``log_prob``."""
    axis = step * torch.arange(-int(radius / step), int(radius / step), dtype=torch.float64)
    z = torch.cartesian_prod(*[axis] * model.latent_dim).view(-1, model.latent_dim)
    z = z.to(model.zero)
    parts = []
    for tile in z.split(4096):
        p_x = model.decode(tile[:, None])
        log_joint = p_x.log_prob(x[None].to(model.zero)) + model.prior().log_prob(tile)[:, None]
        parts.append(log_joint.double().logsumexp(0))
    return (torch.stack(parts).logsumexp(0) + model.latent_dim * math.log(step)).numpy()


def _model(likelihood: str, D: int, **fields: object) -> VAE:
    """A model in float64 that takes no gradients."""
    binarisation = "fixed" if likelihood == "bernoulli" else "none"
    fields = {"dataset": "digits", **fields}
    config = RunConfig(likelihood=likelihood, binarisation=binarisation, latent_dim=D, **fields)
    return VAE(config).double().requires_grad_(False)
