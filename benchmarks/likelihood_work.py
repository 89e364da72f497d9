"""What benchmarks/likelihood.py compares: this project's estimates, their peers, and the limits."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

sys.path.insert(0, str(Path(__file__).parents[1]))

from vae import conditional, importance
from vae.dense import dense
from vae.likelihoods import natural
from vae.model import VAE

#: Samples per image, as in the literature; images of one call.
K, IMAGES = 5_000, 10
#: The lattice that exact values are checked on: as fine as the narrowest posterior, and as wide as
#: the prior and every encoded image.
FINE_STEP, FINE_RADIUS = 1 / 128, 8.0

#: Does some work, and says how many images times samples it was.
Work = Callable[[], int]


def own(model: VAE, x: Tensor) -> Work:
    """The shipped path: values, errors, effective sample size, Pareto shape and the K ladder."""

    def work() -> int:
        importance.judge(model, x[:IMAGES], K)
        return IMAGES * K

    return work


def products(model: VAE, *, fast: bool) -> Work:
    """What no such estimate can do without: the decoder's products, in the tiles that we use.

    As ``nn.Linear`` does them, and as we do, by oneDNN, which matters on processors by AMD.
    """
    rows = conditional.ROWS["cpu"]
    layers = [m for m in model.decoder.modules() if isinstance(m, nn.Linear)]
    h = [torch.randn(rows, layer.in_features) for layer in layers]

    @torch.no_grad()
    def work() -> int:
        for _ in range(K // rows):
            for i, layer in enumerate(layers):
                if fast:
                    dense(h[i], layer.weight, layer.bias)
                else:
                    layer(h[i])
        return K // rows * rows

    return work


def agreement(model: VAE, x: Tensor) -> str:
    """What this project and pythae say of the same images: they compute the same thing."""
    judged = importance.judge(model, x[:IMAGES], K)
    theirs = _pythae_model(model).get_nll(x[:IMAGES], n_samples=K)
    error = math.sqrt((judged.se**2).sum()) / IMAGES
    return (
        f"Mean over {IMAGES} images: ours {judged.log_evidence.mean():.3f} ± {error:.3f} nats, "
        f"pythae {theirs:.3f} (it calls log p an NLL, and has as much noise again)."
    )


def naive(model: VAE, x: Tensor) -> Work:
    """As one would write it: an image at a time, all samples at once."""
    at = iter(range(10**9))

    @torch.no_grad()
    def work() -> int:
        image = x[next(at) % len(x)][None]
        q = model.encode(image)
        z = q.sample((K,))
        probs = torch.sigmoid(model.decoder(z[:, 0]))
        bce = F.binary_cross_entropy(probs, image.expand_as(probs), reduction="none")
        log_p = -bce.flatten(1).sum(1)
        log_w = log_p + model.prior().log_prob(z[:, 0]) - q.log_prob(z)[:, 0]
        (torch.logsumexp(log_w, 0) - math.log(K)).item()
        return K

    return work


def pythae(model: VAE, x: Tensor, batch_size: int) -> Work:
    """pythae's ``get_nll``, unchanged, with networks of the same layers and the same weights."""
    peer, at = _pythae_model(model), iter(range(10**9))

    def work() -> int:
        i = next(at) % len(x)
        peer.get_nll(x[i : i + 1], n_samples=K, batch_size=batch_size)
        return K // batch_size * batch_size

    return work


def _pythae_model(model: VAE) -> nn.Module:
    """A pythae VAE around a model's own encoder and decoder."""
    from pythae.models import VAE as PythaeVAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.body = model.encoder

        def forward(self, x: Tensor) -> ModelOutput:
            loc, log_scale = self.body(x).chunk(2, -1)
            return ModelOutput(embedding=loc, log_covariance=2 * log_scale)

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(model.decoder, nn.Sigmoid())

        def forward(self, z: Tensor) -> ModelOutput:
            return ModelOutput(reconstruction=self.body(z))

    config = VAEConfig(
        input_dim=model.shape, latent_dim=model.latent_dim, reconstruction_loss="bce"
    )
    return PythaeVAE(config, Encoder(), Decoder())


class Recorded(TorchDispatchMode):
    """Notes the shapes of all matrix products that are computed under it."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: Counter[tuple] = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        if name in {"mm", "addmm", "bmm", "baddbmm"}:
            a, b = args[-2:]
            self.shapes[(a.shape, b.shape, a.dtype)] += 1
        elif name == "_linear_pointwise":
            self.shapes[(args[0].shape, args[1].T.shape, args[0].dtype)] += 1
        return function(*args, **(kwargs or {}))


def replay(shapes: Counter[tuple]) -> None:
    """Computes products of these shapes, and nothing else."""
    for (a, b, dtype), count in shapes.items():
        left, right = torch.ones(a, dtype=dtype), torch.ones(b, dtype=dtype)
        out = torch.matmul(left, right)
        for _ in range(count - 1):
            torch.matmul(left, right, out=out)


@torch.no_grad()
def brute_force(model: VAE, x: Tensor) -> Tensor:
    """log p(x) by the plainest sum there is, on a lattice that resolves every posterior."""
    axis = torch.arange(-FINE_RADIUS, FINE_RADIUS, FINE_STEP)
    total = torch.full((len(x),), -torch.inf, dtype=torch.float64)
    for first in axis.split(2):
        z = torch.cartesian_prod(first, axis)
        eta, log_partition = natural(model.decode(z))
        bias = model.prior().log_prob(z) - log_partition
        log_joint = torch.addmm(bias[:, None], eta, x.flatten(1).T)
        top = log_joint.amax(0)
        part = top.double() + (log_joint - top).clamp_(min=-60).exp_().sum(0).double().log()
        total = torch.logaddexp(total, part)
    return total + 2 * math.log(FINE_STEP)
