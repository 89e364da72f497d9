"""Samples of a run, their nearest training images, and how many lie where no data were encoded.

Keys are ids, stamps and seeds, never arrays.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
import streamlit as st
import torch

from ui import cache
from vae import data, evaluate, families, latent, novelty, runs, sampling
from vae.novelty import Near, Outside
from vae.sampling import Mixture, Sampled
from vae.tiles import tiles

Source = Literal["prior", "aggregate", "mixture"]
SOURCES: tuple[Source, ...] = ("prior", "aggregate", "mixture")

#: Training data behind the aggregate posterior and the mixture: the first of their split.
N_TRAIN = 10_000
#: Draws of each source, and of q of held-out data, behind the shares outside; and the training
#: data whose q is weighed at each. The density of a flow is 300 times as dear.
N_JUDGED, N_JUDGED_FLOW, N_TRAIN_FLOW = 1_000, 200, 400
#: Held-out data whose reconstructions tell the usual distance to a nearest training image.
N_USUAL = 200


class Samples(NamedTuple):
    """Samples (n): latents, pictures of the mean and of a draw of p(x|z), and the nearest training
    data with their labels."""

    drawn: Sampled
    means: np.ndarray
    draws: np.ndarray
    near: Near
    labels: np.ndarray


def samples(run_id: str, label: int | None, source: Source, n: int, seed: int) -> Samples:
    """n samples from a source, with what they decode to."""
    return _samples(run_id, runs.stamp(run_id), label, source, n, seed)


@st.cache_resource(max_entries=50, show_spinner="Decoding, and looking for the nearest data …")
def _samples(
    run_id: str, stamp: int, label: int | None, source: Source, n: int, seed: int
) -> Samples:
    model = cache.model(run_id, label)
    chosen = _draw(run_id, label, source, n, seed)
    mean, draw = sampling.means(model, chosen.z), sampling.drawn(model, chosen.z, seed=seed)
    stored = data.at_hand(runs.read_config(run_id).dataset)
    near = novelty.nearest_data(mean, stored.train)
    pictures = np.stack([cache.shown(x) for x in draw])
    labels = stored.train_labels[near.index]
    return Samples(chosen, latent.decode_pictures(model, chosen.z), pictures, near, labels)


def _draw(run_id: str, label: int | None, source: Source, n: int, seed: int) -> Sampled:
    """Latents from a source."""
    model = cache.model(run_id, label)
    if source == "prior":
        return sampling.from_prior(model, n, seed=seed)
    if source == "mixture":
        return sampling.from_mixture(mixture(run_id, label), n, seed=seed)
    return sampling.from_aggregate(model, _training_data(run_id, label), n, seed=seed)


def mixture(run_id: str, label: int | None) -> Mixture:
    """A Gaussian mixture for the aggregate posterior of the training data: see ``fit_mixture``."""
    return _mixture(run_id, runs.stamp(run_id), label)


@st.cache_resource(max_entries=12, show_spinner="Fitting a Gaussian mixture to the means …")
def _mixture(run_id: str, stamp: int, label: int | None) -> Mixture:
    model, x = cache.model(run_id, label), _training_data(run_id, label)
    with torch.no_grad():
        found = [families.moments(model.encode(tile)) for tile in x.split(sampling.TILE)]
    loc, scale = (torch.cat(part).double().numpy() for part in zip(*found, strict=True))
    return sampling.fit_mixture(loc, (scale**2).mean(axis=0))


def outside(run_id: str, label: int | None) -> dict[Source, Outside]:
    """Of each source, the share of latents where hardly any data are encoded."""
    return _outside(run_id, runs.stamp(run_id), label)


@st.cache_resource(max_entries=24, show_spinner="Weighing the three sources …")
def _outside(run_id: str, stamp: int, label: int | None) -> dict[Source, Outside]:
    model, (n, n_train) = cache.model(run_id, label), judged(run_id, label)
    x, new = _training_data(run_id, label)[:n_train], _some(run_id, label, "held_out")
    reference = sampling.from_aggregate(model, new, n, seed=len(SOURCES)).z
    typical = novelty.log_aggregate(model, x, reference)
    found = {}
    for seed, source in enumerate(SOURCES):
        drawn = _draw(run_id, label, source, n, seed)
        own, behind = None, math.inf
        if source == "aggregate":  # a draw is always near the datum it came from
            own, behind = drawn.source, training_size(run_id, label)
        log_q = novelty.log_aggregate(model, x, drawn.z, without=own)
        found[source] = novelty.outside(log_q, typical, behind=behind, behind_reference=len(new))
    return found


def judged(run_id: str, label: int | None) -> tuple[int, int]:
    """How many latents of each source are judged, by the q of how many training data."""
    if runs.read_config(run_id).family == "flow":
        return N_JUDGED_FLOW, min(N_TRAIN_FLOW, training_size(run_id, label))
    return N_JUDGED, training_size(run_id, label)


def usual_distance(run_id: str) -> float:
    """The median distance of reconstructed held-out data to their nearest training data: a mean
    is smooth, and nearer to all images than a sharp image is."""
    return _usual_distance(run_id, runs.stamp(run_id))


@st.cache_resource(max_entries=12, show_spinner=False)
def _usual_distance(run_id: str, stamp: int) -> float:
    run = cache.run(run_id)
    stored = data.at_hand(run.config.dataset)
    x = evaluate.examples(run.config, "held_out", N_USUAL)
    labels = torch.from_numpy(stored.held_out_labels[: len(x)])
    with torch.no_grad():
        back = [
            told.decode(families.moments(told.encode(tile))[0]).mean.numpy()
            for told, tile in tiles(run.model, x, labels, N_USUAL)
        ]
    near = novelty.nearest_data(np.concatenate(back), stored.train)
    return float(np.median(near.distance))


def training_size(run_id: str, label: int | None) -> int:
    """How many training data stand behind the aggregate posterior and the mixture."""
    labels = data.at_hand(runs.read_config(run_id).dataset).train_labels[:N_TRAIN]
    return len(labels) if label is None else int((labels == label).sum())


def _training_data(run_id: str, label: int | None) -> torch.Tensor:
    """The training data behind the aggregate posterior and the mixture."""
    return _some(run_id, label, "train")


def _some(run_id: str, label: int | None, split: evaluate.Split) -> torch.Tensor:
    """The first data of a split; of a conditional model, those with the label it is told."""
    config = runs.read_config(run_id)
    x = evaluate.examples(config, split, N_TRAIN)
    if label is None:
        return x
    labels = getattr(data.at_hand(config.dataset), f"{split}_labels")[: len(x)]
    return x[torch.from_numpy(labels == label)]
