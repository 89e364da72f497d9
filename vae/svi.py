r"""Stochastic variational inference for one datum at a time: q*, the best q of a family.

.. math:: q^*_n = \arg\max_{q \in \text{family}} \mathbb{E}_q[\log p(x_n, z) - \log q(z)]

No encoder comes between: what q* still loses of log p(x) is the family's fault. The steps are those
of ``svi_gaussian`` and ``svi_flow``; this file runs them from several starts, judges whether they
have arrived, and keeps the best. A page that shows the steps one by one takes ``svi_path``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from vae import svi_flow, svi_gaussian
from vae.flow import Flow
from vae.model import VAE
from vae.svi_gaussian import init as init, step as step
from vae.svi_settle import Arrived, on_nodes, on_samples
from vae.svi_start import Start
from vae.svi_target import joined, judged_elbo

#: Data fitted at once.
CHUNK = 100
#: Where flows start; the second only where it is wider, in the logarithm of the volume.
FLOW_STARTS, WIDER = ("best Gaussian", "all Gaussians", "encoder's flow"), 0.2


class Fitted(NamedTuple):
    """q* of N data; arrays are float64, in nats.

    ``q`` is a distribution with batch shape (N); ``elbo`` (N) is its L[q*] and ``error`` (N) how
    far that may be off: with nodes the difference between two rules, otherwise the standard error
    of samples to which nothing was fitted. What a longer search would gain is in neither: on
    mnist-2d 0.002 nats on average, and 0.015 at most. ``converged`` (N); ``start`` (N) counts the
    start in ``starts`` that won, whose ELBOs, as they were compared, are ``elbos`` (S, N), not a
    number where a datum has no such start.
    """

    q: Distribution
    elbo: np.ndarray
    error: np.ndarray
    converged: np.ndarray
    start: np.ndarray
    starts: tuple[str, ...]
    elbos: np.ndarray


class _Fits(NamedTuple):
    """Fits from several starts, with the datum and the start that each belongs to."""

    rows: Arrived
    owner: Tensor
    which: Tensor


def fit(
    model: VAE,
    x: Tensor,
    family: str = "diagonal",
    starts: Sequence[Start] | None = None,
    *,
    modes: Tensor | None = None,
    tolerance: float | None = None,
    max_steps: int | None = None,
    seed: int = 0,
    first: int = 0,
    observed: Tensor | None = None,
    progress: Callable[[int], object] = lambda n: None,
) -> Fitted:
    """The best q of a family for every datum, from several starts.

    Whether a fit has arrived is judged, not assumed: on nodes, no step promises a gain above the
    tolerance and a rule with twice as many nodes agrees on the ELBO; on samples, as many steps
    again changed it by less. More starts find better optima: give the modes of the posterior where
    they are known. A flow starts at the best full Gaussian, and at the one that covers all that the
    starts found.

    Arguments:
        model: The model.
        x: Data, with shape (N, *event).
        family: ``"diagonal"``, ``"full"`` or ``"flow"``.
        starts: Each ``"encoder"``, ``"prior"`` or latents with shape (N, D). If not given, the
            encoder, and the prior too unless there are modes.
        modes: More starts, with shape (N, M, D); rows that are not a number are none.
        tolerance: In nats; 0.001 where the ELBO is judged on nodes (Gaussians, up to two latent
            dimensions), 0.01 where it is judged on samples, if not given.
        max_steps: Steps from a start at most; 200 on nodes and 800 otherwise if not given.
        seed: Seed of the samples.
        first: The number of the first datum, which chooses its noise in the final ELBO.
        observed: Which coordinates of a datum count, a mask with shape (d); all if not given.
        progress: Called after each chunk with the number of its data.

    Returns:
        q* and its ELBO for every datum. A datum's answer does not depend on the others.

    Raises:
        ValueError: If the family is another, no start is given, the data do not fit the model, or
            their ELBO is not finite at a start.

    Source:
        Hoffman et al. 2013, Stochastic Variational Inference; Cremer et al. 2018, Inference
        Suboptimality in Variational Autoencoders.

    Example:
        >>> from vae.config import RunConfig
        >>> model, x = VAE(RunConfig(dataset="digits", hidden=(16,))), torch.zeros(3, 1, 8, 8)
        >>> fitted = fit(model, x)
        >>> fitted.converged, fitted.starts
        (array([ True,  True,  True]), ('encoder', 'prior'))
    """
    names, starts = _named(starts, modes)
    options = (tolerance, max_steps, seed, observed)
    arrived, elbos, won = [], [], []
    for i in range(0, len(x), CHUNK):
        rows = slice(i, i + CHUNK)
        part = [start if isinstance(start, str) else start[rows] for start in starts]
        fits = _gaussians(model, x[rows], "full" if family == "flow" else family, part, *options)
        best = _best(fits, len(starts), len(x[rows]))
        if family == "flow":
            fits = _flows(model, x[rows], fits, best, *options)
            best = _best(fits, len(FLOW_STARTS), len(x[rows]))
        for many, one in zip((arrived, elbos, won), best, strict=True):
            many.append(one)
        progress(len(x[rows]))
    parts = tuple(map(torch.cat, zip(*(rows.parts for rows in arrived), strict=True)))
    converged = torch.cat([rows.converged for rows in arrived])
    if family == "flow":
        q, names = svi_flow.DatumFlows(*parts), FLOW_STARTS
    else:
        q = svi_gaussian.gaussian(family, *parts)
    judged = judged_elbo(model, x, q, seed=seed + 1, first=first, observed=observed)
    arrays = (*judged, converged, torch.cat(won), torch.cat(elbos, 1))
    elbo, error, converged, start, compared = (t.cpu().numpy() for t in arrays)
    return Fitted(q, elbo, error, converged, start, names, compared)


def _named(
    starts: Sequence[Start] | None, modes: Tensor | None
) -> tuple[tuple[str, ...], list[Start]]:
    """The starts, each with a name."""
    if starts is None:
        starts = ("encoder", "prior") if modes is None else ("encoder",)
    more = [] if modes is None else list(modes.unbind(1))
    if not (starts or more):
        raise ValueError("SVI needs a start: encoder, prior, latents, or modes")
    names = [start if isinstance(start, str) else "latents" for start in starts]
    names += [f"mode {i + 1}" for i in range(len(more))]
    return tuple(names), [*starts, *more]


def _best(fits: _Fits, n_starts: int, n: int) -> tuple[Arrived, Tensor, Tensor]:
    """Each datum's best fit; the ELBOs of all, with shape (S, N); and which start won (N)."""
    rows, owner, which = fits
    elbos = rows.elbo.new_full((n_starts, n), torch.nan)
    elbos[which, owner] = rows.elbo
    start = elbos.nan_to_num(-torch.inf).argmax(0)
    row = torch.zeros_like(elbos).long()
    row[which, owner] = torch.arange(len(owner), device=owner.device)
    winner = row.gather(0, start[None])[0]
    parts = tuple(part[winner] for part in rows.parts)
    return Arrived(parts, *(field[winner] for field in rows[1:])), elbos, start


