"""The form for a new run: a preset, or any field of its configuration changed."""

from __future__ import annotations

from typing import Any

import streamlit as st
from pydantic import ValidationError

from ui import widgets
from ui.code_form import Choose, Number, code_fields, sizes
from vae import data
from vae.config import DATA_SHAPES, N_TRAIN, ConfigError, RunConfig
from vae.model import count_parameters, flops_per_datum, refuse_absurd
from vae.presets import PRESETS
from vae.reading import explain
from vae.train import choose_device

#: Floating-point operations a second of one training thread, for the estimate of the time.
SPEED = 4e10
#: Seconds that a flow adds to a step, whatever its size: many small operations.
FLOW_STEP = 4e-3
#: Seconds that a step adds, whatever its size, of a VQ-VAE and of the prior over its codes.
VQ_STEP, PRIOR_STEP = 3e-3, 12e-3


def ask() -> RunConfig | None:
    """A preset as it is, or with any field changed; ``None`` while a field is wrong."""
    preset = PRESETS[st.selectbox("Preset", list(PRESETS), index=1, key="preset")]
    with st.expander("All settings"):
        fields = _fields(preset)
    try:
        config = RunConfig(**fields)
        refuse_absurd(config)
        choose_device(config)
    except ValidationError as error:
        st.error(explain(error))
    except ConfigError as error:
        st.error(str(error))
    else:
        n_train = N_TRAIN[config.dataset]
        seconds = config.epochs * n_train * flops_per_datum(config) / SPEED
        steps = n_train / config.batch_size
        if config.is_vq:
            of_prior = 6 * (100_000 + 128 * config.n_codes) * config.n_latents
            seconds += config.epochs * steps * VQ_STEP
            seconds += config.prior_epochs * (n_train * of_prior / SPEED + steps * PRIOR_STEP)
        if config.family == "flow":
            seconds += config.epochs * n_train / config.batch_size * FLOW_STEP
        st.caption(
            f"{count_parameters(config):,} parameters · {config.all_epochs} epochs of {n_train:,} "
            f"data · about {widgets.duration(max(2, seconds))} on one core"
        )
        if not data.available(config.dataset):
            st.caption(
                f"{config.dataset} is not here yet: it is downloaded first. If that fails, the "
                "bundled cut of MNIST (10,000 images) is used, and said."
            )
        return config
    return None


def _fields(preset: RunConfig) -> dict[str, Any]:
    """Every field of a configuration as a widget, starting from the preset's value."""

    def key(field: str) -> str:
        return f"form-{preset.name}-{field}"

    def choose(label: str, field: str, options: list[str], help: str) -> str:
        value = getattr(preset, field)
        at = options.index(value) if value in options else 0
        return st.selectbox(label, options, at, key=key(field), help=help)

    def number(label: str, field: str, help: str, **limits: Any) -> Any:
        value = getattr(preset, field)
        return st.number_input(label, value=value, key=key(field), help=help, **limits)

    st.markdown("**Data**")
    fields: dict[str, Any] = {
        "name": st.text_input("Name", preset.name, max_chars=80, key=key("name")),
        "dataset": choose(
            "Data set",
            "dataset",
            list(DATA_SHAPES),
            "mnist-subset, digits, shapes and the two plane sets come with the app; the others "
            "are downloaded once.",
        ),
        "binarisation": choose(
            "Binarisation",
            "binarisation",
            ["dynamic", "fixed", "none"],
            "Grey pixels become black or white: drawn afresh each time they are seen, drawn "
            "once, or not at all.",
        ),
    }
    st.markdown("**Model**")
    model = choose(
        "Model",
        "model",
        ["vae", "vq-vae"],
        "vae: the latents of an image are numbers. vq-vae: they are a map of codes, each chosen "
        "from a codebook that is learned along.",
    )
    coded = model == "vq-vae"
    body = choose(
        "Body",
        "body",
        ["mlp", "conv"] if coded else ["mlp", "conv", "linear"],
        "mlp: fully connected. conv: two convolutions and a dense layer. linear: no hidden layers "
        "(probabilistic PCA), whose log p(x) and posterior are known exactly; it takes a Gaussian "
        "likelihood and binarisation none.",
    )
    hidden = st.text_input(
        "Hidden sizes",
        ", ".join(map(str, preset.hidden)),
        key=key("hidden"),
        disabled=body == "linear",
        help="mlp: widths of the layers, such as 400, 200. conv: two numbers of channels and the "
        "width of a dense layer, such as 16, 32, 256. linear: none.",
    )
    fields |= {
        "model": model,
        "body": body,
        "hidden": [] if body == "linear" else sizes(hidden),
        "activation": choose(
            "Activation", "activation", ["relu", "tanh"], "The function between two layers."
        ),
        "likelihood": choose(
            "Likelihood p(x|z)",
            "likelihood",
            ["bernoulli", "continuous-bernoulli", "gaussian"],
            "Bernoulli for binary pixels; the others for grey ones, with binarisation none.",
        ),
    }
    fields |= code_fields(preset, choose, number) if coded else _latents(preset, choose, number)
    st.markdown("**Optimisation**")
    fields |= {
        "epochs": number("Epochs", "epochs", "Passes over the data.", step=1),
        "batch_size": number("Batch size", "batch_size", "Data per step.", step=1),
        "learning_rate": number(
            "Learning rate", "learning_rate", "Of Adam.", step=1e-4, format="%g"
        ),
        "schedule": choose(
            "Schedule", "schedule", ["constant", "cosine"], "How the learning rate moves."
        ),
        "max_grad_norm": number(
            "Largest gradient norm", "max_grad_norm", "Longer gradients are shortened.", step=10.0
        ),
        "seed": number("Seed", "seed", "Decides every random number of the run.", step=1),
        "device": choose("Device", "device", ["auto", "cpu", "cuda"], "auto: a GPU if any."),
        "evaluate_every": number(
            "Evaluate every (epochs)",
            "evaluate_every",
            "How often the curves get a point and the plane is kept.",
            step=1,
        ),
    }
    return fields


def _latents(preset: RunConfig, choose: Choose, number: Number) -> dict[str, Any]:
    """The fields of latents that are numbers, and of their objective."""
    fields: dict[str, Any] = {
        "latent_dim": number(
            "Latent dimensions",
            "latent_dim",
            "Length of the code z. Two dimensions can be seen whole, on a plane.",
            step=1,
        ),
        "family": choose(
            "Family of q(z|x)",
            "family",
            ["diagonal", "full", "flow"],
            "What shapes the encoder can answer with. diagonal: an ellipse along the axes. full: "
            "an ellipse that may lean, which costs a little more. flow: it may also bend and "
            "split, so that it can come closest to the true posterior; it trains several times "
            "more slowly.",
        ),
        "conditional": st.checkbox(
            "Conditional: told the label",
            preset.conditional,
            key=f"form-{preset.name}-conditional",
            help="Encoder and decoder are told the label y of every datum, so that z is free for "
            "what the label does not say. The bound is then one on log p(x | y).",
        ),
    }
    st.markdown("**Objective**")
    fields |= {
        "objective": choose(
            "Objective", "objective", ["elbo", "iwae"], "The bound that training raises."
        ),
        "k": number(
            "K, samples of the IWAE bound",
            "k",
            "Draws of z per image in the IWAE bound; the ELBO takes 1.",
            step=1,
        ),
        "beta": number(
            "β", "beta", "Weight of the rate in training; a reported ELBO never has it.", step=0.5
        ),
        "beta_warmup": number(
            "β warm-up (epochs)", "beta_warmup", "β rises from 0 over these epochs.", step=1
        ),
    }
    return fields
