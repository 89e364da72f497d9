"""Layouts by t-SNE that are kept for runs, as planes one can look at."""

from __future__ import annotations

import numpy as np
import streamlit as st

from vae import results, runs
from vae.embedded_plane import Embedded, EmbeddedPlane
from vae.evaluate import Split
from vae.requests import Embedding
from vae.runs import Run, RunError

#: What is asked for; as many data of either split are shown.
ASK = Embedding()
SHOWN = ASK.n


def kept(run: Run) -> dict[str, np.ndarray] | None:
    """The layout of a run by name, see ``vae.embedding``: of its newest weights or, while it is
    trained, of earlier ones."""
    arrays = results.kept(run.id, _key(run.id, runs.stamp(run.id), run))
    if arrays is None and runs.status(run.id).state in runs.ACTIVE:
        return results.earlier(run.id, ASK)
    return arrays


def plane(run: Run, loc: np.ndarray, at: np.ndarray | None) -> EmbeddedPlane:
    """The picture that t-SNE made of the held-out means ``loc``; ``at`` is the chosen latent."""
    if (arrays := kept(run)) is None:
        raise RunError(f"The t-SNE of {run.id} is not there: choose it as the plane to have it.")
    epoch = int(arrays["epoch"])
    embedded = _embedded(run.id, runs.stamp(run.id), epoch, loc[:SHOWN], arrays["at"])
    return EmbeddedPlane(embedded, np.zeros(loc.shape[1]) if at is None else np.asarray(at))


def seen(run: Run, split: Split, where: EmbeddedPlane, loc: np.ndarray) -> np.ndarray:
    """Where the first means of a split lie in the picture: held-out ones were laid out, training
    data are placed among them."""
    return _seen(run.id, runs.stamp(run.id), split, epoch_of(run), where, loc[:SHOWN])


def epoch_of(run: Run) -> int:
    """The epoch of the weights whose means were laid out."""
    return int(kept(run)["epoch"])


@st.cache_resource(max_entries=12, show_spinner=False)
def _key(run_id: str, stamp: int, _run: Run) -> str:
    return results.key(_run, ASK)


@st.cache_resource(max_entries=6, show_spinner=False)
def _embedded(run_id: str, stamp: int, epoch: int, _loc: np.ndarray, _at: np.ndarray) -> Embedded:
    return Embedded(_loc, _at)


@st.cache_resource(max_entries=12, show_spinner=False)
def _seen(
    run_id: str, stamp: int, split: Split, epoch: int, _where: EmbeddedPlane, _loc: np.ndarray
) -> np.ndarray:
    return _where.project(_loc)
