"""Where SVI starts: the encoder's answer, the prior, or given latents."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.distributions import Independent

from vae.families import covariance, moments
from vae.likelihoods import natural
from vae.model import VAE

#: How far the two decodes lie from z whose difference is a derivative, in units of the prior.
NEARBY = 1e-3

Start = Literal["encoder", "prior"] | Tensor


@torch.no_grad()
def gaussian_start(
    model: VAE,
    x: Tensor,
    family: str,
    start: Start,
    scale: float | None,
    observed: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Means (N, D) and Cholesky factors (N, D, D) to begin with; see ``svi_gaussian.init``."""
    _require_fit(model, x, family)
    identity = torch.eye(model.latent_dim).to(model.zero).expand(len(x), -1, -1)
    if isinstance(start, str) and start == "prior":
        return model.zero.expand(len(x), -1).clone(), identity.clone()
    if isinstance(start, str) and start == "encoder":
        q = model.encode(x)
        loc, width = moments(q)
        lean = family == "full" and not isinstance(q, Independent)
        return loc, torch.linalg.cholesky(covariance(q)) if lean else torch.diag_embed(width)
    if isinstance(start, str) or start.shape != (len(x), model.latent_dim):
        raise ValueError(
            f"SVI starts at the encoder, at the prior, or at latents with shape ({len(x)}, "
            f"{model.latent_dim}), not at {start if isinstance(start, str) else [*start.shape]}"
        )
    loc = start.to(model.zero)
    if scale is not None:
        return loc, scale * identity
    precision = identity + _information(model, loc, observed)
    if family == "diagonal":
        return loc, torch.diag_embed(precision.diagonal(dim1=-2, dim2=-1).rsqrt())
    return loc, torch.linalg.cholesky(torch.linalg.inv(precision))


def _information(model: VAE, z: Tensor, observed: Tensor | None) -> Tensor:
    """Fisher information of p(x given z) at z (N, D): Jηᵀ Jmean, for an exponential family."""
    axes = NEARBY * torch.eye(z.shape[1]).to(z)
    p_x = model.decode(torch.stack((z.unsqueeze(1) + axes, z.unsqueeze(1) - axes)))
    mean = p_x.mean.flatten(3)
    both = natural(p_x, observed).eta, mean if observed is None else mean[..., observed]
    eta, mean = ((ahead - behind) / (2 * NEARBY) for ahead, behind in both)
    information = eta @ mean.mT
    return (information + information.mT) / 2


def _require_fit(model: VAE, x: Tensor, family: str) -> None:
    """Says no to what cannot be fitted."""
    if family not in ("diagonal", "full"):
        raise ValueError(f"a Gaussian is diagonal or full, not “{family}”: for flows see svi_flow")
    if tuple(x.shape[1:]) != tuple(model.shape) or len(x) == 0:
        raise ValueError(
            f"x has shape {tuple(x.shape)} and the model takes (N, "
            f"{', '.join(map(str, model.shape))}): give it data of the set it was trained on"
        )
