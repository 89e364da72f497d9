"""Arrays of VQ-VAEs that pages and routes ask for, computed once per run and checkpoint.

Keys are ids and stamps, never arrays, as in ``ui.cache``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import streamlit as st
import torch

from ui import cache
from vae import code_record, evaluate, latent, runs
from vae.code_record import Judged, Spending
from vae.code_snapshots import CodeSnapshot, read_snapshot
from vae.config import RunConfig
from vae.evaluate import Split
from vae.runs import Run, RunError
from vae.vqvae import VQVAE

#: Data whose codes are counted, and whose bounds are told.
N_DATA = 2_000
#: Pictures of a code at a place: its cell, and so many cells around it.
AROUND = 1
#: Mean patches are shown as bright as they can be, but for those that are all but black.
FAINT = 32


class Mapped(NamedTuple):
    """One datum: its picture, its label, what the encoder answers (H, W, D), its codes (L, H, W),
    the vectors they stand for (H, W, D), and what comes back; distortion and rate in nats."""

    original: np.ndarray
    label: str
    vectors: np.ndarray
    codes: np.ndarray
    quantised: np.ndarray
    back: np.ndarray
    distortion: float
    rate: float


def run(run_id: str) -> Run:
    """The run with its newest model, a VQ-VAE; a VAE is refused."""
    return _run(run_id, runs.stamp(run_id))


@st.cache_resource(max_entries=12, show_spinner=False)
def _run(run_id: str, stamp: int) -> Run:
    loaded = runs.load(run_id)
    if not loaded.config.is_vq:
        raise RunError(
            f"{run_id} is a VAE and has no codebook: the Latent space page shows its latents."
        )
    return loaded


def model(run_id: str) -> VQVAE:
    """The newest model of a run."""
    return run(run_id).model


def examples(run_id: str, split: Split) -> torch.Tensor:
    """The data behind all numbers of the page, as the model sees them: the first of a split."""
    return _examples(run_id, split)


@st.cache_resource(max_entries=12, show_spinner=False)
def _examples(run_id: str, split: Split) -> torch.Tensor:
    return evaluate.examples(runs.read_config(run_id), split, N_DATA)


def labels(run_id: str, split: Split) -> np.ndarray:
    """Their labels."""
    return evaluate.labels_of(runs.read_config(run_id), split, N_DATA).numpy()


def judged(run_id: str, split: Split) -> Judged:
    """Bound and codes of each of these data."""
    return _judged(run_id, runs.stamp(run_id), split)


@st.cache_resource(max_entries=24, show_spinner=False)
def _judged(run_id: str, stamp: int, split: Split) -> Judged:
    return code_record.judge(_run(run_id, stamp).model, _examples(run_id, split))


def spending(run_id: str, split: Split) -> Spending:
    """How often each code is used by these data."""
    return code_record.spending(judged(run_id, split).codes, model(run_id).n_codes)


def codebook(run_id: str, level: int) -> np.ndarray:
    """The code vectors of a level, (n_codes, D)."""
    return model(run_id).quantiser.codebook[level].numpy()


def neighbours(run_id: str, level: int, code: int, n: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """The codes nearest to one, and how far they are."""
    vectors = codebook(run_id, level)
    far = np.linalg.norm(vectors - vectors[code], axis=1)
    order = np.argsort(far, kind="stable")
    order = order[order != code][:n]
    return order, far[order]


def snapshot(run_id: str, epoch: int) -> CodeSnapshot:
    """The codebook of a run as it stood after an epoch."""
    return _snapshot(run_id, runs.stamp(run_id), epoch)


@st.cache_resource(max_entries=200, show_spinner=False)
def _snapshot(run_id: str, stamp: int, epoch: int) -> CodeSnapshot:
    return read_snapshot(run_id, epoch)


def mapped(run_id: str, split: Split, index: int) -> Mapped:
    """One datum on its way through the model."""
    return _mapped(run_id, runs.stamp(run_id), split, index)


@st.cache_resource(max_entries=200, show_spinner=False)
def _mapped(run_id: str, stamp: int, split: Split, index: int) -> Mapped:
    model, x = _run(run_id, stamp).model, _examples(run_id, split)[index : index + 1]
    with torch.no_grad():
        codes = model.encode(x)
        bound = model.bound(x, codes)
        return Mapped(
            cache.shown(x[0].numpy()),
            cache.label_names(run_id)[int(labels(run_id, split)[index])],
            model.latents(x)[0].numpy(),
            codes[0].numpy(),
            model.vectors(codes)[0].numpy(),
            latent.picture(model.decode(codes))[0],
            bound.distortion.item(),
            bound.rate.item(),
        )


def decode(run_id: str, codes: np.ndarray) -> np.ndarray:
    """Pictures of maps (n, L, H, W), or of their first levels: uint8 (n, h, w)."""
    with torch.no_grad():
        return latent.picture(model(run_id).decode(torch.as_tensor(codes)))


def bound_of(run_id: str, split: Split, index: int, codes: np.ndarray) -> tuple[float, float]:
    """log p(x given codes) of a datum, and log p(codes), for any map (L, H, W), in nats."""
    x = examples(run_id, split)[index : index + 1]
    with torch.no_grad():
        bound = model(run_id).bound(x, torch.as_tensor(codes)[None])
    return -bound.distortion.item(), -bound.rate.item()


def distances(run_id: str, split: Split, index: int) -> np.ndarray:
    """Squared distances of a datum's vectors to all codes: float32 (L, H, W, n_codes)."""
    x = examples(run_id, split)[index : index + 1]
    with torch.no_grad():
        return model(run_id).quantiser.distances(model(run_id).latents(x))[:, 0].numpy()


