"""Steps of SVI until they have arrived, which is judged and not assumed."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from vae import svi_flow, svi_gaussian
from vae.model import VAE
from vae.svi_target import elbo_on, gauss_hermite, mirrored, put, select

#: A fit has arrived when there is less to gain, in nats: where nodes judge, and where samples do.
TOLERANCE, SAMPLED_TOLERANCE = 1e-3, 1e-2
#: Steps from a start at most, by each rule of nodes, and on samples.
MAX_STEPS, MAX_SAMPLED = 200, 800
#: Nodes per dimension of the rules that climb, each checked by one with twice as many.
RULES = (8, 16, 32)
#: How close two rules must come, in nats, for the coarser one to have been fine enough.
AGREEMENT = 0.02
#: Sampled Gaussians, and flows, are judged after so many steps, then each time they have doubled.
FIRST_LOOK, FIRST_LOOK_AT_FLOWS = 50, 200
#: Samples that judge a fit under way: always the same.
JUDGES = 512


class Arrived(NamedTuple):
    """Rows of a fit: what q is made of, its ELBO, and whether it arrived."""

    parts: tuple[Tensor, ...]
    elbo: Tensor
    converged: Tensor


def on_nodes(
    model: VAE,
    x: Tensor,
    state: svi_gaussian.State,
    tolerance: float | None,
    max_steps: int | None,
    observed: Tensor | None,
) -> Arrived:
    """Climbs by a rule, has it judged by a finer one, and goes on by that where they differ."""
    tolerance = TOLERANCE if tolerance is None else tolerance
    loc, tril, elbo = state.loc.clone(), state.tril.clone(), state.elbo.clone()
    converged = torch.zeros_like(elbo).bool()
    rows = torch.arange(len(x), device=x.device)
    for nodes in RULES:
        part = select(state._replace(loc=loc, tril=tril), rows)
        if nodes != state.nodes:
            part = svi_gaussian.refine(model, x[rows], part, nodes, observed=observed)
        part, there = _climb(model, x[rows], part, tolerance, max_steps or MAX_STEPS, observed)
        rule = gauss_hermite(2 * nodes, model.latent_dim)
        finer = elbo_on(model, x[rows], svi_gaussian.distribution(part), rule, observed)
        loc[rows], tril[rows], elbo[rows] = part.loc, part.tril, finer
        agreed = (finer - part.elbo).abs() < AGREEMENT
        converged[rows] = there & agreed
        rows = rows[there & ~agreed]
        if not len(rows):
            break
    return Arrived((loc, tril), elbo, converged)


def _climb(
    model: VAE,
    x: Tensor,
    state: svi_gaussian.State,
    tolerance: float,
    max_steps: int,
    observed: Tensor | None,
) -> tuple[svi_gaussian.State, Tensor]:
    """Steps until none promises more than the tolerance; data that are there drop out."""
    there = svi_gaussian.promise(state) < tolerance
    for _ in range(max_steps):
        rows = (~there).nonzero()[:, 0]
        if not len(rows):
            break
        part, _ = svi_gaussian.step(model, x[rows], select(state, rows), observed=observed)
        state = put(state, rows, part)
        there[rows] = svi_gaussian.promise(part) < tolerance
    return state, there


def on_samples(
    model: VAE,
    x: Tensor,
    state: svi_gaussian.State | svi_flow.State,
    tolerance: float | None,
    max_steps: int | None,
    observed: Tensor | None,
) -> Arrived:
    """Steps on samples until twice as many change nothing; keeps the best that was seen."""
    kind, look = svi_gaussian, FIRST_LOOK
    if isinstance(state, svi_flow.State):
        kind, look = svi_flow, FIRST_LOOK_AT_FLOWS
    tolerance = SAMPLED_TOLERANCE if tolerance is None else tolerance
    D, max_steps = model.latent_dim, max_steps or MAX_SAMPLED
    judges = mirrored(JUDGES, D, ~state.seed, 0)
    best, value = state, elbo_on(model, x, kind.distribution(state), judges, observed)
    previous, converged = value.clone(), torch.zeros_like(value).bool()
    rows, look = torch.arange(len(x), device=x.device), min(look, max_steps)
    while len(rows) and state.n_steps < max_steps:
        while state.n_steps < look:
            state, _ = kind.step(model, x[rows], state, observed=observed)
        found = elbo_on(model, x[rows], kind.distribution(state), judges, observed)
        better = found > value[rows]
        best = put(best, rows[better], select(state, better))
        value[rows] = torch.maximum(found, value[rows])
        going = (found - previous[rows]).abs() >= tolerance
        converged[rows], previous[rows] = ~going, found
        rows, state, look = rows[going], select(state, going), min(2 * look, max_steps)
    q = kind.distribution(best)
    parts = (q.loc, q.tril, q.context) if kind is svi_flow else (best.loc, best.tril)
    return Arrived(parts, value, converged)
