"""log p(x given z) for very many z, as fast as the decoder's matrix products allow.

For a Bernoulli the logits l are never kept: with s = σ(-l), Σ softplus(l) = -Σ log s, and the
logarithm is taken of products of 16 s, which is a sixteenth of the logarithms; and x · l is
(x W) · h + x · b, as wide as the last hidden layer h instead of the data. Where a product
underflows (logits of its pixels that sum beyond 80 nats), the row is computed anew by softplus, and
the products of what follows are shorter.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from vae.dense import dense, split
from vae.model import VAE

#: Latents decoded at once: what the caches of a processor hold, and what keeps a GPU busy.
ROWS = {"cpu": 1_000, "cuda": 50_000}
#: How often halves are multiplied before the logarithm: 4 give products of 16.
FOLDS = 4

#: From which of the data (B) and latents z (B, K, D) to log p(x|z), with shape (B, K).
Score = Callable[[slice, Tensor], Tensor]


@torch.no_grad()
def log_likelihoods(model: VAE, x: Tensor, z: Tensor) -> Tensor:
    r"""log p(x given z) of each datum at its own latents.

    Memory stays that of ``ROWS`` decoded data, however many latents there are. The products are
    those of the model's precision; for float32 the answers are right to about 1e-4 nats.

    Arguments:
        model: The model, whatever its body and likelihood.
        x: Data, with shape (B, *event).
        z: Latents, with shape (K, B, D).

    Returns:
        log p(x_b given z_kb), with shape (K, B), float64, in nats; no gradients.

    Raises:
        ValueError: If a latent or a weight of the decoder is not finite.

    Source:
        ``VAE.decode(z).log_prob(x)``, which it equals.

    Example:
        >>> from vae.config import RunConfig
        >>> model = VAE(RunConfig(dataset="digits", hidden=(16,)))
        >>> log_likelihoods(model, torch.zeros(3, 1, 8, 8), torch.randn(5, 3, 2)).shape
        torch.Size([5, 3])
    """
    if not all(torch.isfinite(t.sum()) for t in (z, *model.decoder.parameters())):
        raise ValueError(
            "latents or weights of the decoder are not finite: choose an earlier epoch, or another "
            "proposal"
        )
    latents = z.transpose(0, 1).to(model.zero)
    B, K = latents.shape[:2]
    x = x.to(model.zero).reshape(B, -1)
    rows = ROWS.get(model.zero.device.type, ROWS["cpu"])
    score = _score(model, x)
    n_data, n_samples = max(1, rows // max(1, K)), math.ceil(K / max(1, math.ceil(K / rows)))
    out = torch.empty(B, K, dtype=torch.float64, device=model.zero.device)
    for b in range(0, B, n_data):
        data = slice(b, b + n_data)
        for k in range(0, K, n_samples):
            samples = slice(k, k + n_samples)
            out[data, samples] = score(data, latents[data, samples])
    return out.T


def _score(model: VAE, x: Tensor) -> Score:
    """The fastest way that a model's likelihood allows, for data x (B, d)."""
    if model.likelihood == "bernoulli":
        return _bernoulli(model, x)
    if model.likelihood == "gaussian":
        return _gaussian(model, x)
    x = x.view(-1, 1, *model.shape)
    return lambda data, z: model.decode(z).log_prob(x[data]).double()


def _gaussian(model: VAE, x: Tensor) -> Score:
    """From the distance of x to the decoder's mean, which loses no digits."""
    scale = model.log_scale.double().exp().item()
    d = x.shape[1]
    constant = -d * (math.log(scale) + 0.5 * math.log(2 * math.pi))

    def score(data: slice, z: Tensor) -> Tensor:
        means = model.decoder(z.flatten(0, 1)).reshape(*z.shape[:2], d)
        distance = torch.linalg.vector_norm(means.sub_(x[data, None]), dim=-1).double()
        return constant - 0.5 * (distance / scale).square()

    return score


def _bernoulli(model: VAE, x: Tensor) -> Score:
    """By products of sigmoids; see the top of the file."""
    body, last = split(model.decoder)
    if last is None:
        target, constant = x, torch.zeros_like(x[:, :1])
    else:
        weight, bias = last.weight.detach(), last.bias.detach()
        negated_weight, negated_bias = -weight, -bias
        target, constant = x @ weight, (x @ bias)[:, None]
    floor, folds = math.log(torch.finfo(x.dtype).tiny) + 2, FOLDS

    def score(data: slice, z: Tensor) -> Tensor:
        nonlocal folds
        h = body(z.flatten(0, 1))
        if last is None:
            s = h.neg().sigmoid_()
        else:
            s = dense(h, negated_weight, negated_bias, "sigmoid")
        for _ in range(folds):
            half, odd = divmod(s.shape[1], 2)
            s = s if odd else s[:, :half].mul_(s[:, half:])
        log_s = s.log_()
        h = h.view(*z.shape[:2], -1)
        log_p = torch.bmm(h, target[data, :, None]).squeeze(-1).add_(constant[data])
        log_p = log_p.double() + log_s.sum(-1).view_as(log_p)
        if log_s.min() < floor:
            folds = max(1, folds - 1)
            lost = (log_s < floor).any(-1).view_as(log_p).nonzero(as_tuple=True)
            logits = h[lost] if last is None else dense(h[lost], weight, bias, "none")
            logits = logits.double()
            log_p[lost] = (x[data][lost[0]] * logits - functional.softplus(logits)).sum(-1)
        return log_p

    return score
