"""A normalising flow as a posterior: a distribution that can bend and split."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property, lru_cache, partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Transform, constraints
from torch.nn import functional
from zuko.flows.autoregressive import MaskedAutoregressiveTransform
from zuko.lazy import LazyComposedTransform
from zuko.transforms import MonotonicRQSTransform

#: Numbers the encoder gives each datum to bend its flow by, bins of a spline, hidden widths.
CONTEXT, BINS, HIDDEN = 16, 8, (32, 32)
#: Half the side of a spline's square, beyond which it is the identity, and its smallest slope.
BOUND, SLOPE = 5.0, 1e-3
#: Nodes behind the moments of a flow, and numbers transformed at once: more would leave the cache.
NODES, TILE = 64, 32_000


class Flow(nn.Module):
    r"""A normalising flow: z = loc + scale · T(ε; context) with ε from N(0, I).

    T is two layers of monotone splines, the second in the reverse order of dimensions; each layer
    is inverted in two passes (coupling). Parameters are loc, log scale and a context. A
    fresh flow is close to the diagonal family, with T near the identity.

    Arguments:
        latent_dim: The number of latent dimensions D.

    Source:
        Rezende & Mohamed 2015, Variational Inference with Normalizing Flows; Durkan et al. 2019,
        Neural Spline Flows; the layers are zuko's.

    Example:
        >>> Flow(2)(torch.zeros(5, 20)).rsample((3,)).shape
        torch.Size([3, 5, 2])
    """

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.n_parameters = 2 * latent_dim + CONTEXT
        order = torch.arange(latent_dim)
        self.layers = LazyComposedTransform(
            *map(partial(_spline, latent_dim), (order, order.flip(0)))
        )

    def forward(self, parameters: Tensor) -> FlowPosterior:
        """From parameters (*, P) to a distribution with batch shape (*) and event shape (D)."""
        loc, log_scale = parameters[..., : 2 * self.latent_dim].chunk(2, -1)
        context = parameters[..., 2 * self.latent_dim :]
        return FlowPosterior(loc, log_scale.exp(), context, self.layers)


def _spline(latent_dim: int, order: Tensor) -> nn.Module:
    """One layer, nearly the identity at first: its network's last weights are small."""
    layer = MaskedAutoregressiveTransform(
        latent_dim,
        CONTEXT,
        passes=2,
        order=order,
        univariate=Spline,
        shapes=((BINS,), (BINS,), (BINS - 1,)),
        hidden_features=HIDDEN,
        activation=nn.SiLU,
    )
    with torch.no_grad():
        layer.hyper[-1].weight.mul_(0.1)
        layer.hyper[-1].bias.zero_()
    return layer


class Spline(MonotonicRQSTransform):
    """zuko's monotone rational-quadratic spline, with a softmax that suits few bins.

    PyTorch's takes 0.25 µs for a row of eight, more than the whole rest of the spline. The numbers
    are bounded here, so that a plain one is safe.

    Arguments:
        widths: Of the bins, unconstrained, with shape (*, bins).
        heights: Of the bins, unconstrained, with shape (*, bins).
        derivatives: At the inner knots, unconstrained, with shape (*, bins - 1).

    Source:
        Durkan et al. 2019, Neural Spline Flows; zuko.transforms.MonotonicRQSTransform.
    """

    def __init__(self, widths: Tensor, heights: Tensor, derivatives: Tensor) -> None:
        Transform.__init__(self)
        self.horizontal, self.vertical = _knots(widths), _knots(heights)
        bounded = derivatives / (1 + (derivatives / math.log(SLOPE)).abs())
        self.derivatives = functional.pad(bounded, (1, 1)).exp()


def _knots(sizes: Tensor) -> Tensor:
    """Places from -BOUND to BOUND, with shape (*, bins + 1)."""
    share = (sizes / (1 + (2 * sizes / math.log(SLOPE)).abs())).exp()
    share = share / share.sum(-1, keepdim=True)
    return BOUND * (2 * functional.pad(share.cumsum(-1), (1, 0)) - 1)


