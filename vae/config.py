"""The whole truth of a run: one frozen, validated record."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

#: 2 brought the families full and flow, and the linear body; 3 brought conditional. All are read.
CONFIG_VERSION = 3

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

    # Model: p(x, z) = p(z) p(x|z) and q(z|x)
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
                "second convolution, and the width of the dense layer, such as 16, 32, 256"
            )
        return self


#: Configurations with a name: the shipped runs, and what the sidebar offers first.
PRESETS: dict[str, RunConfig] = {
    "digits-2d": RunConfig(
        name="digits-2d",
        dataset="digits",
        hidden=(256, 128),
        epochs=200,
        batch_size=64,
        schedule="cosine",
        evaluate_every=2,
    ),
    "mnist-subset-2d": RunConfig(name="mnist-subset-2d", hidden=(400,), epochs=30),
    "shapes-2d": RunConfig(name="shapes-2d", dataset="shapes", hidden=(400,), epochs=30),
    "digits-linear-2d": RunConfig(
        name="digits-linear-2d",
        dataset="digits",
        binarisation="none",
        body="linear",
        hidden=(),
        family="full",
        likelihood="gaussian",
        epochs=100,
        batch_size=64,
        learning_rate=1e-2,
        schedule="cosine",
        evaluate_every=2,
    ),
    "digits-conditional-2d": RunConfig(
        name="digits-conditional-2d",
        dataset="digits",
        hidden=(256, 128),
        conditional=True,
        epochs=200,
        batch_size=64,
        schedule="cosine",
        evaluate_every=2,
    ),
    "mnist-2d": RunConfig(
        name="mnist-2d",
        dataset="mnist",
        hidden=(400, 200),
        epochs=200,
        schedule="cosine",
        evaluate_every=2,
    ),
    "mnist-2d-conv": RunConfig(
        name="mnist-2d-conv",
        dataset="mnist",
        body="conv",
        hidden=(16, 32, 256),
        epochs=60,
        schedule="cosine",
    ),
    "mnist-50d": RunConfig(
        name="mnist-50d",
        dataset="mnist",
        hidden=(200, 200),
        activation="tanh",
        latent_dim=50,
        epochs=200,
        schedule="cosine",
        evaluate_every=2,
    ),
}
