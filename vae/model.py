"""The variational autoencoder: p(x, z) = p(z) p(x given z), and q(z given x)."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal
from torch.utils.flop_counter import FlopCounterMode

from vae import vqvae
from vae.config import ConfigError, RunConfig
from vae.families import family
from vae.labelled import Labelled
from vae.likelihoods import likelihood
from vae.nn import (
    AffineEncoder,
    apply_to_events,
    conv_decoder,
    conv_encoder,
    mlp_decoder,
    mlp_encoder,
)
from vae.vqvae import VQVAE

#: More parameters than this are refused: 50 million are 200 MB of weights and 800 MB in training.
MAX_PARAMETERS = 50_000_000


class VAE(nn.Module):
    r"""A variational autoencoder whose methods return distributions.

    .. math:: p(x, z) = \mathcal{N}(z; 0, I)\, p_\theta(x \mid z), \qquad
        q_\phi(z \mid x) \in \text{a family}

    A conditional model is p(x, z given y) and q(z given x, y): tell it the label y first, with
    ``given``.

    Arguments:
        config: The run's configuration; only its model fields matter here.

    Raises:
        ConfigError: If the model would have more than ``MAX_PARAMETERS`` parameters.

    Source:
        Kingma & Welling 2014, Auto-Encoding Variational Bayes; Sohn, Lee & Yan 2015 for the label.

    Example:
        >>> model = VAE(RunConfig(dataset="digits", hidden=(32,)))
        >>> x = torch.zeros(5, 1, 8, 8)
        >>> model.log_weights(x, K=3).shape
        torch.Size([3, 5])
    """

    def __init__(self, config: RunConfig) -> None:
        super().__init__()
        refuse_absurd(config)
        self.likelihood = config.likelihood
        self.shape = config.shape
        self.latent_dim = config.latent_dim
        self.family = family(config.family, config.latent_dim)
        self.encoder, self.decoder = _labelled(config, _bodies(config, self.family.n_parameters))
        self.labels: Tensor | None = None  #: one for each datum, in a view that ``given`` made
        if config.likelihood == "gaussian":
            self.log_scale = nn.Parameter(torch.tensor(-1.0))
        self.register_buffer("zero", torch.zeros(config.latent_dim), persistent=False)
        self.register_buffer("one", torch.ones(config.latent_dim), persistent=False)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.zero.device

    @property
    def conditional(self) -> bool:
        """Whether it must be told a label."""
        return isinstance(self.encoder, Labelled)

    @property
    def n_labels(self) -> int:
        """How many labels it knows."""
        return len(self.encoder.shift) if isinstance(self.encoder, Labelled) else 0

    def given(self, y: int | Tensor) -> VAE:
        """The model as it is when told a label, or one label for each datum.

        Told one label it is an ordinary VAE, and a copy: quadrature, SVI and all else work on it,
        and what is done to it does not change this model. Told one for each of B data it is a view
        that shares every weight, to be trained through; it takes data (B, *event) and latents
        (*, B, D), and only its ``prior``, ``encode``, ``decode`` and ``log_weights`` mean anything.

        Arguments:
            y: A label, or int64 labels with shape (B) on the model's device.

        Returns:
            The model that was told; itself if it is not conditional.

        Raises:
            ValueError: If it knows no such label.

        Source:
            Sohn, Lee & Yan 2015.

        Example:
            >>> model = VAE(RunConfig(dataset="digits", hidden=(16,), conditional=True))
            >>> model.given(3).decode(torch.zeros(5, 2)).batch_shape
            torch.Size([5])
            >>> model.given(torch.tensor([3, 8])).log_weights(torch.zeros(2, 1, 8, 8), K=4).shape
            torch.Size([4, 2])
        """
        if not self.conditional:
            return self
        if isinstance(y, Tensor):
            view = copy.copy(self)  # an object of its own, whose modules are this model's
            view.labels = y
            return view
        if not 0 <= y < self.n_labels:
            raise ValueError(f"there is no label {y}: this model knows 0 to {self.n_labels - 1}")
        told = copy.deepcopy(self)
        told.encoder, told.decoder = self.encoder.folded(y), self.decoder.folded(y)
        told.labels = None
        return told

    def prior(self) -> Independent:
        """p(z) = N(0, I), with event shape (D)."""
        return Independent(Normal(self.zero, self.one, validate_args=False), 1)

    def encode(self, x: Tensor) -> Distribution:
        """q(z given x), the encoder's answer.

        Arguments:
            x: Data, with shape (*, *event); pixels in [0, 1].

        Returns:
            A distribution of the model's family, with batch shape (*) and event shape (D); see
            ``families`` for its moments.

        Raises:
            ValueError: If the model is conditional and was told no label, or other than B.
        """
        return self.family(self._through(self.encoder, x, len(self.shape)))

    def decode(self, z: Tensor) -> Distribution:
        """p(x given z), as a distribution over data.

        Arguments:
            z: Latents, with shape (*, D).

        Returns:
            A factorised distribution with batch shape (*) and the event shape of the data.

        Raises:
            ValueError: If the model is conditional and was told no label, or other than B.
        """
        out = self._through(self.decoder, z, 1)
        return likelihood(self.likelihood, out, getattr(self, "log_scale", None), len(self.shape))

    def log_weights(self, x: Tensor, K: int) -> Tensor:
        r"""Draws K latents per datum from the encoder and weighs them.

        .. math:: \log w_{kb} = \log p(x_b, z_{kb}) - \log q(z_{kb} \mid x_b)

        Memory grows with K times B times the size of a datum; split large K over calls.

        Arguments:
            x: Data, with shape (B, *event).
            K: The number of samples per datum.

        Returns:
            The log-weights, with shape (K, B), in nats; differentiable.
        """
        q = self.encode(x)
        z = q.rsample((K,))
        return self.prior().log_prob(z) + self.decode(z).log_prob(x) - q.log_prob(z)

    def _through(self, body: nn.Module, x: Tensor, event_dims: int) -> Tensor:
        """What a body answers, told the labels if it takes any."""
        if isinstance(body, Labelled):
            return body.told(x, self.labels, event_dims)
        return apply_to_events(body, x, event_dims)


def build(config: RunConfig) -> VAE | VQVAE:
    """The model that a configuration describes, with fresh weights.

    Raises:
        ConfigError: If it would have more than ``MAX_PARAMETERS`` parameters.
    """
    if not config.is_vq:
        return VAE(config)
    refuse_absurd(config)
    return VQVAE(config)


def count_parameters(config: RunConfig) -> int:
    """The number of parameters of a configuration, counted without allocating any.

    Arguments:
        config: The configuration.

    Returns:
        The number of trainable numbers.

    Raises:
        Nothing: sizes within the bounds of ``RunConfig`` can always be counted.

    Source:
        PyTorch's meta device: shapes without storage.

    Example:
        >>> count_parameters(RunConfig(hidden=(400,), latent_dim=20))
        652824
    """
    if config.is_vq:
        return vqvae.count_parameters(config)
    q = family(config.family, config.latent_dim)
    with torch.device("meta"):
        bodies = _labelled(config, _bodies(config, q.n_parameters))
    n = sum(p.numel() for part in (q, *bodies) for p in part.parameters())
    return n + (config.likelihood == "gaussian")


def flops_per_datum(config: RunConfig) -> int:
    """Floating-point operations of one training step, per datum, counted without computing.

    Arguments:
        config: The configuration.

    Returns:
        Three times the forward pass of encoder, family and decoder (k draws and decodes for the
        IWAE objective).

    Raises:
        Nothing of its own.

    Source:
        PyTorch's flop counter, on the meta device; a backward pass costs two forward ones.

    Example:
        >>> flops_per_datum(RunConfig(hidden=(400,), latent_dim=20))
        3907200
    """
    if config.is_vq:
        return vqvae.flops_per_datum(config)
    q = family(config.family, config.latent_dim)
    parameters = torch.zeros(1, q.n_parameters)
    with torch.device("meta"):
        encoder, decoder = _bodies(config, q.n_parameters)
        x, z = torch.zeros(1, *config.shape), torch.zeros(1, config.latent_dim)
    once = _flops(lambda: encoder(x))
    per_sample = _flops(lambda: decoder(z)) + _flops(lambda: q(parameters).sample())
    return 3 * (once + config.k * per_sample)


def _flops(forward: Callable[[], object]) -> int:
    """What a computation costs."""
    with FlopCounterMode(display=False) as counter:
        forward()
    return counter.get_total_flops()


def _bodies(config: RunConfig, n_out: int) -> tuple[nn.Module, nn.Module]:
    """Encoder, which gives n_out numbers, and decoder."""
    shape, hidden, activation = config.shape, config.hidden, config.activation
    latent_dim = config.latent_dim
    if config.body == "linear":
        encoder = AffineEncoder(shape, latent_dim, n_out)
        return encoder, mlp_decoder(latent_dim, (), shape, activation)
    encode, decode = (
        (mlp_encoder, mlp_decoder) if config.body == "mlp" else (conv_encoder, conv_decoder)
    )
    return (
        encode(shape, hidden, n_out, activation),
        decode(latent_dim, hidden, shape, activation),
    )


def _labelled(config: RunConfig, bodies: tuple[nn.Module, ...]) -> tuple[nn.Module, ...]:
    """The bodies, told labels if the model is conditional."""
    return tuple(Labelled(b, config.n_labels) for b in bodies) if config.conditional else bodies


def refuse_absurd(config: RunConfig) -> None:
    """Says no, in words, before anything is allocated."""
    n = count_parameters(config)
    if n > MAX_PARAMETERS:
        raise ConfigError(
            f"This model would have {n:,} parameters and the limit is {MAX_PARAMETERS:,}: "
            "make the hidden sizes smaller."
        )
