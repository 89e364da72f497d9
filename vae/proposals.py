"""Where importance samples come from: proposals, and noise that belongs to a datum.

A proposal is a distribution over latents with one entry per datum. It is sampled by carrying
standard normals to latents, so that the noise can be that of the datum whatever else is evaluated.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal, constraints

#: An odd number near 2^32 over the golden ratio: seeds of different runs lie far from each other.
STRIDE = 2_654_435_769


def noise(K: int, first: int, n: int, dim: int, seed: int = 0) -> Tensor:
    """Standard normals of data first, …, first + n - 1, each from a generator of its own.

    The noise of a datum depends on its number, the seed, K and ``dim``, and on nothing else: not on
    tiles, and not on which other data are evaluated.

    Arguments:
        K: Samples per datum.
        first: The number of the first datum.
        n: How many data.
        dim: Normals per sample.
        seed: Any whole number.

    Returns:
        Noise, float32, with shape (K, n, dim).

    Raises:
        RuntimeError: If a size is negative.

    Source:
        One Mersenne Twister per datum, seeded by (seed * STRIDE + datum) mod 2^32, which gives no
        two data of a run the same.

    Example:
        >>> both = noise(K=3, first=0, n=2, dim=4)
        >>> torch.equal(both[:, 1:], noise(K=3, first=1, n=1, dim=4))
        True
    """
    generator = torch.Generator()
    drawn = torch.empty(n, K, dim)
    for i in range(n):
        generator.manual_seed((seed * STRIDE + first + i) % 2**32)
        drawn[i].normal_(generator=generator)
    return drawn.transpose(0, 1)


class Defensive(Distribution):
    r"""A proposal mixed with the prior, so that no weight can run away.

    .. math:: \alpha\, p(z) + (1 - \alpha)\, q(z), \qquad w \le p(x \mid z) / \alpha

    What q misses, the prior visits now and then: of the effective samples that q alone would have,
    at most the share α is lost, and while p(x given z) is bounded the variance of the weights is
    finite.

    Arguments:
        q: The proposal, with batch shape (B) and event shape (D).
        prior: p(z), with event shape (D).
        share: α, the part of the samples that the prior gives, between 0 and 1.

    Raises:
        ValueError: If the share does not lie between 0 and 1.

    Source:
        Hesterberg 1995, Weighted average importance sampling and defensive mixture distributions.

    Example:
        >>> prior = Independent(Normal(torch.zeros(2), torch.ones(2)), 1)
        >>> q = Independent(Normal(torch.zeros(5, 2), torch.full((5, 2), 0.1)), 1)
        >>> Defensive(q, prior, share=0.1).log_prob(torch.full((5, 2), 3.0)).exp() > 1e-6
        tensor([True, True, True, True, True])
    """

    arg_constraints: ClassVar = {}
    support = constraints.real_vector

    def __init__(self, q: Distribution, prior: Distribution, share: float = 0.1) -> None:
        if not 0 < share < 1:
            raise ValueError(f"the share of the prior must lie between 0 and 1, not be {share}")
        self.q, self.prior, self.share = q, prior, share
        super().__init__(q.batch_shape, q.event_shape, validate_args=False)

    def __getitem__(self, index: slice) -> Defensive:
        """The proposals of some of the data."""
        return Defensive(part(self.q, index), self.prior, self.share)

    @property
    def noise_dim(self) -> int:
        """Normals that a sample takes: one chooses the component."""
        return noise_dim(self.q) + 1

    def push(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Latents and their log-density, from standard normals with shape (*, B, noise_dim)."""
        limit = Normal(0.0, 1.0).icdf(torch.tensor(self.share))
        own = from_noise(self.q, noise[..., :-1])[0]
        D = own.shape[-1]
        other = from_noise(self.prior, noise[..., :D])[0]
        z = torch.where(noise[..., -1:] < limit, other.to(own.dtype), own)
        return z, self.log_prob(z)

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:  # noqa: B008
        """Draws without gradients, with shape (*sample_shape, B, D)."""
        shape = (*sample_shape, *self.batch_shape, self.noise_dim)
        with torch.no_grad():
            return self.push(torch.randn(shape))[0]

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-density, in nats."""
        log_share = torch.tensor([self.share, 1 - self.share], dtype=torch.float64).log()
        prior = log_share[0].item() + log_prob(self.prior, value)
        return torch.logaddexp(prior, log_share[1].item() + log_prob(self.q, value))


def defensive(q: Distribution, prior: Distribution, share: float = 0.1) -> Defensive:
    """A proposal mixed with the prior; see ``Defensive``."""
    return Defensive(q, prior, share)


def inflated(q: Distribution, factor: float) -> Distribution:
    """A Gaussian proposal with its scales multiplied: wider tails, fewer wild weights.

    Arguments:
        q: A factorised or full Gaussian, with batch shape (B).
        factor: What to multiply the scales by, above 0.

    Returns:
        The same mean and orientation, wider or narrower.

    Raises:
        ValueError: If the factor is not above 0.
        TypeError: If q is no Gaussian.

    Source:
        Owen 2013, Monte Carlo theory, methods and examples, chapter 9.

    Example:
        >>> q = Independent(Normal(torch.zeros(1, 2), torch.ones(1, 2)), 1)
        >>> inflated(q, 1.5).stddev
        tensor([[1.5000, 1.5000]])
    """
    if not factor > 0:
        raise ValueError(f"the factor of the scales must be above 0, not {factor}")
    if _is_factorised(q):
        return _factorised(q.base_dist.loc, factor * q.base_dist.scale)
    if isinstance(q, MultivariateNormal):
        return _full(q.loc, factor * q.scale_tril)
    raise TypeError(
        f"only a Gaussian can be inflated, not a {type(q).__name__}: mix it with the prior instead"
    )


def noise_dim(q: Distribution) -> int:
    """How many standard normals one sample of a proposal takes."""
    return getattr(q, "noise_dim", q.event_shape[0])


def part(q: Distribution, index: slice) -> Distribution:
    """The proposals of some of the data."""
    if _is_factorised(q):
        return _factorised(q.base_dist.loc[index], q.base_dist.scale[index])
    if isinstance(q, MultivariateNormal):
        return _full(q.loc[index], q.scale_tril[index])
    return q[index]


def from_noise(q: Distribution, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Latents from standard normals, and their log-density under q.

    Arguments:
        q: A Gaussian, or a distribution with a method ``push`` of its own, such as a flow.
        noise: Standard normals, with shape (*, B, noise_dim(q)).

    Returns:
        Latents z with shape (*, B, D), in the precision of q, and log q at exactly these z, float64
        for Gaussians, with shape (*, B), in nats.

    Raises:
        TypeError: If q is neither.

    Source:
        Kingma & Welling 2014, section 2.4: z = g(ε).

    Example:
        >>> q = Independent(Normal(torch.ones(1, 2), torch.ones(1, 2)), 1)
        >>> from_noise(q, torch.zeros(1, 2))[0]
        tensor([[1., 1.]])
    """
    if hasattr(q, "push"):
        return q.push(noise)
    if _is_factorised(q):
        loc, scale = q.base_dist.loc, q.base_dist.scale
        z = torch.addcmul(loc, scale, noise.to(loc.dtype))
    elif isinstance(q, MultivariateNormal):
        z = q.loc + (q.scale_tril @ noise.to(q.loc.dtype).unsqueeze(-1)).squeeze(-1)
    else:
        raise TypeError(f"a {type(q).__name__} cannot propose: give it push(noise) -> (z, log_q)")
    return z, log_prob(q, z)


def log_prob(q: Distribution, z: Tensor) -> Tensor:
    """log q(z), with sums in float64 for Gaussians."""
    if _is_factorised(q):
        loc, scale = q.base_dist.loc, q.base_dist.scale
        distance = torch.linalg.vector_norm((z - loc).div_(scale), dim=-1, dtype=torch.float64)
        log_det = scale.double().log().sum(-1) + 0.5 * loc.shape[-1] * math.log(2 * math.pi)
        return distance.square_().mul_(-0.5).sub_(log_det)
    if isinstance(q, MultivariateNormal):
        return _full(q.loc.double(), q.scale_tril.double()).log_prob(z.double())
    return q.log_prob(z)


def _is_factorised(q: Distribution) -> bool:
    """Whether q is a product of normals over latent dimensions."""
    return isinstance(q, Independent) and isinstance(q.base_dist, Normal)


def _factorised(loc: Tensor, scale: Tensor) -> Independent:
    """A product of normals."""
    return Independent(Normal(loc, scale, validate_args=False), 1, validate_args=False)


def _full(loc: Tensor, scale_tril: Tensor) -> MultivariateNormal:
    """A normal with any covariance."""
    return MultivariateNormal(loc, scale_tril=scale_tril, validate_args=False)
