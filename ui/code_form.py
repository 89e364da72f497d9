"""The fields of the form that only a VQ-VAE has."""

from __future__ import annotations

import math
from typing import Any, Protocol

import streamlit as st

from vae.config import RunConfig


class Choose(Protocol):
    """A choice among words, starting from the preset's."""

    def __call__(self, label: str, field: str, options: list[str], help: str) -> str: ...


class Number(Protocol):
    """A number, starting from the preset's."""

    def __call__(self, label: str, field: str, help: str, **limits: Any) -> Any: ...


def code_fields(preset: RunConfig, choose: Choose, number: Number) -> dict[str, Any]:
    """Codes, codebook, and the prior over code maps."""
    st.markdown("**Codes**")

    def tick(label: str, field: str, help: str) -> bool:
        key = f"form-{preset.name}-{field}"
        return st.checkbox(label, getattr(preset, field), key=key, help=help)

    quantiser = choose(
        "Quantiser",
        "quantiser",
        ["vq", "fsq"],
        "vq: the nearest of a learned codebook. fsq: each number is rounded to one of a few values "
        "(finite scalar quantisation), so that there is no codebook to learn, or to die.",
    )
    fields: dict[str, Any] = {
        "quantiser": quantiser,
        "map_side": number(
            "Side of the code map",
            "map_side",
            "An image becomes side × side codes. Convolutions halve: of 28 pixels they reach maps "
            "of 1, 2, 4, 7 and 14; an mlp reaches any.",
            step=1,
        ),
    }
    if quantiser == "fsq":
        text = st.text_input(
            "Values of each dimension",
            ", ".join(map(str, preset.fsq_levels or (8, 5, 5))),
            key=f"form-{preset.name}-fsq",
            help="One number a dimension; their product is the number of codes.",
        )
        levels = sizes(text)
        whole = [n for n in levels if isinstance(n, int)]
        size = {"latent_dim": len(levels), "n_codes": math.prod(whole)}
        return fields | size | {"fsq_levels": levels} | _prior(number)
    return (
        fields
        | {
            "n_codes": number("Codes", "n_codes", "Vectors in the codebook.", step=1),
            "latent_dim": number(
                "Length of a code vector",
                "latent_dim",
                "Two numbers can be seen whole, on a plane, with the cells of the codes.",
                step=1,
            ),
            "levels": number(
                "Residual levels",
                "levels",
                "With more than one, each further codebook quantises what is left over.",
                step=1,
            ),
            "codebook": choose(
                "Codebook learns by",
                "codebook",
                ["ema", "loss"],
                "ema: each code is the moving average of the vectors that chose it. loss: it "
                "follows the gradient of its squared distance to them.",
            ),
            "decay": number("Decay γ", "decay", "Of the moving averages.", step=0.01, format="%g"),
            "commitment": number(
                "Commitment β",
                "commitment",
                "Weight of the squared distance that keeps the encoder near its codes.",
                step=0.05,
            ),
            "through": choose(
                "Gradient through the choice",
                "through",
                ["straight-through", "rotation"],
                "straight-through: copied from the code to the encoder. rotation: turned and "
                "scaled as the encoder's vector was to become the code.",
            ),
            "kmeans_init": tick(
                "Start by k-means",
                "kmeans_init",
                "The first codes are centres of the encoder's first answers.",
            ),
            "revival": tick(
                "Revive dead codes",
                "revival",
                "Codes that hardly anybody uses move to where vectors are.",
            ),
            "cosine": tick("Compare directions only", "cosine", "Vectors and codes have length 1."),
        }
        | _prior(number)
    )


def _prior(number: Number) -> dict[str, Any]:
    """The second stage."""
    return {
        "prior_epochs": number(
            "Then epochs of a prior over codes",
            "prior_epochs",
            "After the model, a small transformer learns which codes follow on which: a better "
            "bound, and real samples. 0 leaves the prior uniform.",
            step=1,
        )
    }


def sizes(text: str) -> list[Any]:
    """Numbers from a list with commas; what is no number is left for the check to name.

    Example:
        >>> sizes("400, 2x")
        [400, '2x']
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return [int(part) if part.isdecimal() else part for part in parts]
