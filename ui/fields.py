"""Fields over the latent plane, as grey pictures: what the decoder magnifies, where data lie."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args
from urllib.parse import urlencode

import numpy as np
import streamlit as st
import torch

from ui import cache
from vae import aggregate, data, evaluate, families, latent, metric, runs
from vae.evaluate import Split
from vae.tiles import tiles

Name = Literal["magnification", "aggregate"]
NAMES: tuple[Name, ...] = get_args(Name)

#: Pixels of a side; of a convolutional decoder, whose derivatives take longer, fewer.
SIDE, CONV_SIDE = 121, 81
#: Share of the pixels whose magnification is beyond either end of the colours.
BEYOND = 0.01
#: How far below its highest value the log-density is shown, in nats.
DEPTH = 8.0
#: A field whose values differ by less than this is shown as flat as it is.
FLAT = 0.1
#: Gaussians that lean are summed for so many data at most; of all else so many draws are counted.
LEANING, DRAWS = 10_000, 500_000


class Field(NamedTuple):
    """Values of a field as the bytes of a PNG, the largest y first, and what 0 and 255 stand for:
    the outermost pixels have their centres on the extent."""

    png: bytes
    low: float
    high: float


class Asked(NamedTuple):
    """Which field of which plane: ``at`` is the place the plane goes through, as text of numbers,
    ``radius`` half the side of the square."""

    run: str
    name: Name
    split: Split
    axes: str
    at: tuple[float, ...] | None
    label: int | None
    radius: float


def offered(ask: dict[str, Any], split: Split, radius: float) -> list[dict[str, Any]]:
    """What the legend of the plane offers; nothing is computed before it is chosen."""
    url = f"/api/field?{urlencode({**ask, 'radius': radius})}"
    of = "q(z | x, y), the data of all labels together" if "y" in ask else "q(z | x)"
    everywhere = {name: value for name, value in ask.items() if name not in ("at", "y")}
    settled = f"/api/field?{urlencode({**everywhere, 'radius': radius})}"
    shared = {"extent": [-radius, radius, -radius, radius], "range": None}
    return [
        {
            "name": "magnification",
            "title": "Log-magnification",
            "url": f"{url}&name=magnification",
            "unit": "log √det G",
            "note": "Logarithm of how many pictures that can be told apart lie in a unit of area; "
            f"Path says more. The outer {100 * BEYOND:.0f} % at either end share a colour.",
            **shared,
        },
        {
            "name": "aggregate",
            "title": "Aggregate posterior",
            "url": f"{settled}&name=aggregate&split={split}",  # the same wherever A is
            "unit": "log q in this plane, nats",
            "note": f"Logarithm of the mean of all {of}, {_seen(ask['run'], split, radius)} "
            f"Wherever it is more than {DEPTH:.0f} nats below its peak, it has the lowest colour.",
            **shared,
        },
    ]


def _seen(run_id: str, split: Split, radius: float) -> str:
    """How the aggregate posterior is seen in a plane: how finely, and what of the dimensions that
    the plane does not show."""
    rest, step = runs.read_config(run_id).latent_dim - 2, 2 * radius / (_side(run_id) - 1)
    how = f"blurred by ±{step / 2:.2g}"
    if _by_draws(run_id, split):
        how = f"counted from draws in squares of {step:.2g}"
    if not rest:
        return f"{how}."
    others = "dimension" if rest == 1 else f"{rest} dimensions"
    return (
        f"with the other {others} integrated out, wherever A is; {how}. Compare it with the prior "
        "in the plane, log N(p; 0, I₂), not with log p(z)."
    )


def _side(run_id: str) -> int:
    """How many pixels a side has."""
    return CONV_SIDE if runs.read_config(run_id).body == "conv" else SIDE


def _by_draws(run_id: str, split: Split) -> bool:
    """Whether q has no density in the plane that is known: it is a flow, or it leans and has too
    many dimensions for its covariances to be kept."""
    family = runs.read_config(run_id).family
    return family == "flow" or (family == "full" and cache.points(run_id, split).covariance is None)


def field(asked: Asked) -> Field:
    """A field of a run's newest model."""
    return _field(asked, runs.stamp(asked.run))


@st.cache_resource(max_entries=24, show_spinner=False)
def _field(asked: Asked, stamp: int) -> Field:
    side = np.linspace(-asked.radius, asked.radius, _side(asked.run))
    if asked.name == "magnification":
        values = _magnification(asked, side)
        finite = values[np.isfinite(values)]
        low, high = np.quantile(finite, [BEYOND, 1 - BEYOND]) if finite.size else (0.0, 0.0)
    else:
        values = _aggregate(asked, side)
        high = values.max() if np.isfinite(values.max()) else 0.0
        low = high - DEPTH
    high = max(high, low + FLAT)
    grey = np.clip((values - low) / (high - low), 0, 1)
    png = latent.png(np.round(255 * grey).astype(np.uint8))
    return Field(png, float(low), float(high))


def _magnification(asked: Asked, side: np.ndarray) -> np.ndarray:
    """How much the decoder magnifies the plane, as a logarithm; of one dimension, its axis."""
    where = cache.plane(asked.run, asked.axes, _at(asked))
    z = torch.from_numpy(where.to_latent(np.stack(np.meshgrid(side, side[::-1]), axis=-1)))
    basis = torch.from_numpy(where.basis[where.basis.any(axis=1)])
    return metric.log_magnification(cache.model(asked.run, asked.label), z, basis).numpy()


def _aggregate(asked: Asked, side: np.ndarray) -> np.ndarray:
    """log q of a split in the plane: exact for Gaussians whose covariances are known, but for the
    blur; from draws for all else."""
    where = cache.plane(asked.run, asked.axes, _at(asked))
    if _by_draws(asked.run, asked.split):
        return aggregate.of_draws(_draws(asked, where), side)
    shown = cache.points(asked.run, asked.split)
    loc, covariance = where.project(shown.loc), where.covariance(shown.scale, shown.covariance)
    every = -(-len(loc) // LEANING) if covariance[:, 1].any() else 1
    return aggregate.of_gaussians(loc[::every], covariance[::every], side)


@torch.no_grad()
def _draws(asked: Asked, where: latent.Plane) -> np.ndarray:
    """Draws from the q of as many data of a split as are looked at, in the plane: (K, 2)."""
    run = cache.run(asked.run)
    x = evaluate.examples(run.config, asked.split, LEANING)
    labels = getattr(data.at_hand(run.config.dataset), f"{asked.split}_labels")[: len(x)]
    generator, parts = torch.Generator().manual_seed(0), []
    for told, tile in tiles(run.model, x, torch.from_numpy(labels), 1000):
        shape = (DRAWS // len(x), len(tile), run.config.latent_dim)
        z, _ = families.push(told.encode(tile), torch.randn(shape, generator=generator))
        parts.append(where.project(z.flatten(0, 1).numpy()))
    return np.concatenate(parts)


def _at(asked: Asked) -> np.ndarray | None:
    """The place that the plane goes through."""
    return None if asked.at is None else np.array(asked.at)
