"""A picture of one's own under the newest model of a run: where it lands, and what comes back.

Keys are ids, stamps, seeds and the picture itself, as bytes: those are hashed whole.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import streamlit as st
import torch
from torch.distributions import MultivariateNormal

from ui import cache
from vae import bounds, data, evaluate, families, latent, pictures, preparation, runs
from vae.evaluate import Split

#: Draws behind the ELBO.
N_DRAWS = 256


class Landing(NamedTuple):
    """Where a picture lands and what comes back.

    ``seen`` and ``back`` are pictures (H, W), the latter decoded from the mean ``loc`` (D) of q;
    ``scale`` (D) and ``covariance`` (D, D) are those of q, ``factor`` (D, D) turns noise into
    draws (None for a flow, which bends it). Rates, ELBO and distortion are in nats, with standard
    errors (None for a rate in closed form).
    """

    seen: np.ndarray
    back: np.ndarray
    loc: np.ndarray
    scale: np.ndarray
    covariance: np.ndarray
    factor: np.ndarray | None
    rates: np.ndarray
    rate: float
    rate_se: float | None
    distortion: float
    distortion_se: float
    elbo: float
    elbo_se: float


class Draws(NamedTuple):
    """Noise and the latents it becomes, (n, D) each, with their pictures (n, H, W)."""

    noise: np.ndarray
    z: np.ndarray
    pictures: np.ndarray


def prepared(run_id: str, png: bytes) -> np.ndarray | None:
    """A picture, prepared as the images of this run's data: uint8 (H, W); None if it is empty."""
    return _prepared(runs.read_config(run_id).dataset, png)


@st.cache_resource(max_entries=100, show_spinner=False)
def _prepared(dataset: str, png: bytes) -> np.ndarray | None:
    datum = preparation.as_datum(pictures.read(png), dataset)
    return None if datum is None else datum[0]


def presented(run_id: str, grey: np.ndarray) -> bytes:
    """A prepared picture as this run's model sees its data, black and white or grey: float32."""
    generator = torch.Generator().manual_seed(evaluate.BINARISATION_SEED)
    stored = torch.from_numpy(np.ascontiguousarray(grey))[None, None]
    binarisation = runs.read_config(run_id).binarisation
    return evaluate.present(stored, binarisation, generator).numpy().tobytes()


def example(run_id: str, split: Split, index: int) -> bytes:
    """A datum as this run's model sees it: float32."""
    return evaluate.examples(runs.read_config(run_id), split, index + 1)[-1].numpy().tobytes()


def stored(run_id: str, split: Split, index: int) -> bytes:
    """A datum as its data set stores it: uint8 for pictures."""
    return getattr(data.at_hand(runs.read_config(run_id).dataset), split)[index].tobytes()


def landing(run_id: str, label: int | None, x: bytes) -> Landing:
    """Where a picture lands; ``label`` is what a conditional model is told."""
    return _landing(run_id, runs.stamp(run_id), label, x)


@st.cache_resource(max_entries=100, show_spinner=False)
def _landing(run_id: str, stamp: int, label: int | None, x: bytes) -> Landing:
    model, datum = cache.model(run_id, label), _datum(run_id, x)
    prior = model.prior()
    noise = torch.randn(N_DRAWS, 1, model.latent_dim, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        q = model.encode(datum)
        loc, scale = families.moments(q)
        z, log_q = families.push(q, noise)
        rate = bounds.rate(q, prior, z)
        log_p = model.decode(z).log_prob(datum).double()
        paid, factor = rate.double().expand_as(log_p), None
        if isinstance(q, MultivariateNormal):
            factor = q.scale_tril[0].numpy()
        elif runs.read_config(run_id).family == "flow":
            paid = (log_q - prior.log_prob(z)).double()
        else:
            factor = np.diag(scale[0].numpy())
        return Landing(
            seen=cache.shown(datum[0].numpy()),
            back=latent.picture(model.decode(loc))[0],
            loc=loc[0].numpy(),
            scale=scale[0].numpy(),
            covariance=families.covariance(q)[0].numpy(),
            factor=factor,
            rates=bounds.rate_per_dimension(families.marginals(q), prior)[0].numpy(),
            rate=paid.mean().item(),
            rate_se=bounds.error_of_mean(paid).item() if factor is None else None,
            distortion=-log_p.mean().item(),
            distortion_se=bounds.error_of_mean(log_p).item(),
            elbo=(log_p - paid).mean().item(),
            elbo_se=bounds.error_of_mean(log_p - paid).item(),
        )


def draws(run_id: str, label: int | None, x: bytes, n: int, seed: int) -> Draws:
    """n draws from the encoder's q for a picture."""
    return _draws(run_id, runs.stamp(run_id), label, x, n, seed)


@st.cache_resource(max_entries=100, show_spinner=False)
def _draws(run_id: str, stamp: int, label: int | None, x: bytes, n: int, seed: int) -> Draws:
    model = cache.model(run_id, label)
    noise = torch.randn(n, 1, model.latent_dim, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        z = families.push(model.encode(_datum(run_id, x)), noise)[0][:, 0].numpy()
    return Draws(noise[:, 0].numpy(), z, latent.decode_pictures(model, z))


def _datum(run_id: str, x: bytes) -> torch.Tensor:
    """What the model sees, with shape (1, *event)."""
    shape = runs.read_config(run_id).shape
    return torch.from_numpy(np.frombuffer(x, np.float32).reshape(1, *shape).copy())


def labels(run_id: str, split: Split) -> np.ndarray:
    """The labels of a split of this run's data."""
    return getattr(data.at_hand(runs.read_config(run_id).dataset), f"{split}_labels")
