"""Maps of codes that nobody encoded: drawn from a prior, or completed from a beginning."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import streamlit as st
import torch

from ui import codes
from vae import runs
from vae.code_prior import CodePrior

Source = Literal["uniform", "learned"]


class Drawn(NamedTuple):
    """Maps (n, L, H, W), their pictures (n, h, w), and what they cost to name, in nats (n)."""

    codes: np.ndarray
    pictures: np.ndarray
    rates: np.ndarray


def has_prior(run_id: str) -> bool:
    """Whether a prior was learned, if only a little."""
    run = codes.run(run_id)
    return isinstance(run.model.prior, CodePrior) and run.epoch > run.config.epochs


def samples(run_id: str, source: Source, temperature: float, seed: int, n: int) -> Drawn:
    """Draws from the uniform prior, or from the learned one."""
    return _samples(run_id, runs.stamp(run_id), source, temperature, seed, n, None, 0)


def completions(run_id: str, index: int, rows: int, temperature: float, seed: int, n: int) -> Drawn:
    """A held-out image's map whose first rows stand, the others drawn given them: exact draws of
    the model at temperature 1, for the prior goes row by row."""
    return _samples(run_id, runs.stamp(run_id), "learned", temperature, seed, n, index, rows)


@st.cache_resource(max_entries=60, show_spinner="Drawing codes")
def _samples(
    run_id: str,
    stamp: int,
    source: Source,
    temperature: float,
    seed: int,
    n: int,
    index: int | None,
    rows: int,
) -> Drawn:
    model, generator = codes.model(run_id), torch.Generator().manual_seed(seed)
    if source == "uniform":
        shape = (n, *model.prior.shape)
        drawn = torch.randint(model.n_codes, shape, generator=generator)
    elif index is None:
        drawn = model.prior.sample(n, generator, temperature)
    else:
        given = rows * model.side * model.levels
        whole = torch.as_tensor(codes.mapped(run_id, "held_out", index).codes)
        drawn = model.prior.sample(n, generator, temperature, given, whole)
    with torch.no_grad():
        rates = -model.prior.log_prob(drawn)
    found = drawn.numpy()
    return Drawn(found, codes.decode(run_id, found), rates.numpy())
