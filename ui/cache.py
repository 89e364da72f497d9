"""Arrays that pages and routes ask for, computed once per run and checkpoint.

Keys are ids and stamps, never arrays: Streamlit hashes only a sample of a large array.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import streamlit as st
import torch

from ui import layouts
from vae import bent, bounds, data, evaluate, latent, runs
from vae.embedded_plane import EmbeddedPlane
from vae.evaluate import Split
from vae.latent import Encoded, Plane, Spacing
from vae.model import VAE
from vae.runs import Run, RunError
from vae.snapshots import Snapshot, read_snapshot

#: As many points as the plane shows: all of every split, but for the training set of letters.
N_POINTS = 70_000
RADIUS = 3.0


class Points(NamedTuple):
    """Encoded data; see ``values`` for what they may be coloured by."""

    loc: np.ndarray
    scale: np.ndarray
    rate: np.ndarray
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
    """The run with its newest model, a VAE; a VQ-VAE is refused."""
    return _run(run_id, runs.stamp(run_id))


@st.cache_resource(max_entries=12, show_spinner=False)
def _run(run_id: str, stamp: int) -> Run:
    loaded = runs.load(run_id)
    if loaded.config.is_vq:
        raise RunError(
            f"{run_id} is a VQ-VAE: its latents are codes, and the Codebook page shows them."
        )
    return loaded


def model(run_id: str, label: int | None = None) -> VAE:
    """The newest model of a run; of a conditional one, as it is when told a label, or the first."""
    if not run(run_id).config.conditional:
        return run(run_id).model
    return _told(run_id, runs.stamp(run_id), label or 0)


@st.cache_resource(max_entries=40, show_spinner=False)
def _told(run_id: str, stamp: int, label: int) -> VAE:
    return _run(run_id, stamp).model.given(label)


def points(run_id: str, split: Split, epoch: int | None = None) -> Points:
    """Encoded data of a run, now or as they were after an epoch."""
    if epoch is None:
        return _points(run_id, runs.stamp(run_id), split)
    past = snapshot(run_id, epoch)
    variance = past.scale**2
    rate = 0.5 * (past.loc**2 + variance - 1 - np.log(variance)).sum(axis=1)
    return Points(past.loc, past.scale, rate, past.labels, past.covariance)


@st.cache_resource(max_entries=12, show_spinner=False)
def _points(run_id: str, stamp: int, split: Split) -> Points:
    encoded, labels = _encoded(run_id, stamp, split, elbo=False)
    return Points(encoded.loc, encoded.scale, encoded.rate, labels, encoded.covariance)


def values(run_id: str, split: Split, colour: str, epoch: int | None = None) -> np.ndarray:
    """What points are coloured by: "labels", "rate" or, for the newest epoch only, "elbo"."""
    if colour == "elbo":
        return _elbos(run_id, runs.stamp(run_id), split)
    return getattr(points(run_id, split, epoch), colour)


@st.cache_resource(max_entries=12, show_spinner=False)
def _elbos(run_id: str, stamp: int, split: Split) -> np.ndarray:
    """An ELBO for each datum, which takes longer than all the rest: it waits to be asked for."""
    return _encoded(run_id, stamp, split, elbo=True)[0].elbo


def _encoded(run_id: str, stamp: int, split: Split, *, elbo: bool) -> tuple[Encoded, np.ndarray]:
    """A split as the encoder sees it, and its labels."""
    loaded = _run(run_id, stamp)
    x = evaluate.examples(loaded.config, split, N_POINTS)
    labels = getattr(data.at_hand(loaded.config.dataset), f"{split}_labels")[: len(x)]
    return latent.encode_set(loaded.model, x, torch.from_numpy(labels), elbo=elbo), labels


def snapshot(run_id: str, epoch: int, label: int | None = None) -> Snapshot:
    """The plane of a run as it stood after an epoch, decoded under a label, or the first."""
    told = (label or 0) if runs.read_config(run_id).conditional else None
    return _snapshot(run_id, runs.stamp(run_id), epoch, told)


@st.cache_resource(max_entries=200, show_spinner=False)
def _snapshot(run_id: str, stamp: int, epoch: int, label: int | None) -> Snapshot:
    return read_snapshot(run_id, epoch, label)


def plane(run_id: str, axes: str, at: np.ndarray | None = None) -> Plane | EmbeddedPlane:
    """The plane that ``axes`` names: two numbers such as "0,1", or "pca"; through a point. With
    "tsne" the picture that t-SNE made, if it is there."""
    loaded = run(run_id)
    if axes == "tsne":
        return layouts.plane(loaded, points(run_id, "held_out").loc, at)
    if axes == "pca":
        middle = _principal(run_id, runs.stamp(run_id))
        return middle if at is None else middle.through(at)
    first, second = (int(axis) for axis in axes.split(","))
    return latent.axes_plane(loaded.config.latent_dim, first, second, at)


@st.cache_resource(max_entries=12, show_spinner=False)
def _principal(run_id: str, stamp: int) -> Plane:
    return latent.principal_plane(points(run_id, "held_out").loc)


def seen(run_id: str, split: Split, axes: str) -> np.ndarray:
    """Where the data of a split lie in a plane, in their order: (N, 2). A picture by t-SNE shows
    the first few thousand only."""
    where, loc = plane(run_id, axes), points(run_id, split).loc
    return layouts.seen(run(run_id), split, where, loc) if axes == "tsne" else where.project(loc)


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
    spacing: Spacing | Literal["bent"] = "z",
    gap: int = 0,
    label: int | None = None,
) -> bytes:
    """The decoded plane as one PNG of n by n pictures; "bent" has them at ``nodes``."""
    return _sprite(run_id, runs.stamp(run_id), axes, _place(at), n, radius, spacing, gap, label)


@st.cache_resource(max_entries=64, show_spinner=False)
def _sprite(
    run_id: str,
    stamp: int,
    axes: str,
    at: tuple[float, ...] | None,
    n: int,
    radius: float,
    spacing: Spacing | Literal["bent"],
    gap: int,
    label: int | None,
) -> bytes:
    where = plane(run_id, axes, None if at is None else np.array(at))
    if spacing == "bent":
        columns, rows = _nodes(run_id, stamp, axes, at, n, radius, label)
    else:
        columns = rows = latent.nodes(n, radius, spacing)
    grid = latent.decoded_grid(model(run_id, label), where, columns, rows)
    return latent.png(latent.mosaic(grid, gap))


def nodes(
    run_id: str,
    axes: str,
    at: np.ndarray | None,
    n: int,
    radius: float,
    label: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows of a decoded plane, denser where the decoder bends; rounded, so that a page
    and the browser have the same."""
    return _nodes(run_id, runs.stamp(run_id), axes, _place(at), n, radius, label)


