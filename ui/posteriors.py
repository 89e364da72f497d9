"""One datum under one model: its true posterior, the encoder's q and the best q of each family.

Keys are ids, stamps and short texts, never arrays. A subject says which x is looked at: a datum or
a drawing, with some pixels rubbed out or none.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import streamlit as st
import torch
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal

from ui import cache, inference_cache
from ui.canvas.pad import unpack
from vae import evaluate, families, latent, posterior, quadrature, runs, svi, svi_path
from vae.data import DataError
from vae.evaluate import Split
from vae.posterior import Posterior
from vae.quadrature import Grid
from vae.runs import Run
from vae.svi import Fitted

#: Pixels of a heat map's side.
HEAT = 129
#: Steps of a race.
STEPS = 60
#: The colour of the posterior on a line, as in the plane.
HEAT_BLUE = "#0072B2"


class Subject(NamedTuple):
    """Which x, under which model.

    ``source`` is ``held_out:12`` or ``train:12`` for a datum, ``drawn:…`` for packed black and
    white pixels; ``observed`` is a packed mask of the pixels that count, empty for all of them.
    """

    run: str
    epoch: int | None
    source: str
    observed: str = ""

    @property
    def stamp(self) -> int:
        """Changes with the weights."""
        return runs.stamp(self.run)


class Gaussian(NamedTuple):
    """A Gaussian q in the plane: mean (2), covariance (2, 2)."""

    loc: np.ndarray
    covariance: np.ndarray


class Judged(NamedTuple):
    """What a q is worth, in nats: its ELBO, and on its own its divergence from the posterior, each
    with an error."""

    elbo: float
    elbo_error: float
    kl: float
    kl_error: float


def refuse_nonsense(subject: Subject) -> None:
    """Says no to a subject that a stranger's URL made up.

    Raises:
        DataError: If there is no such datum, if a mask or a drawing is not one of this run's, or
            if the run is conditional.
    """
    config = runs.read_config(subject.run)
    kind, _, what = subject.source.partition(":")
    n = int(np.prod(config.shape))
    datum = kind in ("held_out", "train") and what.isdecimal()
    there = (datum and int(what) < inference_cache.size(subject.run, kind)) or (
        kind == "drawn" and unpack(what, n) is not None
    )
    if config.conditional:
        raise DataError("A run that is told labels has no posterior without one.")
    if not there or (subject.observed and unpack(subject.observed, n) is None):
        raise DataError("There is no such datum, drawing or mask in this run.")


def loaded(subject: Subject) -> Run:
    """The run with the model that the subject is looked at with."""
    return inference_cache.run_at(subject.run, subject.epoch)


def x_of(subject: Subject) -> Tensor:
    """The x itself, with shape (1, *event), whatever is rubbed out of it."""
    config = runs.read_config(subject.run)
    kind, _, what = subject.source.partition(":")
    if kind == "drawn":
        pixels = unpack(what, int(np.prod(config.shape)))
        return torch.from_numpy(pixels.astype(np.float32)).reshape(1, *config.shape)
    split: Split = "train" if kind == "train" else "held_out"
    return evaluate.examples(config, split, int(what) + 1)[-1:]


def observed(subject: Subject) -> Tensor | None:
    """Which pixels count."""
    if not subject.observed:
        return None
    n = int(np.prod(runs.read_config(subject.run).shape))
    return torch.from_numpy(unpack(subject.observed, n).astype(bool))


def grid(run_id: str, epoch: int | None) -> Grid:
    """The decoded lattice of a model, shared by all data."""
    return _grid(run_id, runs.stamp(run_id), epoch)


@st.cache_resource(max_entries=2, show_spinner="Decoding the grid, once for this model")
def _grid(run_id: str, stamp: int, epoch: int | None) -> Grid:
    return quadrature.decode_grid(inference_cache.run_at(run_id, epoch).model)


def truth(subject: Subject) -> Posterior:
    """The true posterior."""
    return _truth(subject, subject.stamp)


@st.cache_resource(max_entries=200, show_spinner=False)
def _truth(subject: Subject, stamp: int) -> Posterior:
    decoded = grid(subject.run, subject.epoch)
    mask = observed(subject)
    return posterior.posterior(loaded(subject).model, x_of(subject)[0], decoded, observed=mask)


def heat(subject: Subject, window: tuple[float, float, float, float]) -> bytes:
    """The posterior density in a window as a grey PNG, on a square-root scale, largest y first."""
    return _heat(subject, subject.stamp, window)


@st.cache_resource(max_entries=100, show_spinner=False)
def _heat(subject: Subject, stamp: int, window: tuple[float, float, float, float]) -> bytes:
    x0, x1, y0, y1 = window
    across, down = np.linspace(x0, x1, HEAT), np.linspace(y1, y0, HEAT)
    z = torch.from_numpy(np.stack(np.meshgrid(across, down), axis=-1)).float()
    log_density = quadrature.log_density(
        loaded(subject).model,
        x_of(subject)[0],
        truth(subject).log_evidence,
        z,
        observed=observed(subject),
    )
    grey = (0.5 * (log_density - log_density.max())).exp()
    return latent.png((255 * grey).round().to(torch.uint8).numpy())


def extent(subject: Subject) -> tuple[float, float, float, float]:
    """A square that holds the posterior: x0, x1, y0, y1; of one dimension an interval, twice."""
    x0, x1, *rest = posterior.window(truth(subject))
    return (x0, x1, *(rest or (-1.0, 1.0)))


def picture(subject: Subject) -> np.ndarray:
    """x as a picture."""
    return cache.shown(x_of(subject)[0].numpy())


def decoded(subject: Subject, z: np.ndarray) -> np.ndarray:
    """Pictures of latents."""
    return latent.decode_pictures(loaded(subject).model, z)


def reconstruction(subject: Subject) -> np.ndarray:
    """What the mean of the encoder's q decodes to."""
    return decoded(subject, encoded(subject).loc[None])[0]


