"""What the points of the latent plane may be coloured by."""

from __future__ import annotations

import numpy as np
import streamlit as st

from ui import analyses, cache, evidence, inference_cache, likelihood_view, widgets
from vae.evaluate import Split
from vae.requests import Evidence
from vae.runs import Run

COLOURS = {"labels": "label", "rate": "rate", "elbo": "ELBO", "gap": "gap to log p(x)"}
TITLES = {
    "labels": "Label",
    "rate": "Rate (nats)",
    "elbo": "ELBO (nats, 1 draw)",
    "gap": "log p(x) − ELBO (nats)",
}


def settle(run: Run, split: Split, colour: str) -> str:
    """The colour that can be shown: gaps only where an analysis has found them."""
    if colour != "gap" or _gaps(run.id, split) is not None:
        return colour
    st.info(
        f"The gaps of the {widgets.SPLITS[split]} data to log p(x) are not known yet: the "
        "Likelihood page finds and keeps them. Until then the points have the colours of their "
        "labels."
    )
    widgets.link("likelihood", "Find the gaps", run=run.id, split=widgets.SPLITS[split])
    return "labels"


def values(run_id: str, split: Split, colour: str, epoch: int | None = None) -> np.ndarray:
    """What points are coloured by; gaps are those of the first data only."""
    if colour != "gap":
        return cache.values(run_id, split, colour, epoch)
    found = None if epoch is not None else _gaps(run_id, split)
    return np.empty(0) if found is None else found


def note(run: Run, split: Split, colour: str) -> str:
    """Which data have a colour, where it is not all of them."""
    n, of = len(values(run.id, split, colour)), len(cache.points(run.id, split).loc)
    return "" if n == of else f"The first {n:,} of {of:,}, whose gaps an analysis has found. "


def _gaps(run_id: str, split: Split) -> np.ndarray | None:
    """The gaps of the first data of a split, of as many as possible, in nats; nothing if no
    analysis of the newest weights is kept."""
    size = inference_cache.size(run_id, split)
    for n in sorted({min(n, size) for n in (*likelihood_view.SIZES, size)}, reverse=True):
        for k in reversed(likelihood_view.SAMPLES):
            arrays = analyses.at_hand(run_id, Evidence(split=split, n=n, k=k))
            if arrays is not None:
                return evidence.read(arrays).gap
    return None