def usual(run_id: str) -> np.ndarray:
    """The code that held-out data use most at each place: the empty map, so to speak (L, H, W)."""
    return _usual(run_id, runs.stamp(run_id))


@st.cache_resource(max_entries=12, show_spinner=False)
def _usual(run_id: str, stamp: int) -> np.ndarray:
    codes = _judged(run_id, stamp, "held_out").codes
    return codes.mode(dim=0).values.numpy()


def everywhere(run_id: str, level: int, code: int) -> np.ndarray:
    """A code at each place in turn, in an otherwise usual map: pictures (H·W, h, w)."""
    empty = usual(run_id)
    side = empty.shape[-1]
    maps = np.repeat(empty[None], side**2, axis=0)
    places = np.arange(side**2)
    maps[places, level, places // side, places % side] = code
    return decode(run_id, maps)


def filled(run_id: str, level: int, code: int) -> np.ndarray:
    """The picture of a map in which a level names one code at every place."""
    whole = usual(run_id).copy()
    whole[level] = code
    return decode(run_id, whole[None])[0]


def is_local(config: RunConfig) -> bool:
    """Whether a code speaks of its own place of an image: not if one code says all, nor if the
    decoder is fully connected."""
    return config.body == "conv" and config.map_side > 1


def patches(run_id: str, level: int) -> np.ndarray:
    """What each code looks like, uint8 (n_codes, h, w): the mean of what held-out data come back as
    where they use it, as bright as can be, cut out with the cells around; of a dead code what it
    decodes to in the middle of an otherwise usual map. Where codes have no place of their own
    (``is_local``), the whole picture that each decodes to there."""
    return _patches(run_id, runs.stamp(run_id), level)


@st.cache_resource(max_entries=12, show_spinner=False)
def _patches(run_id: str, stamp: int, level: int) -> np.ndarray:
    found, used = _mean_patches(run_id, level)
    idle = np.flatnonzero(~used)
    if len(idle):
        empty = usual(run_id)
        middle = empty.shape[-1] // 2
        maps = np.repeat(empty[None], len(idle), axis=0)
        maps[:, level, middle, middle] = idle
        pictures = decode(run_id, maps)
        if is_local(run(run_id).config):
            pictures = [cut(p, empty.shape[-1], middle, middle) for p in pictures]
        found[idle] = pictures
    return found


def _mean_patches(run_id: str, level: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean patches of the codes that are used (n_codes, h, w), and which are; where codes have no
    place of their own none count as used."""
    of = judged(run_id, "held_out").codes.numpy()
    side, n_codes = of.shape[-1], model(run_id).n_codes
    back = decode(run_id, of)
    cell = back.shape[1] // side
    if not is_local(run(run_id).config):
        return np.zeros((n_codes, *back.shape[1:]), np.uint8), np.zeros(n_codes, bool)
    margin = AROUND * cell
    padded = np.pad(back, ((0, 0), (margin, margin), (margin, margin)))
    size = cell + 2 * margin
    total, counts = np.zeros((n_codes, size, size)), np.zeros(n_codes)
    for row in range(side):
        for column in range(side):
            here = of[:, level, row, column]
            part = padded[:, row * cell : row * cell + size, column * cell : column * cell + size]
            np.add.at(total, here, part)
            np.add.at(counts, here, 1)
    mean = total / np.maximum(1, counts)[:, None, None]
    brightest = np.maximum(FAINT, mean.max((1, 2), keepdims=True))
    return (255 * mean / brightest).round().astype(np.uint8), counts > 0


def cut(picture: np.ndarray, side: int, row: int, column: int, around: int = AROUND) -> np.ndarray:
    """The part of a picture (h, w) under a cell of its map, with so many cells around it; black
    beyond the edge."""
    cell = picture.shape[0] // side
    margin = around * cell
    size = cell + 2 * margin
    padded = np.pad(picture, margin)
    return padded[row * cell : row * cell + size, column * cell : column * cell + size]


def users(run_id: str, split: Split, level: int, code: int, n: int) -> list[tuple[int, int, int]]:
    """Where data use a code: index, row and column of up to n of the places, spread over them."""
    at = np.argwhere(judged(run_id, split).codes[:, level].numpy() == code)
    chosen = np.unique(np.linspace(0, len(at) - 1, min(n, len(at))).astype(int)) if len(at) else []
    return [tuple(map(int, at[i])) for i in chosen]


def colours(run_id: str, level: int) -> list[str]:
    """A colour for each code: similar codes have similar ones."""
    return _colours(run_id, runs.stamp(run_id), level)


@st.cache_resource(max_entries=24, show_spinner=False)
def _colours(run_id: str, stamp: int, level: int) -> list[str]:
    rgb = as_colours(codebook(run_id, level), codebook(run_id, level))
    return ["#{:02x}{:02x}{:02x}".format(*c) for c in rgb]


def reference(run_id: str) -> np.ndarray:
    """The sums of codes that data use, or the codes of one level: what colours are measured by."""
    found = model(run_id)
    if found.levels == 1:
        return codebook(run_id, 0)
    with torch.no_grad():
        return found.vectors(judged(run_id, "held_out").codes[:200]).flatten(0, 2).numpy()


def as_colours(vectors: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Vectors (*, D) as colours, uint8 (*, 3): the angle about the middle of some others in their
    principal plane is the hue, the rank along the third axis the lightness."""
    import colorsys

    flat = vectors.reshape(-1, vectors.shape[-1])
    centre = reference.mean(0)
    _, _, axes = np.linalg.svd(reference - centre, full_matrices=False)
    at, spread = (flat - centre) @ axes[:3].T, (reference - centre) @ axes[:3].T
    hue = (np.arctan2(at[:, 1], at[:, 0]) / (2 * np.pi)) % 1
    radius = np.hypot(at[:, 0], at[:, 1]) / max(1e-9, np.hypot(spread[:, 0], spread[:, 1]).max())
    depth = np.zeros(len(flat))
    if at.shape[1] > 2:
        depth = np.searchsorted(np.sort(spread[:, 2]), at[:, 2]) / len(spread) - 0.5
    rgb = [
        colorsys.hls_to_rgb(h, 0.55 + 0.25 * d, min(1, 0.25 + 0.75 * r))
        for h, r, d in zip(hue, radius, depth, strict=True)
    ]
    return (np.array(rgb) * 255).round().astype(np.uint8).reshape(*vectors.shape[:-1], 3)
