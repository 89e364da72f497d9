"""The VQ-VAE: an image is a map of codes, and its bound counts what naming them costs."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Independent
from torch.utils.flop_counter import FlopCounterMode

from vae.code_prior import CodePrior, UniformPrior
from vae.config import RunConfig
from vae.fsq import FiniteScalarQuantizer
from vae.likelihoods import likelihood
from vae.nn import map_decoder, map_encoder, mlp_decoder, mlp_encoder
from vae.vq import Quantised, VectorQuantizer

#: Numbers that are compared with all codes at once, of all data together: 64 MB.
N_AT_ONCE = 2**24


class Bound(NamedTuple):
    """Of each of B data, in nats: distortion −log p(x given codes), and rate −log p(codes) under
    the model's own prior."""

    distortion: Tensor
    rate: Tensor

    @property
    def elbo(self) -> Tensor:
        """The bound on log p(x), with shape (B)."""
        return -(self.distortion + self.rate)


class VQVAE(nn.Module):
    r"""A variational autoencoder whose latents are codes, and whose q names one map for certain.

    .. math:: \log p(x) = \log \sum_k p(k)\, p_\theta(x \mid k)
        \;\ge\; \log p_\theta(x \mid k^*) + \log p(k^*), \qquad k^* = k_\phi(x)

    With q one-hot the entropy term of the ELBO is 0, and the rate is what it costs to name k* under
    the prior: n log n_codes if all maps are equally likely, less once a prior was learned.

    Arguments:
        config: The run's configuration, of model ``"vq-vae"``.

    Source:
        van den Oord, Vinyals & Kavukcuoglu 2017, Neural Discrete Representation Learning.

    Example:
        >>> config = RunConfig(model="vq-vae", dataset="digits", hidden=(32,), map_side=2)
        >>> model = VQVAE(config.model_copy(update={"latent_dim": 8}))
        >>> x = torch.zeros(5, 1, 8, 8)
        >>> model.encode(x).shape, model.bound(x).elbo.shape
        (torch.Size([5, 1, 2, 2]), torch.Size([5]))
    """

    def __init__(self, config: RunConfig) -> None:
        super().__init__()
        self.likelihood, self.shape = config.likelihood, config.shape
        self.dim, self.side, self.levels = config.latent_dim, config.map_side, config.levels
        self.n_codes, self.commitment = config.n_codes, config.commitment
        self.encoder, self.decoder = _bodies(config)
        self.quantiser = _quantiser(config)
        prior = CodePrior if config.prior_epochs else UniformPrior
        self.prior = prior((self.levels, self.side, self.side), self.n_codes)
        if config.likelihood == "gaussian":
            self.log_scale = nn.Parameter(torch.tensor(-1.0))
        #: The codebook when it was last recorded: how far codes move is counted from there.
        self.register_buffer("before", self.quantiser.codebook.detach().clone())

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.before.device

    @property
    def n_latents(self) -> int:
        """Codes of one datum, all levels together."""
        return self.levels * self.side**2

    @property
    def uniform(self) -> float:
        """The rate under a uniform prior, in nats a datum."""
        return self.n_latents * math.log(self.n_codes)

    def latents(self, x: Tensor) -> Tensor:
        """What the encoder answers before it is quantised: from (B, *event) to (B, H, W, D)."""
        return self.encoder(x).permute(0, 2, 3, 1)

    def encode(self, x: Tensor) -> Tensor:
        """The map of codes of each datum: int64 (B, L, H, W)."""
        return self.quantiser(self.latents(x)).code_indices.movedim(0, 1)

    def vectors(self, codes: Tensor) -> Tensor:
        """What maps (B, L, H, W), or their first levels, stand for: (B, H, W, D)."""
        return self.quantiser.lookup(codes.movedim(1, 0))

    def decode(self, codes: Tensor) -> Independent:
        """p(x given codes), of maps (B, L, H, W), or of their first levels."""
        return self.decode_vectors(self.vectors(codes))

    def decode_vectors(self, z: Tensor) -> Independent:
        """p(x given z_q), of maps of vectors (B, H, W, D), codes or not."""
        out = self.decoder(z.permute(0, 3, 1, 2))
        scale = getattr(self, "log_scale", None)
        return likelihood(self.likelihood, out, scale, len(self.shape))

    def bound(self, x: Tensor, codes: Tensor | None = None) -> Bound:
        """The two parts of the bound, under the model's own prior.

        Arguments:
            x: Data, with shape (B, *event).
            codes: Maps (B, L, H, W) that q may name instead of the encoder's.

        Returns:
            See ``Bound``; for any codes at all it is a bound on log p(x).
        """
        codes = self.encode(x) if codes is None else codes
        return Bound(-self.decode(codes).log_prob(x), -self.prior.log_prob(codes))

    def log_evidence(self, x: Tensor) -> Tensor:
        r"""log p(x) itself, where one code says all: a sum over the codebook.

        .. math:: \log p(x) = \log \textstyle\sum_k p(k)\, p(x \mid k)

        Arguments:
            x: Data, with shape (B, *event).

        Returns:
            Exact values, with shape (B), in nats.

        Raises:
            ValueError: If a datum has more than one code.

        Example:
            >>> model = VQVAE(RunConfig(model="vq-vae", dataset="digits", map_side=1))
            >>> x = torch.zeros(5, 1, 8, 8)
            >>> (model.log_evidence(x) >= model.bound(x).elbo).all()
            tensor(True)
        """
        rows = max(1, N_AT_ONCE // (self.n_codes * math.prod(self.shape)))
        return torch.cat([self.log_joint(part).logsumexp(-1) for part in x.split(rows)])

    def log_joint(self, x: Tensor) -> Tensor:
        """log p(x, k) of data (B, *event) with each code of a 1 × 1 map: (B, n_codes), in nats.

        Raises:
            ValueError: If a datum has more than one code.
        """
        if self.n_latents > 1:
            raise ValueError(
                f"A datum of this model has {self.n_latents} codes, and log p(x) is a sum over "
                f"{self.n_codes}^{self.n_latents} maps: exact values need a map of 1 × 1 with one "
                "level."
            )
        codes = torch.arange(self.n_codes, device=self.device).view(-1, 1, 1, 1)
        p_x = self.decode(codes).expand((len(x), self.n_codes))
        return p_x.log_prob(x.unsqueeze(1)) + self.prior.log_prob(codes)

    def objective(self, x: Tensor) -> Tensor:
        r"""What training maximises, averaged over a batch; the codebook learns from it on the way.

        .. math:: \log p(x \mid z_q) - \sum \left(|\mathrm{sg}[z] - e|^2
            + \beta\, |z - \mathrm{sg}[e]|^2\right)

        The sums go over a datum's latents and their D numbers, as log p does over pixels; the
        paper averages over the latents. Where the codebook learns by moving averages, its term has
        no gradient.

        Arguments:
            x: A batch, with shape (B, *event).

        Returns:
            A scalar, in nats and squared distances.

        Source:
            van den Oord et al. 2017, eq. 3.
        """
        z = self.latents(x)
        q = self.quantiser(z)
        log_p = self.decode_vectors(q.quantised).log_prob(x).mean()
        pull = (q.codebook + self.commitment * q.commitment).sum() / len(x)
        self.quantiser.learn(z, q)
        return log_p - pull

    def prior_objective(self, x: Tensor) -> Tensor:
        """What the second stage maximises: mean log p(codes) of a batch, in nats; the codes are
        those of a model that stands still."""
        with torch.no_grad():
            codes = self.encode(x)
        return self.prior.log_prob(codes).mean()

    def quantise(self, x: Tensor) -> Quantised:
        """What the quantiser says of data (B, *event); indices are (L, B, H, W)."""
        return self.quantiser(self.latents(x))


def _bodies(config: RunConfig) -> tuple[nn.Module, nn.Module]:
    """From data to maps (B, D, H, W), and back."""
    shape, hidden, side = config.shape, config.hidden, config.map_side
    dim, activation = config.latent_dim, config.activation
    if config.body == "conv":
        return (
            map_encoder(shape, hidden, side, dim, activation),
            map_decoder(dim, hidden, side, shape, activation),
        )
    n = dim * side**2
    encoder = mlp_encoder(shape, hidden, n, activation)
    decoder = mlp_decoder(n, hidden, shape, activation)
    return (
        nn.Sequential(encoder, nn.Unflatten(1, (dim, side, side))),
        nn.Sequential(nn.Flatten(), decoder),
    )


def _quantiser(config: RunConfig) -> VectorQuantizer | FiniteScalarQuantizer:
    """The quantiser that a configuration names."""
    if config.quantiser == "fsq":
        return FiniteScalarQuantizer(config.fsq_levels)
    return VectorQuantizer(
        config.n_codes,
        config.latent_dim,
        levels=config.levels,
        learning=config.codebook,
        decay=config.decay,
        through=config.through,
        cosine=config.cosine,
        revival=config.revival,
    )


def count_parameters(config: RunConfig) -> int:
    """Numbers that training sets: weights, codebooks whether learned by gradients or averages, and
    the prior; counted without allocating any.

    Example:
        >>> count_parameters(RunConfig(model="vq-vae", map_side=1))
        630642
    """
    with torch.device("meta"):
        model = VQVAE(config)
    averaged = model.quantiser.codebook.numel() if config.codebook == "ema" else 0
    fixed = config.quantiser == "fsq"
    return sum(p.numel() for p in model.parameters()) + (0 if fixed else averaged)


def flops_per_datum(config: RunConfig) -> int:
    """Floating-point operations of one training step of the model, per datum, without computing.

    Source:
        PyTorch's flop counter, on the meta device; a backward pass costs two forward ones.
    """
    with torch.device("meta"):
        encoder, decoder = _bodies(config)
        x, side = torch.zeros(1, *config.shape), config.map_side
        with FlopCounterMode(display=False) as counter:
            encoder(x)
            decoder(torch.zeros(1, config.latent_dim, side, side))
    distances = 2 * config.n_latents * config.n_codes * config.latent_dim
    return 3 * counter.get_total_flops() + (distances if config.quantiser == "vq" else 0)


def initialise(model: VQVAE, x: Tensor, config: RunConfig) -> None:
    """Starts the codebook by k-means among the encoder's answers for data (N, *event), if that is
    asked for, and its averages at an even share of a batch."""
    batch = config.batch_size * model.side**2
    if not config.kmeans_init:
        model.quantiser.uses.fill_(batch / model.n_codes)
        model.quantiser.sums.copy_(model.quantiser.vectors.detach() * batch / model.n_codes)
        return
    with torch.no_grad():
        z = torch.cat([model.latents(part).flatten(0, 2) for part in x.split(256)])
    model.quantiser.start(z, config.seed, batch)
    model.before.copy_(model.quantiser.codebook.detach())
