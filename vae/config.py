"""The whole truth of a run: one frozen, validated record."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

#: 2 brought the families full and flow, and the linear body; 3 conditional; 4 the VQ-VAE. All are
#: read.
CONFIG_VERSION = 4

#: Event shape of every data set: (C, H, W) for images, (2,) for points in the plane.
DATA_SHAPES: dict[str, tuple[int, ...]] = {
    "mnist-subset": (1, 28, 28),
    "digits": (1, 8, 8),
    "shapes": (1, 28, 28),
    "mnist": (1, 28, 28),
    "fashion-mnist": (1, 28, 28),
    "kmnist": (1, 28, 28),
    "emnist-letters": (1, 28, 28),
    "gaussian-mixture": (2,),
    "pinwheel": (2,),
}

#: How many labels each data set has.
N_LABELS: dict[str, int] = {
    "mnist-subset": 10,
    "digits": 10,
    "shapes": 4,
    "mnist": 10,
    "fashion-mnist": 10,
    "kmnist": 10,
    "emnist-letters": 26,
    "gaussian-mixture": 8,
    "pinwheel": 5,
}

#: How many data train.
N_TRAIN: dict[str, int] = {
    "mnist-subset": 10_000,
    "digits": 1_437,
    "shapes": 10_000,
    "mnist": 60_000,
    "fashion-mnist": 60_000,
    "kmnist": 60_000,
    "emnist-letters": 124_800,
    "gaussian-mixture": 10_000,
    "pinwheel": 10_000,
}

#: Data sets that torchvision fetches (or finds under ``VAE_DATA``); the others need nothing.
DOWNLOADED = ("mnist", "fashion-mnist", "kmnist", "emnist-letters")

DatasetName = Literal[
    "mnist-subset",
    "digits",
    "shapes",
    "mnist",
    "fashion-mnist",
    "kmnist",
    "emnist-letters",
    "gaussian-mixture",
    "pinwheel",
]
Width = Annotated[int, Field(ge=1, le=8192)]


#: What only a VQ-VAE has.
CODE_FIELDS = (
    "quantiser",
    "n_codes",
    "map_side",
    "levels",
    "fsq_levels",
    "codebook",
    "decay",
    "commitment",
    "through",
    "kmeans_init",
    "revival",
    "cosine",
    "prior_epochs",
)


def halvings(side: int) -> tuple[int, ...]:
    """The sides of an image on its way down to one pixel, each half of the one before.

    Example:
        >>> halvings(28)
        (28, 14, 7, 4, 2, 1)
    """
    return (side,) if side == 1 else (side, *halvings((side + 1) // 2))


class ConfigError(ValueError):
    """A configuration that cannot be used, in one sentence for the person who wrote it."""


class RunConfig(BaseModel):
    """Everything that decides what a training run computes.

    Arguments are plain fields; every field has bounds, an unknown field is refused, and the
    record never changes after it is made. Sizes are counts, β and the learning rate have no
    unit, and the seed decides every random number of the run.

    Raises:
        pydantic.ValidationError: If a field is unknown, out of bounds, or fits no other field.
            ``reading.explain`` turns it into one sentence.

    Example:
        >>> RunConfig(dataset="digits", latent_dim=3).latent_dim
        3
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Annotated[int, Field(ge=1)] = CONFIG_VERSION
    name: Annotated[str, Field(max_length=80, description="what people call the run")] = ""

    # Data
    dataset: DatasetName = "mnist-subset"
    binarisation: Literal["dynamic", "fixed", "none"] = "dynamic"

    # Model: p(x, z) = p(z) p(x|z) and q(z|x); of a VQ-VAE z is a map of codes
    model: Annotated[
        Literal["vae", "vq-vae"], Field(description="latents that are numbers, or codes")
    ] = "vae"
    body: Literal["mlp", "conv", "linear"] = "mlp"
    hidden: Annotated[
        tuple[Width, ...],
        Field(max_length=6, description="widths, or channels; none for a linear body"),
    ] = (400,)
    activation: Literal["relu", "tanh"] = "relu"
    latent_dim: Annotated[int, Field(ge=1, le=128)] = 2
    family: Annotated[
        Literal["diagonal", "full", "flow"],
        Field(description="shape of q(z|x): an ellipse along the axes, a leaning one, or any"),
    ] = "diagonal"
    likelihood: Literal["bernoulli", "continuous-bernoulli", "gaussian"] = "bernoulli"
    conditional: Annotated[
        bool, Field(description="tell encoder and decoder the label y: p(x|y), q(z|x,y)")
    ] = False

    # Codes: of a VQ-VAE only, whose latent_dim is the length of a code vector
    quantiser: Annotated[
        Literal["vq", "fsq"], Field(description="codes that are learned, or a fixed lattice")
    ] = "vq"
    n_codes: Annotated[int, Field(ge=2, le=8192, description="vectors in the codebook")] = 128
    map_side: Annotated[int, Field(ge=1, le=14, description="the map has so many codes a side")] = 7
    levels: Annotated[
        int, Field(ge=1, le=4, description="codebooks, each for what those before left over")
    ] = 1
    fsq_levels: Annotated[
        tuple[Annotated[int, Field(ge=3, le=64)], ...],
        Field(max_length=8, description="values of each dimension of an FSQ lattice"),
    ] = ()
    codebook: Annotated[
        Literal["ema", "loss"], Field(description="learned by moving averages, or by gradients")
    ] = "ema"
    decay: Annotated[float, Field(ge=0, lt=1, description="of the moving averages")] = 0.99
    commitment: Annotated[
        float, Field(ge=0, le=100, description="weight that keeps the encoder near its codes")
    ] = 0.25
    through: Annotated[
        Literal["straight-through", "rotation"],
        Field(description="how the gradient passes the choice of a code"),
    ] = "straight-through"
    kmeans_init: Annotated[bool, Field(description="start the codebook by k-means")] = True
    revival: Annotated[bool, Field(description="move codes that nobody uses")] = True
    cosine: Annotated[bool, Field(description="compare directions only")] = False
    prior_epochs: Annotated[
        int, Field(ge=0, le=10_000, description="then train a prior over the code maps")
    ] = 0

    # Objective
    objective: Literal["elbo", "iwae"] = "elbo"
    k: Annotated[int, Field(ge=1, le=512, description="samples of the IWAE bound")] = 1
    beta: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] = 1.0
    beta_warmup: Annotated[int, Field(ge=0, le=10_000, description="epochs from 0 to β")] = 0

    # Optimisation
    batch_size: Annotated[int, Field(ge=1, le=16_384)] = 128
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 20
    learning_rate: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] = 1e-3
    schedule: Literal["constant", "cosine"] = "constant"
    max_grad_norm: Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)] = 1_000.0

    # Running
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    evaluate_every: Annotated[int, Field(ge=1, le=1_000, description="epochs")] = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Event shape of one datum."""
        return DATA_SHAPES[self.dataset]

    @property
    def n_labels(self) -> int:
        """How many labels the data have, whether the model is told them or not."""
        return N_LABELS[self.dataset]

    @property
    def is_vq(self) -> bool:
        """Whether its latents are codes."""
        return self.model == "vq-vae"

    @property
    def all_epochs(self) -> int:
        """Epochs of the model, and of the prior over its codes after it."""
        return self.epochs + self.prior_epochs

    @property
    def n_latents(self) -> int:
        """Codes of one datum, all levels together."""
        return self.map_side**2 * self.levels

    @model_validator(mode="after")
    def _codes_fit(self) -> Self:
        if not self.is_vq:
            for name in CODE_FIELDS:
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f"{name} is a setting of a VQ-VAE: set model to vq-vae")
            return self
        for name in ("family", "conditional", "objective", "beta", "beta_warmup"):
            default = type(self).model_fields[name].default
            if getattr(self, name) != default:
                raise ValueError(
                    f"a VQ-VAE has no {name}: its q(z|x) names one code for certain, and its rate "
                    f"is a constant while it trains; set {name} to {default}"
                )
        if self.body == "linear":
            raise ValueError("a VQ-VAE needs a body that bends: choose body mlp or conv")
        if self.quantiser == "fsq":
            self._lattice_fits()
        elif self.fsq_levels:
            raise ValueError("fsq_levels are those of a lattice: leave them out, or choose fsq")
        elif self.latent_dim < 2:
            raise ValueError(
                "code vectors of one number lie on a line, where each code has two neighbours at "
                "most and moves past none: set latent_dim to 2 or more, or choose quantiser fsq"
            )
        elif self.latent_dim > 64:
            raise ValueError("code vectors have at most 64 numbers: set latent_dim to 64 or less")
        if self.cosine and self.levels > 1:
            raise ValueError(
                "with cosine all codes have length 1, and what a level leaves over is far shorter: "
                "set levels to 1, or cosine to false"
            )
        n = N_TRAIN[self.dataset] * self.map_side**2
        if self.n_codes > n:
            raise ValueError(
                f"there are more codes ({self.n_codes:,}) than vectors to share them among: "
                f"{self.dataset} trains with {n:,} of them; make n_codes smaller"
            )
        if len(self.shape) == 3 and self.map_side > self.shape[-1]:
            raise ValueError(
                f"a map of {self.map_side} codes a side is larger than an image of "
                f"{self.shape[-1]} pixels a side: make map_side smaller"
            )
        if self.body == "conv" and self.map_side not in halvings(self.shape[-1])[1:]:
            sides = ", ".join(map(str, reversed(halvings(self.shape[-1])[1:])))
            raise ValueError(
                f"convolutions that halve a side of {self.shape[-1]} reach maps of {sides}: set "
                "map_side to one of these, or choose body mlp"
            )
        return self

    def _lattice_fits(self) -> None:
        n = math.prod(self.fsq_levels)
        if len(self.fsq_levels) == 1:
            raise ValueError("a lattice of one dimension is a ladder: give fsq_levels two or more")
        if not self.fsq_levels or (self.latent_dim, self.n_codes) != (len(self.fsq_levels), n):
            raise ValueError(
                "an FSQ lattice has one dimension for each of fsq_levels, and as many codes as "
                "their product: with fsq_levels 8, 5, 5 set latent_dim to 3 and n_codes to 200"
            )
        if self.levels > 1 or self.cosine or self.codebook == "loss" or self.through == "rotation":
            raise ValueError(
                "an FSQ lattice is fixed, has one level and rounds: leave levels, cosine, codebook "
                "and through as they are"
            )

    @model_validator(mode="after")
    def _fields_fit_each_other(self) -> Self:
        if self.version > CONFIG_VERSION:
            raise ValueError(
                f"this configuration was written by a newer ELBO Room (version {self.version}, "
                f"this one reads {CONFIG_VERSION}); update the app to open it"
            )
        grey_gaussian = (self.likelihood, self.binarisation) == ("gaussian", "none")
        if len(self.shape) == 1 and not (self.body in ("mlp", "linear") and grey_gaussian):
            raise ValueError(
                f"the set {self.dataset} holds points in the plane, not pixels: choose body mlp "
                "or linear, likelihood gaussian and binarisation none"
            )
        if self.body == "linear" and not grey_gaussian:
            raise ValueError(
                "the linear body is probabilistic PCA, which is exact for grey values with "
                "Gaussian noise: set likelihood to gaussian and binarisation to none"
            )
        if self.likelihood == "bernoulli" and self.binarisation == "none":
            raise ValueError(
                "a Bernoulli likelihood gives probability to 0 and 1 only, and grey pixels are "
                "neither: binarise the data (dynamic or fixed), or choose a continuous-Bernoulli "
                "or Gaussian likelihood"
            )
        if self.likelihood != "bernoulli" and self.binarisation != "none":
            raise ValueError(
                f"a {self.likelihood} likelihood is a density over grey values: set binarisation "
                "to none, or choose a Bernoulli likelihood for binary pixels"
            )
        if self.objective == "elbo" and self.k != 1:
            raise ValueError(
                f"the ELBO takes one sample, not k = {self.k}: set objective to iwae, or k to 1"
            )
        if self.objective == "iwae" and (self.beta != 1 or self.beta_warmup):
            raise ValueError(
                "the IWAE bound has no rate term for β to weigh: set β to 1 and the warm-up to 0, "
                "or the objective to elbo"
            )
        if self.body == "linear" and self.conditional:
            raise ValueError(
                "the linear body is one probabilistic PCA for all data and is told no label: set "
                "conditional to false, or choose body mlp or conv"
            )
        if self.body == "linear" and self.hidden:
            raise ValueError(
                "the linear body has no hidden layers: leave hidden empty, or choose body mlp"
            )
        if self.body == "mlp" and not self.hidden:
            raise ValueError(
                "the mlp body needs at least one hidden layer, such as 400, or choose body linear"
            )
        if self.body == "conv" and len(self.hidden) != 3:
            raise ValueError(
                "the convolutional body takes three hidden sizes: channels of the first and of the "
                "further convolutions, and the width of the dense layer, such as 16, 32, 256"
            )
        return self