def predictive(subject: Subject) -> np.ndarray:
    """The picture that is expected under the posterior: decoded draws, averaged."""
    draws = posterior.sample(truth(subject), 256, torch.Generator().manual_seed(0))
    return decoded(subject, draws.numpy()).mean(axis=0).round().astype(np.uint8)


def on_a_line(
    subject: Subject, interval: tuple[float, float]
) -> tuple[np.ndarray, dict[str, tuple[np.ndarray, str]]]:
    """Places on the only latent axis, and the densities of posterior and prior there."""
    z = np.linspace(*interval, 400)
    log_density = quadrature.log_density(
        loaded(subject).model,
        x_of(subject)[0],
        truth(subject).log_evidence,
        torch.from_numpy(z).float()[:, None],
        observed=observed(subject),
    )
    prior = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    return z, {
        "posterior p(z | x)": (log_density.exp().numpy(), HEAT_BLUE),
        "prior": (prior, "#888888"),
    }


def encoded(subject: Subject) -> Gaussian:
    """The encoder's q, of a flow the Gaussian with its moments; it sees black where rubbed out."""
    q = encoder(subject)
    return Gaussian(families.moments(q)[0][0].numpy(), families.covariance(q)[0].numpy())


def encoder(subject: Subject) -> Distribution:
    """The encoder's q, batch shape (1)."""
    x, mask = x_of(subject), observed(subject)
    if mask is not None:
        x = x * mask.reshape(x.shape)
    with torch.no_grad():
        return loaded(subject).model.encode(x)


def judge(subject: Subject, q: Gaussian) -> Judged:
    """What any Gaussian q is worth for this x."""
    loc, covariance = (torch.from_numpy(np.asarray(a)).float()[None] for a in q)
    return _judge(subject, MultivariateNormal(loc, covariance, validate_args=False))


def judge_encoder(subject: Subject) -> Judged:
    """What the encoder's q is worth, whatever its family."""
    return _judge(subject, encoder(subject))


def _judge(subject: Subject, q: Distribution) -> Judged:
    """ELBO by Gauss-Hermite nodes, its error by fewer of them; the divergence on a lattice."""
    model, x, mask = loaded(subject).model, x_of(subject), observed(subject)
    log_p = torch.tensor([truth(subject).log_evidence], dtype=torch.float64)
    elbo, coarse = (float(quadrature.elbo(model, x, q, n=n, observed=mask)[0]) for n in (24, 16))
    kl, error = quadrature.kl(model, x, q, log_p, observed=mask)
    return Judged(elbo, abs(elbo - coarse), float(kl[0]), float(error[0]))


def best(subject: Subject, family: str) -> Fitted:
    """The best q of a family for this x, from the encoder's answer and from every mode."""
    return _best(subject, subject.stamp, family)


@st.cache_resource(max_entries=300, show_spinner=False)
def _best(subject: Subject, stamp: int, family: str) -> Fitted:
    modes = torch.as_tensor(truth(subject).modes, dtype=torch.float32)[None]
    return svi.fit(
        loaded(subject).model, x_of(subject), family, modes=modes, observed=observed(subject)
    )


def best_elbo(subject: Subject, family: str) -> tuple[float, float, bool]:
    """Its ELBO, how far that may be off, and whether the search has come to rest."""
    fitted = best(subject, family)
    return float(fitted.elbo[0]), float(fitted.error[0]), bool(fitted.converged[0])


def best_gaussian(subject: Subject, family: str) -> Gaussian:
    """Its mean and covariance."""
    q = best(subject, family).q
    return Gaussian(families.moments(q)[0][0].numpy(), families.covariance(q)[0].numpy())


def flow_draws(subject: Subject, n: int = 400) -> np.ndarray:
    """Draws from the best flow, with shape (n, 2)."""
    noise = torch.randn(n, 1, 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return families.push(best(subject, "flow").q, noise)[0][:, 0].numpy()


def race(subject: Subject, clicked: str | None) -> svi_path.Path:
    """The ways of three diagonal q towards the posterior: from the encoder's answer, from the
    prior, and from a place ``z1,z2`` if one was clicked."""
    return _race(subject, subject.stamp, clicked)


@st.cache_resource(max_entries=100, show_spinner=False)
def _race(subject: Subject, stamp: int, clicked: str | None) -> svi_path.Path:
    starts: list[str | Tensor] = ["encoder", "prior"]
    if clicked:
        starts.append(torch.tensor([float(part) for part in clicked.split(",")]))
    return svi_path.path(
        loaded(subject).model,
        x_of(subject),
        "diagonal",
        starts,
        STEPS,
        observed=observed(subject),
    )
