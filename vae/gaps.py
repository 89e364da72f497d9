r"""What inference loses, datum by datum: to the family of q, and to the encoder.

.. math:: \log p(x) - \mathcal{L}[q] =
    \underbrace{\log p(x) - \mathcal{L}[q^*]}_{\text{approximation gap}} +
    \underbrace{\mathcal{L}[q^*] - \mathcal{L}[q]}_{\text{amortization gap}}

q is the encoder's answer and q* the best q of its family for that one datum, found by ``svi``. Both
gaps are zero or more. An amortization gap below zero by more than its error says that SVI has not
arrived, an approximation gap below zero that log p(x) or L[q*] is off: such data are counted as not
converged, and never cut off.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vae import importance, linear, svi
from vae.families import Diagonal, Full
from vae.grid import decode_grid
from vae.model import VAE
from vae.posterior import modes as find_modes
from vae.progress import Report, part
from vae.quadrature import evidence
from vae.svi import Fitted
from vae.svi_target import judged_elbo

#: Samples per datum behind log p(x) where it is not known exactly.
SAMPLES = 5_000
#: The share of these that the prior gives, in case q* misses a mode.
SHARE = 0.1
#: A gap this far below zero is still zero, in nats; beside three times its error.
SLACK = 0.02
#: The families, each of which holds the ones before.
NESTED = ("diagonal", "full", "flow")


class Gaps(NamedTuple):
    """The gaps of N data in F families; arrays, float64 where not said otherwise, in nats.

    ``family`` is the encoder's own. ``log_evidence`` (N) and its error; ``source`` (N) counts in
    ``sources`` how it was found, and ``trusted`` (N) says whether to believe it. ``elbo`` (N) is
    L[q] of the encoder and ``best`` (F, N) L[q*]; ``approximation`` (F, N) and ``amortization``
    (N), the latter of the encoder's own family. ``converged`` (F, N) tells whether q* was found:
    if not, its gaps are too large or too small. All errors have the shape of their values.
    """

    families: tuple[str, ...]
    family: str
    sources: tuple[str, ...]
    log_evidence: np.ndarray
    log_evidence_error: np.ndarray
    source: np.ndarray
    trusted: np.ndarray
    elbo: np.ndarray
    elbo_error: np.ndarray
    best: np.ndarray
    best_error: np.ndarray
    converged: np.ndarray
    approximation: np.ndarray
    approximation_error: np.ndarray
    amortization: np.ndarray
    amortization_error: np.ndarray


class Row(NamedTuple):
    """One family's row of the table: mean, standard error over the data, and median, in nats.

    Each of ``log_evidence``, ``best``, ``elbo``, ``approximation`` and ``amortization`` is such a
    triple; the last is not a number but for the encoder's own family. ``n`` data went in, of which
    SVI found no q* for ``not_converged``, and log p(x) is not to be trusted for ``untrusted``.
    """

    family: str
    n: int
    not_converged: int
    untrusted: int
    log_evidence: tuple[float, float, float]
    best: tuple[float, float, float]
    elbo: tuple[float, float, float]
    approximation: tuple[float, float, float]
    amortization: tuple[float, float, float]


def gaps(
    model: VAE,
    x: Tensor,
    families: Sequence[str] = NESTED,
    *,
    truth: tuple[Tensor, Tensor] | None = None,
    samples: int = SAMPLES,
    tolerance: float | None = None,
    max_steps: int | None = None,
    seed: int = 0,
    first: int = 0,
    progress: Report = lambda what, share: None,
) -> Gaps:
    """Approximation and amortization gap of every datum.

    log p(x) is exact for a linear model, and on the grid for up to two latent dimensions; beyond,
    it is importance-sampled from the best q* there is, and each datum says whether to believe it.

    Arguments:
        model: The model.
        x: Data, with shape (N, *event).
        families: Any of ``"diagonal"``, ``"full"`` and ``"flow"``; the encoder's own is added.
        truth: log p(x) and its error, each with shape (N), if it is known better, as from AIS.
        samples: Importance samples per datum, where they are needed.
        tolerance: As for ``svi.fit``.
        max_steps: As for ``svi.fit``.
        seed: Seed of all samples.
        first: The number of the first datum, which chooses its noise.
        progress: Told what is done and how far it is.

    Returns:
        The gaps; see ``Gaps``.

    Raises:
        ValueError: If a family is another, or the data do not fit the model.

    Source:
        Cremer, Li & Duvenaud 2018, Inference Suboptimality in Variational Autoencoders, section 3.

    Example:
        >>> from vae import linear
        >>> from vae.presets import PRESETS
        >>> model, x = VAE(PRESETS["digits-linear-2d"]).double(), torch.rand(3, 1, 8, 8).double()
        >>> found = gaps(model, x, ["diagonal"])
        >>> found.families, bool(abs(found.approximation[1]).max() < 1e-2)
        (('diagonal', 'full'), True)
    """
    if unknown := set(families) - set(NESTED):
        raise ValueError(f"families are {', '.join(NESTED)}, not {', '.join(sorted(unknown))}")
    own = {Diagonal: "diagonal", Full: "full"}.get(type(model.family), "flow")
    chosen = tuple(name for name in NESTED if name in {*families, own})
    known, sources, starts = _exact(model, x, progress)
    if truth is not None:
        known, sources = truth, ("given",)
    fits = _fits(model, x, chosen, starts, tolerance, max_steps, seed, first, progress)
    if known is None:
        sources = tuple(f"importance sampling, {name} q*" for name in chosen)
        of = (model, x, samples, list(fits.values()), seed, first)
        log_evidence, error, source, trusted = _sampled_evidence(*of)
    else:
        log_evidence, error = (t.detach().double().cpu().numpy() for t in known)
        source, trusted = np.zeros(len(x), dtype=int), np.isfinite(error)
    with torch.no_grad():
        judged = judged_elbo(model, x, model.encode(x), seed=seed + 1, first=first)
    elbo, elbo_error = (t.cpu().numpy() for t in judged)
    best, best_error, converged = (
        np.stack([getattr(fit, name) for fit in fits.values()])
        for name in ("elbo", "error", "converged")
    )
    k = chosen.index(own)
    approximation, amortization = log_evidence - best, best[k] - elbo
    approximation_error = np.hypot(error, best_error)
    amortization_error = np.hypot(best_error[k], elbo_error)
    converged &= ~(approximation < -SLACK - 3 * approximation_error) | ~trusted
    converged[k] &= amortization >= -SLACK - 3 * amortization_error
    progress("gaps", 1.0)
    return Gaps(
        chosen,
        own,
        sources,
        log_evidence,
        error,
        source,
        trusted,
        elbo,
        elbo_error,
        best,
        best_error,
        converged,
        approximation,
        approximation_error,
        amortization,
        amortization_error,
    )


def summary(gaps: Gaps) -> list[Row]:
    """The table of Cremer et al. 2018, a row for each family.

    Data for which SVI has not arrived, or whose log p(x) is not to be trusted, stay in: they are
    counted beside, and leaving them out would flatter the encoder.

    Arguments:
        gaps: The gaps.

    Returns:
        The rows; see ``Row``.

    Source:
        Cremer, Li & Duvenaud 2018, table 2.

    Example:
        >>> from vae.presets import PRESETS
        >>> model, x = VAE(PRESETS["digits-linear-2d"]), torch.zeros(3, 1, 8, 8)
        >>> [row.family for row in summary(gaps(model, x, ["diagonal"]))]
        ['diagonal', 'full']
    """
    unknown = np.full_like(gaps.amortization, np.nan)
    return [
        Row(
            name,
            len(gaps.elbo),
            int((~gaps.converged[k]).sum()),
            int((~gaps.trusted).sum()),
            _statistics(gaps.log_evidence),
            _statistics(gaps.best[k]),
            _statistics(gaps.elbo),
            _statistics(gaps.approximation[k]),
            _statistics(gaps.amortization if name == gaps.family else unknown),
        )
        for k, name in enumerate(gaps.families)
    ]


def _exact(
    model: VAE, x: Tensor, progress: Report
) -> tuple[tuple[Tensor, Tensor] | None, tuple[str, ...], Tensor | None]:
    """log p(x) and its error where they are known, how, and the modes where a grid shows them."""
    if linear.is_linear(model):
        log_evidence = linear.log_evidence(model, x)
        return (log_evidence, torch.zeros_like(log_evidence)), ("closed form",), None
    if model.latent_dim > 2:
        return None, (), None
    grid = decode_grid(model)
    found = evidence(model, x, grid, progress=part(progress, "log p(x)", len(x), 0.0, 0.1))
    more = part(progress, "modes of the posteriors", len(x), 0.1, 0.2)
    modes = find_modes(model, x, grid, progress=more).z
    return (found.log_evidence, found.error), ("grid",), modes


def _fits(
    model: VAE,
    x: Tensor,
    families: Sequence[str],
    modes: Tensor | None,
    tolerance: float | None,
    max_steps: int | None,
    seed: int,
    first: int,
    progress: Report,
) -> dict[str, Fitted]:
    """q* of each family; a larger one starts, among others, where the smaller one ended."""
    fits: dict[str, Fitted] = {}
    for k, name in enumerate(families):
        share = [0.2 + 0.6 * i / len(families) for i in (k, k + 1)]
        last = list(fits.values())[-1] if fits else None
        starts = ["encoder"] if modes is not None else ["encoder", "prior"]
        fits[name] = svi.fit(
            model,
            x,
            name,
            starts if last is None else [*starts, last.q.mean],
            modes=modes,
            tolerance=tolerance,
            max_steps=max_steps,
            seed=seed,
            first=first,
            progress=part(progress, f"SVI, {name} q", len(x), *share),
        )
    return fits


def _sampled_evidence(
    model: VAE, x: Tensor, samples: int, fits: Sequence[Fitted], seed: int, first: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """log p(x) by importance sampling from each q*: of the trusted the surest, else the highest."""
    judged = [
        importance.judge(model, x, samples, q=q, ladder=(), seed=seed + 2, first=first)
        for q in (importance.defensive(fit.q, model.prior(), SHARE) for fit in fits)
    ]
    value, error, trusted = (
        np.stack([getattr(j, name) for j in judged]) for name in ("log_evidence", "se", "trusted")
    )
    surest = np.where(trusted, error, np.inf).argmin(0)
    source = np.where(trusted.any(0), surest, value.argmax(0))
    rows = np.arange(len(x))
    return value[source, rows], error[source, rows], source, trusted[source, rows]


def _statistics(values: np.ndarray) -> tuple[float, float, float]:
    """Mean, its standard error, and median."""
    n = len(values)
    spread = float(values.std(ddof=1) / n**0.5) if n > 1 else float("nan")
    return float(values.mean()), spread, float(np.median(values))
