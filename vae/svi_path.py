"""The way of SVI, step by step, for one datum: what a page plays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from vae import svi_flow, svi_gaussian
from vae.families import covariance, moments
from vae.flow import Flow
from vae.model import VAE
from vae.svi_start import Start
from vae.svi_target import elbo_on, joined, mirrored, put, select

#: Nodes per dimension (up to two) that Gaussians climb by, and samples that give the ELBO of other
#: frames: always the same.
NODES, SAMPLES = 16, 512
#: A q that promises less than this does not move any more, in nats.
STILL = 1e-5


class Path(NamedTuple):
    """S frames from each of R starts, the start first; arrays, float64.

    ``loc`` (S, R, D) and ``covariance`` (S, R, D, D) of q, ``elbo`` (S, R) in nats, and the last
    ``q``, a distribution with batch shape (R).
    """

    loc: np.ndarray
    covariance: np.ndarray
    elbo: np.ndarray
    q: Distribution


def path(
    model: VAE,
    x: Tensor,
    family: str = "diagonal",
    starts: Sequence[Start] = ("encoder", "prior"),
    n_steps: int = 60,
    *,
    pace: float = 0.5,
    scale: float = 0.2,
    seed: int = 0,
    observed: Tensor | None = None,
) -> Path:
    """The steps that q takes from each start towards the posterior of one datum.

    All starts step in one batch. On nodes a step that does not help leaves its frame as it was.

    Arguments:
        model: The model.
        x: The datum, with shape (*event) or (1, *event).
        family: ``"diagonal"``, ``"full"`` or ``"flow"``.
        starts: Each ``"encoder"``, ``"prior"``, or a latent with shape (D).
        n_steps: Steps from each start.
        pace: The longest step, as a share of a whole one; of a flow, what multiplies its steps.
        scale: The width of q at a latent, in units of the prior.
        seed: Seed of the samples.
        observed: Which coordinates of the datum count, a mask with shape (d); all if not given.

    Returns:
        The frames; see ``Path``. The moments of a flow are sums over fixed nodes.

    Raises:
        ValueError: If the family or a start is another, there is no start, or the datum does not
            fit the model.

    Source:
        ``svi_gaussian.step`` and ``svi_flow.step``.

    Example:
        >>> from vae.config import RunConfig
        >>> model, x = VAE(RunConfig(dataset="digits", hidden=(16,))), torch.zeros(1, 8, 8)
        >>> steps = path(model, x, "full", ["prior", torch.tensor([1.0, 2.0])], n_steps=10)
        >>> steps.loc.shape, bool((np.diff(steps.elbo, axis=0) >= 0).all())
        ((11, 2, 2), True)
    """
    if not len(starts):
        raise ValueError("the race needs a start: encoder, prior, or a latent")
    x = x.reshape(1, *model.shape) if x.shape == torch.Size(model.shape) else x
    D = model.latent_dim
    gaussian = "full" if family == "flow" else family
    nodes = NODES if D <= 2 else 0
    judges = mirrored(SAMPLES, D, ~seed, 0)
    options = {"scale": scale, "nodes": nodes, "seed": seed, "observed": observed}
    state = joined(
        [
            svi_gaussian.init(
                model,
                x,
                gaussian,
                start if isinstance(start, str) else torch.as_tensor(start).reshape(1, -1),
                **options,
            )
            for start in starts
        ]
    )
    kind, x = svi_gaussian, x.expand(len(starts), *model.shape)
    if family == "flow":
        kind, state = svi_flow, _flows(model, x, state, starts, seed)
    frames, exact = [], nodes and kind is svi_gaussian
    rows = torch.arange(len(x), device=x.device)
    for i in range(n_steps + 1):
        if exact:
            rows = (svi_gaussian.promise(state) > STILL).nonzero()[:, 0]
        if i and len(rows):
            moving = select(state, rows)
            moving, _ = kind.step(model, x[rows], moving, pace=pace, observed=observed)
            state = put(state, rows, moving)._replace(n_steps=i)
        q = kind.distribution(state)
        elbo = state.elbo if exact else elbo_on(model, x, q, judges, observed)
        with torch.no_grad():
            frames.append((moments(q)[0], covariance(q), elbo))
    arrays = (torch.stack(f).double().cpu().numpy() for f in zip(*frames, strict=True))
    return Path(*arrays, q)


def _flows(
    model: VAE, x: Tensor, state: svi_gaussian.State, starts: Sequence[Start], seed: int
) -> svi_flow.State:
    """Flows on the Gaussians of the starts, and the encoder's own where it has one."""
    flows = svi_flow.init(model, x, state.loc, state.tril, seed=seed)
    if not isinstance(model.family, Flow):
        return flows
    own = svi_flow.init_from_encoder(model, x, seed=seed)
    rows = [torch.tensor([i], device=x.device) for i in range(len(starts))]
    whose = [own if isinstance(start, str) and start == "encoder" else flows for start in starts]
    return joined([select(state, row) for state, row in zip(whose, rows, strict=True)])
