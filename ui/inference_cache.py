"""One datum under a model of a run: light enough to be computed in the server, and kept.

Keys are ids, stamps and numbers, never arrays.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import streamlit as st
import torch

from ui.cache import shown
from vae import data, evaluate, families, importance, latent, runs, svi
from vae.config import RunConfig
from vae.evaluate import Split
from vae.importance import Compared
from vae.proposals import defensive, inflated
from vae.runs import Run

#: Steps of the refinement of a proposal; it need not be perfect to propose well.
REFINE = 200


def run_at(run_id: str, epoch: int | None) -> Run:
    """A run with the model of one of its epochs; the newest if none is named."""
    return _run_at(run_id, runs.stamp(run_id), epoch)


@st.cache_resource(max_entries=24, show_spinner=False)
def _run_at(run_id: str, stamp: int, epoch: int | None) -> Run:
    return runs.load(run_id, epoch)


def size(run_id: str, split: Split) -> int:
    """How many data a split of a run's data set has."""
    return len(getattr(data.at_hand(runs.read_config(run_id).dataset), split))


def seen(run_id: str, split: Split, indices: list[int]) -> np.ndarray:
    """Data as the model sees them, as pictures: uint8 (n, H, W)."""
    return _seen(run_id, runs.read_config(run_id), split, tuple(indices))


@st.cache_resource(
    max_entries=500, show_spinner=False, hash_funcs={RunConfig: RunConfig.model_dump_json}
)
def _seen(run_id: str, config: RunConfig, split: Split, indices: tuple[int, ...]) -> np.ndarray:
    x = evaluate.examples(config, split, max(indices) + 1)
    return np.stack([shown(x[i].numpy()) for i in indices])


def reconstruction(run_id: str, epoch: int | None, split: Split, index: int) -> np.ndarray:
    """What comes back of a datum, decoded from the mean of q, as a picture."""
    return _reconstruction(run_id, runs.stamp(run_id), epoch, split, index)


@st.cache_resource(max_entries=500, show_spinner=False)
def _reconstruction(
    run_id: str, stamp: int, epoch: int | None, split: Split, index: int
) -> np.ndarray:
    loaded = run_at(run_id, epoch)
    with torch.no_grad():
        q = loaded.model.encode(_datum(loaded, split, index))
        return latent.picture(loaded.model.decode(families.moments(q)[0]))[0]


def _datum(loaded: Run, split: Split, index: int) -> torch.Tensor:
    """One datum, with shape (1, *event)."""
    return evaluate.examples(loaded.config, split, index + 1)[-1:]


def proposals(
    run_id: str, epoch: int | None, split: Split, index: int, k: int
) -> Mapping[str, Compared]:
    """What importance sampling makes of a datum with each of several proposals."""
    return _proposals(run_id, runs.stamp(run_id), epoch, split, index, k)


@st.cache_resource(max_entries=200, show_spinner="Drawing from four proposals …")
def _proposals(
    run_id: str, stamp: int, epoch: int | None, split: Split, index: int, k: int
) -> Mapping[str, Compared]:
    loaded = run_at(run_id, epoch)
    model, x = loaded.model, _datum(loaded, split, index)
    with torch.no_grad():
        q = model.encode(x)
    offered = {"encoder's q": q}
    if loaded.config.family != "flow":
        offered["q, scales × 1.5"] = inflated(q, 1.5)
    offered["0.9 q + 0.1 prior"] = defensive(q, model.prior(), 0.1)
    refined = svi.fit(model, x, "diagonal", max_steps=REFINE)
    offered["q refined by SVI"] = refined.q
    return importance.compare(model, x, offered, k, first=index)