class FlowPosterior(Distribution):
    r"""The distribution of z = loc + scale · T(ε) with ε from N(0, I).

    .. math:: \log q(z) = \log \mathcal{N}(\varepsilon; 0, I) - \log |\det T'(\varepsilon)|
        - \textstyle\sum_d \log \mathrm{scale}_d

    It remembers its last draw: the ``log_prob`` of that very tensor needs no inverse. Its mean and
    covariance have no closed form: they are sums over fixed nodes, right to a few per cent of the
    scale, for figures.

    Arguments:
        loc: Where T's zero lands, with shape (*, D).
        scale: The unit of T, with shape (*, D).
        context: What T depends on, with shape (*, C).
        layers: From a context to T, a bijection of (*, D).

    Source:
        Rezende & Mohamed 2015, eq. 7.

    Example:
        >>> q = Flow(1)(torch.zeros(18))
        >>> z = q.rsample((4,))
        >>> torch.allclose(q.log_prob(z), q.log_prob(z.clone()), atol=1e-4)
        True
    """

    arg_constraints: ClassVar = {}
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self,
        loc: Tensor,
        scale: Tensor,
        context: Tensor,
        layers: Callable[[Tensor], Transform],
    ) -> None:
        super().__init__(loc.shape[:-1], loc.shape[-1:], validate_args=False)
        self.loc, self.scale, self.context, self.layers = loc, scale, context, layers
        self.transform = layers(context)
        self._last: tuple[Tensor, Tensor] | None = None

    def __getitem__(self, index: Any) -> FlowPosterior:
        """The distributions of some of the batch."""
        return FlowPosterior(self.loc[index], self.scale[index], self.context[index], self.layers)

    def push(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """From ε (*sample, *batch, D) to z of the same shape, and log q(z) in nats."""
        y, log_det = self.transform.call_and_ladj(noise)
        log_q = log_normal(noise) - log_det - self.scale.log().sum(-1)
        return self.loc + self.scale * y, log_q

    def rsample_and_log_prob(
        self, shape: torch.Size | tuple[int, ...] = ()
    ) -> tuple[Tensor, Tensor]:
        """Draws z (*sample, *batch, D) and says log q(z), both differentiable, with no inverse."""
        shape = self._extended_shape(torch.Size(shape))
        z, log_q = self.push(torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device))
        self._last = z, log_q
        return z, log_q

    def rsample(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> Tensor:
        """Draws z (*sample, *batch, D), differentiable."""
        return self.rsample_and_log_prob(sample_shape)[0]

    def log_prob(self, value: Tensor) -> Tensor:
        """log q(z) of any z, in nats."""
        if self._last is not None and value is self._last[0]:
            return self._last[1]
        y = (value - self.loc) / self.scale
        noise, log_det = self._tiled(self.transform.inv.call_and_ladj, y)
        return log_normal(noise) + log_det - self.scale.log().sum(-1)

    def _tiled(self, f: Callable[[Tensor], tuple[Tensor, Tensor]], y: Tensor) -> list[Tensor]:
        """A function of (*sample, *batch, D), a tile of samples at a time."""
        samples = y.reshape(-1, *self.loc.shape)
        tiles = samples.split(max(1, TILE // max(1, self.loc.numel())))
        parts = zip(*map(f, tiles), strict=True)
        lead = y.shape[: y.dim() - self.loc.dim()]
        return [torch.cat(part).reshape(lead + part[0].shape[1:]) for part in parts]

    @cached_property
    def _values(self) -> Tensor:
        """T at the fixed nodes, with shape (nodes, *, D)."""
        nodes = _nodes(self.event_shape[0]).to(self.loc)
        noise = nodes.reshape(len(nodes), *(1,) * len(self.batch_shape), -1)
        return self._tiled(self.transform.call_and_ladj, noise.expand(-1, *self.loc.shape))[0]

    @property
    def mean(self) -> Tensor:
        """The mean, with shape (*, D), by fixed nodes."""
        return self.loc + self.scale * self._values.mean(0)

    @property
    def variance(self) -> Tensor:
        """The variance of each dimension, with shape (*, D), by fixed nodes."""
        return self.scale.square() * self._values.var(0, correction=0)

    @property
    def covariance_matrix(self) -> Tensor:
        """The covariance, with shape (*, D, D), by fixed nodes."""
        centred = (self.scale * (self._values - self._values.mean(0))).movedim(0, -1)
        return centred @ centred.mT / NODES


@lru_cache
def _nodes(latent_dim: int) -> Tensor:
    """Fixed nodes of N(0, I), evenly spread, of mean 0, and of covariance I in few dimensions."""
    uniform = torch.quasirandom.SobolEngine(latent_dim, scramble=True, seed=0).draw(
        NODES // 2, dtype=torch.float64
    )
    half = torch.special.ndtri(uniform.clamp(1e-6, 1 - 1e-6))
    covariance = half.T @ half / len(half)
    if latent_dim > NODES // 4:  # too few nodes for more than the variances
        covariance = covariance.diagonal().diag()
    half = torch.linalg.solve_triangular(torch.linalg.cholesky(covariance), half.T, upper=False).T
    return torch.cat((half, -half))


def log_normal(noise: Tensor) -> Tensor:
    """The log-density of N(0, I)."""
    return -0.5 * noise.square().sum(-1) - 0.5 * noise.shape[-1] * math.log(2 * math.pi)
