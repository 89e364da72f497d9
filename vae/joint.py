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

from vae.likelihoods import log_base, natural
from vae.model import VAE


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
        self.dtype = model.zero.dtype
        self.prior = model.prior()
        self.likelihood = model.likelihood
        self._gain = model.log_scale.exp() ** -2 if model.likelihood == "gaussian" else 1.0
        self._body, self._last = _split(model.decoder)
        if self._last is not None:  # the head alone, from φ to p(x given z) of what is observed
            model.decoder = (
                self._last if self.observed is None else _rows(self._last, self.observed)
            )
            model.shape = (model.decoder.out_features,)
        self._head = model

    @torch.no_grad()
    def features(self, z: Tensor) -> tuple[Tensor, Independent]:
        """From latents (G, D) to φ (G, F) and p(x given z), with batch shape (G): of the observed
        coordinates alone if the decoder was split, of all of them otherwise."""
        z = z.to(self.dtype)
        if self._last is None:
            p_x = self._head.decode(z)
            return natural(p_x).eta, p_x
        phi = self._body(z)
        return phi, self._head.decode(phi)

    @torch.no_grad()
    def bias(self, z: Tensor, p_x: Independent) -> Tensor:
        """b(z), with shape (G): the log-prior less the log-partition, in nats."""
        mask = self.observed if self._last is None else None  # else p_x is that of the observed
        log_partition = natural(p_x, mask).log_partition
        return self.prior.log_prob(z.to(self.dtype)) - log_partition

    def at(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """φ (G, F) and b (G) of latents (G, D)."""
        phi, p_x = self.features(z)
        return phi, self.bias(z, p_x)

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
        _, p_x = self.features(torch.zeros(1, self.latent_dim))
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


def _split(decoder: nn.Module) -> tuple[nn.Module | None, nn.Linear | None]:
    """A dense decoder as all but its last layer and that layer; nothing if that is no gain."""
    layers = [m for m in decoder.modules() if not isinstance(m, nn.Sequential | nn.Unflatten)]
    *hidden, last = layers
    if not isinstance(last, nn.Linear) or last.in_features >= last.out_features:
        return None, None
    return nn.Sequential(*hidden), last


def _rows(layer: nn.Linear, rows: Tensor) -> nn.Linear:
    """Some of the outputs of a dense layer."""
    part = copy.deepcopy(layer)
    part.weight, part.bias = (nn.Parameter(p[rows], False) for p in (layer.weight, layer.bias))
    part.out_features = len(part.bias)
    return part
