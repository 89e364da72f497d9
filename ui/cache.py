"""Arrays that pages and routes ask for, computed once per run and checkpoint.

Keys are ids and stamps, never arrays: Streamlit hashes only a sample of a large array.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import streamlit as st
import torch

from vae import bounds, data, evaluate, latent, runs
from vae.evaluate import Split
from vae.latent import Plane, Spacing
from vae.runs import Run
from vae.snapshots import Snapshot, read_snapshot

#: As many points as the plane shows.
N_POINTS = 10_000
RADIUS = 3.0


class Points(NamedTuple):
    """Encoded data with what they may be coloured by; ``elbo`` is missing for a past epoch."""

    loc: np.ndarray
    scale: np.ndarray
    rate: np.ndarray
    elbo: np.ndarray | None
    labels: np.ndarray
    covariance: np.ndarray | None


class Datum(NamedTuple):
    """One datum, what comes back, its numbers in nats, and three draws from q (3, D)."""

    original: np.ndarray
    reconstruction: np.ndarray
    label: str
    elbo: float
    elbo_se: float
    rate: float
    distortion: float
    draws: np.ndarray


def run(run_id: str) -> Run:
    """The run with its newest model."""
    return _run(run_id, runs.stamp(run_id))


@st.cache_resource(max_entries=12, show_spinner=False)
def _run(run_id: str, stamp: int) -> Run:
    return runs.load(run_id)


def points(run_id: str, split: Split, epoch: int | None = None) -> Points:
    """Encoded data of a run, now or as they were after an epoch."""
    if epoch is None:
        return _points(run_id, runs.stamp(run_id), split)
    past = snapshot(run_id, epoch)
    variance = past.scale**2
    rate = 0.5 * (past.loc**2 + variance - 1 - np.log(variance)).sum(axis=1)
    return Points(past.loc, past.scale, rate, None, past.labels, past.covariance)


@st.cache_resource(max_entries=12, show_spinner=False)
def _points(run_id: str, stamp: int, split: Split) -> Points:
    loaded = _run(run_id, stamp)
    x = evaluate.examples(loaded.config, split, N_POINTS)
    labels = getattr(data.at_hand(loaded.config.dataset), f"{split}_labels")[: len(x)]
    loc, scale, rate, elbo, covariance = latent.encode_set(loaded.model, x)
    return Points(loc, scale, rate, elbo, labels, covariance)


def snapshot(run_id: str, epoch: int) -> Snapshot:
    """The plane of a run as it stood after an epoch."""
    return _snapshot(run_id, runs.stamp(run_id), epoch)


@st.cache_resource(max_entries=200, show_spinner=False)
def _snapshot(run_id: str, stamp: int, epoch: int) -> Snapshot:
    return read_snapshot(run_id, epoch)


def plane(run_id: str, axes: str, at: np.ndarray | None = None) -> Plane:
    """The plane that ``axes`` names: two numbers such as "0,1", or "pca"; through a point."""
    loaded = run(run_id)
    if axes == "pca":
        return latent.principal_plane(points(run_id, "held_out").loc, at)
    first, second = (int(axis) for axis in axes.split(","))
    return latent.axes_plane(loaded.config.latent_dim, first, second, at)


def extent(run_id: str) -> float:
    """Half the side of the square that shows almost all means, at least three deviations."""
    loc = points(run_id, "held_out").loc
    return float(np.ceil(2 * max(RADIUS, np.quantile(np.abs(loc), 0.998))) / 2)


def sprite(
    run_id: str,
    axes: str,
    at: np.ndarray | None = None,
    n: int = 21,
    radius: float = RADIUS,
    spacing: Spacing = "z",
    gap: int = 0,
) -> bytes:
    """The decoded plane as one PNG of n by n pictures."""
    key = None if at is None else tuple(np.round(at, 4).tolist())
    return _sprite(run_id, runs.stamp(run_id), axes, key, n, radius, spacing, gap)


@st.cache_resource(max_entries=64, show_spinner=False)
def _sprite(
    run_id: str,
    stamp: int,
    axes: str,
    at: tuple[float, ...] | None,
    n: int,
    radius: float,
    spacing: Spacing,
    gap: int,
) -> bytes:
    where = plane(run_id, axes, None if at is None else np.array(at))
    side = latent.nodes(n, radius, spacing)
    grid = latent.decoded_grid(_run(run_id, stamp).model, where, side, side)
    return latent.png(latent.mosaic(grid, gap))


def decode(run_id: str, z: np.ndarray) -> np.ndarray:
    """Pictures of latents (*, D): uint8 (*, H, W)."""
    return latent.decode_pictures(run(run_id).model, z)


def datum(run_id: str, split: Split, index: int) -> Datum:
    """One datum with its reconstruction and numbers."""
    return _datum(run_id, runs.stamp(run_id), split, index)


@st.cache_resource(max_entries=500, show_spinner=False)
def _datum(run_id: str, stamp: int, split: Split, index: int) -> Datum:
    loaded, chosen = _run(run_id, stamp), data.at_hand(runs.read_config(run_id).dataset)
    x = evaluate.examples(loaded.config, split, index + 1)[-1:]
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(index)
        q = loaded.model.encode(x)
        z = q.rsample((256,))
        rate = bounds.rate(q, loaded.model.prior(), z).item()
        log_p = loaded.model.decode(z).log_prob(x)[:, 0].double()
        back = latent.picture(loaded.model.decode(q.mean))[0]
    distortion = -log_p.mean().item()
    standard_error = (log_p.std() / len(log_p) ** 0.5).item()
    label = chosen.label_names[int(getattr(chosen, f"{split}_labels")[index])]
    elbo = -(rate + distortion)
    draws = z[:3, 0].numpy()
    return Datum(shown(x[0].numpy()), back, label, elbo, standard_error, rate, distortion, draws)


def thumbnails(run_id: str, split: Split, indices: list[int]) -> np.ndarray:
    """Stored data as pictures: uint8 (n, H, W)."""
    stored = getattr(data.at_hand(runs.read_config(run_id).dataset), split)
    return np.stack([shown(stored[i] / 255 if stored.ndim == 4 else stored[i]) for i in indices])


def label_names(run_id: str) -> tuple[str, ...]:
    """What the labels of a run's data are called."""
    return data.at_hand(runs.read_config(run_id).dataset).label_names


def shown(x: np.ndarray) -> np.ndarray:
    """A datum as a grey picture; a point in the plane as a dot on the map of its data."""
    if x.ndim == 3:
        return (x[0] * 255).round().astype(np.uint8)
    canvas = np.zeros((32, 32), np.uint8)
    column, row = np.clip(((x * [1, -1] + 4) / 8 * 31).round().astype(int), 0, 31)
    canvas[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2] = 255
    return canvas
