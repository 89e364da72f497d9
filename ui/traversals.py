"""The latent dimensions of a run, the busiest first, and the sheet of pictures along them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import streamlit as st

from ui import cache
from vae import dimensions, latent, runs

#: Rows shown first, and where along each dimension the pictures of a row are.
FIRST = 12
STEPS = np.linspace(-3, 3, 13)


class Traits(NamedTuple):
    """What is known of each dimension (D) over the held-out data: rate in nats, whether it is
    active, and between which values the middle 95 % of the means lie (2, D). ``order`` has the
    dimensions, those of highest rate first."""

    rate: np.ndarray
    active: np.ndarray
    within: np.ndarray
    order: np.ndarray


def traits(run_id: str) -> Traits:
    """What the dimensions of a run carry, by its newest weights."""
    return _traits(run_id, runs.stamp(run_id))


@st.cache_resource(max_entries=12, show_spinner=False)
def _traits(run_id: str, stamp: int) -> Traits:
    shown = cache.points(run_id, "held_out")
    rate = dimensions.rates(shown.loc, shown.scale)
    within = np.quantile(shown.loc, [0.025, 0.975], axis=0)
    return Traits(rate, dimensions.active(shown.loc), within, np.argsort(-rate, kind="stable"))


def sheet(run_id: str, at: np.ndarray, rows: int, label: int | None) -> bytes:
    """One row of pictures a dimension, the busiest first, all others held at a place: a PNG."""
    key = tuple(np.round(at, 4).tolist())
    return _sheet(run_id, runs.stamp(run_id), key, rows, label)


@st.cache_resource(max_entries=16, show_spinner=False)
def _sheet(run_id: str, stamp: int, at: tuple[float, ...], rows: int, label: int | None) -> bytes:
    z = dimensions.traversal(np.array(at), traits(run_id).order[:rows], STEPS)
    return latent.png(latent.mosaic(cache.decode(run_id, z, label)))
