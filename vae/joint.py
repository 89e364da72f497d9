r"""log p(x, z) of all data at all latents as one matrix product, with one or two latent dimensions.

.. math:: \log p(x, z) = t(x) \cdot \varphi(z) + b(z) + c(x)

Every likelihood of this project is linear in x given z; see ``likelihoods.natural``. Where the
decoder ends in a dense layer that is narrower than the data, φ is what enters that layer.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn
from torch.distributions import Independent
from torch.nn import functional

from vae.dense import dense, split
from vae.likelihoods import log_base, natural
from vae.model import VAE

#: How often halves are multiplied before the logarithm: 3 give products of 8.
FOLDS = 3


class QuadratureError(ValueError):
    """What keeps an integral over the latents from being computed, in one sentence."""


class Joint:
    """A model's log p(x, z), ready to be evaluated at many latents.

    A Gaussian likelihood is computed in float64, since its terms cancel; the others in the
    precision of the model.

    Arguments:
        model: A model with one or two latent dimensions.
        observed: Which of the d coordinates of a datum count, bool with shape (d); all if not
            given. The others drop out of the likelihood.

    Raises:
        QuadratureError: If the model has more latent dimensions, or weights that are not finite;
            if the mask has another shape.

    Example:
        >>> from vae.config import RunConfig
        >>> model = VAE(RunConfig(dataset="digits", hidden=(16,)))
        >>> joint = Joint(model)
        >>> (t, c), (phi, b) = joint.project(torch.zeros(5, 1, 8, 8)), joint.at(torch.zeros(7, 2))
        >>> (t @ phi.T + b + c[:, None]).shape
        torch.Size([5, 7])
    """

    def __init__(self, model: VAE, observed: Tensor | None = None) -> None:
        if model.latent_dim > 2:
            raise QuadratureError(
                f"A grid needs a model with one or two latent dimensions, and this one has "
                f"{model.latent_dim}: use importance sampling or AIS."
            )
        if not all(p.isfinite().all() for p in model.state_dict().values()):
            raise QuadratureError(
                "Some weights of this model are not finite: choose an earlier checkpoint, or "
                "train it again with a smaller learning rate."
            )
        self.shape, self.latent_dim = model.shape, model.latent_dim
        self.observed = _mask(observed, math.prod(model.shape))
        model = copy.deepcopy(model).requires_grad_(False)
        if model.likelihood == "gaussian":
            model = model.double()
        self.dtype, self.prior, self.likelihood = model.zero.dtype, model.prior(), model.likelihood
        self._gain = model.log_scale.exp() ** -2 if self.likelihood == "gaussian" else 1.0
        self._body, last = split(model.decoder)
        self._last = last if last is not None and last.in_features < last.out_features else None
        if self._last is not None:  # the head alone, from φ to p(x given z) of what is observed
            model.decoder = _Head(self._last, self.observed)
            model.shape = (len(model.decoder.bias),)
        self._model = model

    @torch.no_grad()
    def features(self, z: Tensor) -> Tensor:
        """From latents (G, D) to φ (G, F)."""
        z = z.to(self.dtype)
        return natural(self._model.decode(z)).eta if self._last is None else self._body(z)

    @torch.no_grad()
    def answer(self, z: Tensor, phi: Tensor) -> Independent:
        """p(x given z), with batch shape (G), of latents (G, D) and their φ: of the observed
        coordinates alone if the decoder was split, of all of them otherwise."""
        return self._model.decode(z.to(self.dtype) if self._last is None else phi)

    @torch.no_grad()
    def at(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """φ (G, F) and b (G), the log-prior less the log-partition, of latents (G, D)."""
        phi = self.features(z)
        if self._last is not None and self.likelihood == "bernoulli":
            log_partition = self._model.decoder.softplus_sum(phi)
        elif self._last is None and self.likelihood == "bernoulli":
            eta = phi if self.observed is None else phi[:, self.observed]
            log_partition = functional.softplus(eta).sum(-1)
        else:
            mask = self.observed if self._last is None else None
            log_partition = natural(self.answer(z, phi), mask).log_partition
        return phi, self.prior.log_prob(z.to(self.dtype)) - log_partition

    @torch.no_grad()
    def project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """t (N, F) and c (N), float64, of data (N, *event).

        Raises:
            QuadratureError: If the data do not fit the model, or are not finite.
        """
        if x.shape[1:] != self.shape:
            raise QuadratureError(
                f"Data of shape {tuple(x.shape[1:])} do not fit this model, which takes "
                f"{tuple(self.shape)}: choose data of the set it was trained on."
            )
        x = x.to(self.dtype)
        if not x.isfinite().all():
            raise QuadratureError("Some data are not finite numbers: mend them first.")
        z = torch.zeros(1, self.latent_dim)
        p_x = self.answer(z, self.features(z))
        base = log_base(p_x, x, self.observed).double()
        x = x.flatten(1)
        x = x if self.observed is None else x * self.observed
        if self._last is None:
            return x, base
        x = x * self._gain
        return x @ self._last.weight, base + (x @ self._last.bias).double()


def _mask(observed: Tensor | None, d: int) -> Tensor | None:
    """The mask, flat; nothing if every coordinate counts."""
    if observed is None:
        return None
    observed = torch.as_tensor(observed).bool().flatten()
    if len(observed) != d:
        raise QuadratureError(f"The mask has {len(observed)} entries, and a datum has {d}.")
    return None if observed.all() else observed


class _Head(nn.Module):
    """The last layer of a decoder, or some of its outputs."""

    def __init__(self, layer: nn.Linear, rows: Tensor | None) -> None:
        super().__init__()
        weight, bias = layer.weight.detach(), layer.bias.detach()
        self.weight, self.bias = (w if rows is None else w[rows] for w in (weight, bias))
        self.negated = -self.weight, -self.bias

    def forward(self, phi: Tensor) -> Tensor:
        """From φ (G, F) to outputs (G, d)."""
        return dense(phi, self.weight, self.bias)

    def softplus_sum(self, phi: Tensor) -> Tensor:
        """Σ softplus(l) over the outputs l, as -Σ log σ(-l), one logarithm for 2^FOLDS of them."""
        s = dense(phi, *self.negated, "sigmoid")
        for _ in range(FOLDS):
            half, odd = divmod(s.shape[1], 2)
            s = s if odd else s[:, :half].mul_(s[:, half:])
        total = s.log_().sum(-1).neg_()
        lost = (s < math.log(torch.finfo(s.dtype).tiny)).any(-1)  # products that underflowed
        if lost.any():
            total[lost] = functional.softplus(self(phi[lost])).sum(-1)
        return total
