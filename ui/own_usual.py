"""What to judge the ELBO of one picture by: those of held-out data, and other draws of its pixels.

Keys are ids, stamps and the picture itself, as bytes: those are hashed whole.
"""

from __future__ import annotations

import numpy as np
import streamlit as st
import torch

from ui import cache
from vae import bounds, evaluate, families, latent, runs
from vae.model import VAE

#: Held-out data behind the middle 90 %, spread over the whole set, at least; draws of z for each.
N_USUAL, N_SEEDS = 1_000, 8
#: Draws of the pixels of a picture, and of z for each.
REDRAWN, N_DRAWS = 20, 32


def middle(run_id: str) -> tuple[float, float]:
    """The 5 % and 95 % quantiles of the ELBOs of held-out data, in nats."""
    return _middle(run_id, runs.stamp(run_id))


@st.cache_resource(max_entries=12, show_spinner=False)
def _middle(run_id: str, stamp: int) -> tuple[float, float]:
    run = cache.run(run_id)
    x, labels = evaluate.examples(run.config), evaluate.labels_of(run.config)
    every = max(1, len(x) // N_USUAL)
    x, labels = x[::every], labels[::every]
    drawn = [latent.encode_set(run.model, x, labels, seed=seed).elbo for seed in range(N_SEEDS)]
    low, high = np.quantile(np.mean(drawn, axis=0), [0.05, 0.95])
    return float(low), float(high)


def pixel_spread(run_id: str, label: int | None, grey: bytes) -> float:
    """By how much the ELBO of a grey picture (uint8) moves from one draw of its pixels to another:
    the standard deviation, in nats."""
    return _pixel_spread(run_id, runs.stamp(run_id), label, grey)


@st.cache_resource(max_entries=100, show_spinner=False)
def _pixel_spread(run_id: str, stamp: int, label: int | None, grey: bytes) -> float:
    config, generator = runs.read_config(run_id), torch.Generator().manual_seed(0)
    stored = torch.frombuffer(bytearray(grey), dtype=torch.uint8).reshape(1, *config.shape)
    x = evaluate.present(stored.repeat(REDRAWN, 1, 1, 1), config.binarisation, generator)
    return float(elbos(cache.model(run_id, label), x).std())


@torch.no_grad()
def elbos(model: VAE, x: torch.Tensor) -> torch.Tensor:
    """The ELBO of each datum (B, *event), in nats, all with the same noise: (B)."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(N_DRAWS, 1, model.latent_dim, generator=generator).repeat(1, len(x), 1)
    q = model.encode(x)
    z = families.push(q, noise)[0]
    return -(bounds.rate(q, model.prior(), z) + bounds.distortion(model.decode(z), x)).double()