def _gaussians(
    model: VAE,
    x: Tensor,
    family: str,
    starts: Sequence[Start],
    tolerance: float | None,
    max_steps: int | None,
    seed: int,
    observed: Tensor | None,
) -> _Fits:
    """Gaussians from every start."""
    states, owners = [], []
    for start in starts:
        owner = torch.arange(len(x), device=x.device)
        if isinstance(start, Tensor):
            owner = owner[torch.isfinite(start).all(-1).to(x.device)]
            start = start[owner.to(start.device)]
        owners.append(owner)
        if len(owner):
            states.append(
                svi_gaussian.init(model, x[owner], family, start, seed=seed, observed=observed)
            )
    owner = torch.cat(owners)
    if len(owner.unique()) < len(x):
        raise ValueError("SVI needs a start for every datum: give it the encoder, too")
    which = torch.cat([torch.full_like(rows, s) for s, rows in enumerate(owners)])
    state = joined(states)
    settle = on_nodes if state.nodes else on_samples
    return _Fits(settle(model, x[owner], state, tolerance, max_steps, observed), owner, which)


def _flows(
    model: VAE,
    x: Tensor,
    gaussians: _Fits,
    best: tuple[Arrived, Tensor, Tensor],
    tolerance: float | None,
    max_steps: int | None,
    seed: int,
    observed: Tensor | None,
) -> _Fits:
    """Flows from every start of ``FLOW_STARTS`` that a datum has."""
    everyone = torch.arange(len(x), device=x.device)
    loc, tril = best[0].parts
    states, owners = [svi_flow.init(model, x, loc, tril, seed=seed)], [everyone]
    all_loc, all_tril = _cover(gaussians, best[1])
    volume, all_volume = (t.diagonal(dim1=-2, dim2=-1).log().sum(-1) for t in (tril, all_tril))
    owners.append((all_volume > volume + WIDER).nonzero()[:, 0])
    if len(rows := owners[1]):
        states.append(svi_flow.init(model, x[rows], all_loc[rows], all_tril[rows], seed=seed))
    if isinstance(model.family, Flow):
        states.append(svi_flow.init_from_encoder(model, x, seed=seed))
        owners.append(everyone)
    owner = torch.cat(owners)
    which = torch.cat([torch.full_like(rows, s) for s, rows in enumerate(owners)])
    rows = on_samples(model, x[owner], joined(states), tolerance, max_steps, observed)
    return _Fits(rows, owner, which)


def _cover(gaussians: _Fits, elbos: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and Cholesky factor of all Gaussians of a datum, each weighed by exp(ELBO)."""
    (loc, tril), owner = gaussians.rows.parts, gaussians.owner
    weight = elbos.nan_to_num(-torch.inf).softmax(0)[gaussians.which, owner].to(loc)
    mean = torch.zeros_like(loc[: elbos.shape[1]]).index_add(0, owner, weight[:, None] * loc)
    off = (loc - mean[owner]).unsqueeze(-1)
    each = weight[:, None, None] * (tril @ tril.mT + off @ off.mT)
    covariance = torch.zeros_like(tril[: len(mean)]).index_add(0, owner, each)
    return mean, torch.linalg.cholesky(covariance)