@st.cache_resource(max_entries=64, show_spinner=False)
def _nodes(
    run_id: str,
    stamp: int,
    axes: str,
    at: tuple[float, ...] | None,
    n: int,
    radius: float,
    label: int | None,
) -> tuple[np.ndarray, np.ndarray]:
    where = plane(run_id, axes, None if at is None else np.array(at))
    columns, rows = bent.bent_nodes(model(run_id, label), where, n, radius)
    return columns.round(4), rows.round(4)


def _place(at: np.ndarray | None) -> tuple[float, ...] | None:
    """The place that a plane goes through, as a key."""
    return None if at is None else tuple(np.round(at, 4).tolist())


def decode(run_id: str, z: np.ndarray, label: int | None = None) -> np.ndarray:
    """Pictures of latents (*, D): uint8 (*, H, W)."""
    return latent.decode_pictures(model(run_id, label), z)


def datum(run_id: str, split: Split, index: int) -> Datum:
    """One datum with its reconstruction and numbers."""
    return _datum(run_id, runs.stamp(run_id), split, index)


@st.cache_resource(max_entries=500, show_spinner=False)
def _datum(run_id: str, stamp: int, split: Split, index: int) -> Datum:
    loaded, chosen = _run(run_id, stamp), data.at_hand(runs.read_config(run_id).dataset)
    x = evaluate.examples(loaded.config, split, index + 1)[-1:]
    label = int(getattr(chosen, f"{split}_labels")[index])
    model = loaded.model.given(label)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(index)
        q = model.encode(x)
        z = q.rsample((256,))
        rate = bounds.rate(q, model.prior(), z).item()
        log_p = model.decode(z).log_prob(x)[:, 0].double()
        back = latent.picture(model.decode(q.mean))[0]
    distortion = -log_p.mean().item()
    standard_error = (log_p.std() / len(log_p) ** 0.5).item()
    name, elbo = chosen.label_names[label], -(rate + distortion)
    draws = z[:3, 0].numpy()
    return Datum(shown(x[0].numpy()), back, name, elbo, standard_error, rate, distortion, draws)


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
