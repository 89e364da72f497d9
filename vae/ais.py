r"""Annealed importance sampling: log p(x) for any number of latent dimensions, and its reverse.

Chains (``vae.chains``) are led from a distribution that can be sampled to the posterior, and weigh
themselves on the way. However few the temperatures the weights are right on average:

.. math:: \mathbb{E}[w] = p(x) \text{ upwards}, \qquad \mathbb{E}[w'] = 1 / p(x) \text{ downwards}
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from vae import bounds
from vae.chains import (
    PILOT_MOVES,
    PILOT_TEMPERATURES,
    Info as Info,
    Progress,
    State as State,
    init as init,
    lead,
    schedule as schedule,
    step as step,
    tune as tune,
)
from vae.hmc import draw, path
from vae.model import VAE

#: Moves at β = 1 that part the reverse chains of a datum, which all start from one exact draw.
PARTING = 10
#: Below these an estimate is not to be trusted: a few chains carry it, or they hardly moved.
MIN_EFFECTIVE, MIN_ACCEPTANCE = 3.0, 0.3
#: Standard errors, and nats of rounding, by which the chains of two starts may differ.
AGREEMENT, ROUNDING = 4.0, 1e-3
#: Chains times data held at once: under 100 MB for the bodies of the shipped runs.
ROWS = 512

#: Where chains start; “mixed” is the first half from the encoder's q and the rest from the prior.
Starts = Literal["mixed", "encoder", "prior"]
#: Log-weights of chains that were led, and their acceptances, both (chains, B).
Led = tuple[Tensor, Tensor]


class Annealed(NamedTuple):
    """AIS estimates, float64: shape (N), and ``log_w`` (chains, N); in nats.

    ``log_evidence`` is the log-mean-exp of the chains: its expectation never exceeds log p(x).
    ``se`` is its standard error by the delta method, not a number for one chain; ``ess`` counts
    chains; ``acceptance`` is the mean probability that a move was accepted; ``trusted`` tells where
    ``ess`` and ``acceptance`` reach ``MIN_EFFECTIVE`` and ``MIN_ACCEPTANCE``, and where chains from
    the encoder and from the prior, if both were asked for, agree within their errors.
    """

    log_evidence: np.ndarray
    se: np.ndarray
    ess: np.ndarray
    acceptance: np.ndarray
    trusted: np.ndarray
    log_w: np.ndarray


class Sandwich(NamedTuple):
    """Bounds from both sides on log p(x) of simulated data, float64, with shape (n), in nats.

    ``upper - lower`` bounds the error of AIS on average over data and noise; for one datum it may
    be negative by its standard errors. ``trusted`` holds where both directions are.
    """

    x: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    lower_se: np.ndarray
    upper_se: np.ndarray
    trusted: np.ndarray


def total(n: int, temperatures: int, *, start: Starts = "mixed", both: bool = False) -> int:
    """What the calls of ``progress`` add up to: moves times data, the pilot's included.

    Arguments:
        n: How many data.
        temperatures: T.
        start: As for ``estimate``.
        both: Whether chains are also led back, as in ``sandwich``.

    Returns:
        A number of moves.

    Example:
        >>> total(n=32, temperatures=500), total(n=32, temperatures=500, both=True)
        (38336, 70912)
    """
    moves = PILOT_TEMPERATURES * PILOT_MOVES + temperatures - 1
    return n * (1 + (start == "mixed")) * (moves + both * (PARTING + temperatures - 1))


def estimate(
    model: VAE,
    x: Tensor,
    *,
    chains: int = 16,
    temperatures: int = 500,
    start: Starts = "mixed",
    seed: int = 0,
    first: int = 0,
    progress: Progress = lambda n: None,
) -> Annealed:
    r"""log p(x) by annealed importance sampling: a lower bound on average, tight with many steps.

    .. math:: \log \tfrac1C \textstyle\sum_c w_c \quad \text{with} \quad \mathbb{E}[w_c] = p(x)

    From the encoder far fewer temperatures do than from the prior, yet all chains may miss a mode
    far from q, and then ``se`` and ``ess`` look right and log p(x) is tens of nats higher. Mixed
    starts show most such cases; what no chain of either start reached stays unknown.

    Arguments:
        model: The model.
        x: Data, with shape (N, *event).
        chains: C, chains per datum.
        temperatures: T, both ends counted; 2 make plain importance sampling from the start.
        start: Where chains begin: ``"encoder"``, ``"prior"``, or ``"mixed"``, half from each.
        seed: Seed of all noise, not below 0.
        first: The number of the first datum: it chooses the noise, so that parts of a set give
            what the whole set gives, up to rounding.
        progress: Called with numbers that add up to ``total``.

    Returns:
        Estimates per datum with their errors.

    Raises:
        ValueError: If there are no data, fewer than 2 temperatures, less than a chain for each
            start, if x does not fit the model, or if a weight is not finite.

    Source:
        Neal 2001; Wu et al. 2017.

    Example:
        >>> from vae.config import RunConfig
        >>> model = VAE(RunConfig(dataset="digits", hidden=(8,)))
        >>> annealed = estimate(model, torch.zeros(3, 1, 8, 8), chains=4, temperatures=5)
        >>> annealed.log_evidence.shape, annealed.log_w.shape
        ((3,), (4, 3))
    """
    shares = _require_sense(len(x), chains, temperatures, start)
    found = [
        _anneal(model, x[index], shares, temperatures, generators, progress)[0]
        for index, generators in _tiles(len(x), shares, seed, first)
    ]
    return _annealed(found, shares, first)


def sandwich(
    model: VAE,
    n: int,
    *,
    chains: int = 16,
    temperatures: int = 500,
    start: Starts = "mixed",
    seed: int = 0,
    progress: Progress = lambda n: None,
) -> Sandwich:
    r"""Bounds from both sides, by bidirectional Monte Carlo on data that the model itself makes.

    .. math:: \mathbb{E} \log \tfrac1C \textstyle\sum_c w_c \;\le\; \log p(x) \;\le\;
        -\mathbb{E} \log \tfrac1C \textstyle\sum_c w'_c, \qquad \mathbb{E}[w'_c] = 1 / p(x)

    Of data drawn as z from p(z) and x from p(x given z), that z *is* a draw from the posterior:
    chains led back from it give w'. For any other data no such draw is known, so this says how
    well AIS does on the model's own data, not on a data set.

    Arguments:
        model: The model.
        n: How many data to simulate.
        chains: C, chains per datum, each way.
        temperatures: T, both ends counted.
        start: The other end of the path, as for ``estimate``.
        seed: Seed of all noise, not below 0.
        progress: Called with numbers that add up to ``total`` of both.

    Returns:
        The data and the bounds. The chains of the upper bound share one exact draw: its standard
        error does not know about other modes, the average over data does.

    Raises:
        ValueError: As ``estimate`` does.

    Source:
        Grosse et al. 2015, Sandwiching the marginal likelihood using bidirectional Monte Carlo.

    Example:
        >>> from vae.config import RunConfig
        >>> model = VAE(RunConfig(dataset="digits", hidden=(8,)))
        >>> both = sandwich(model, 3, chains=4, temperatures=20)
        >>> both.x.shape, both.upper.shape
        ((3, 1, 8, 8), (3,))
    """
    shares = _require_sense(n, chains, temperatures, start)
    data, found = [], []
    for _, generators in _tiles(n, shares, seed, 0):
        z, x = _simulate(model, generators)
        data.append(x.cpu().numpy())
        found.append(_anneal(model, x, shares, temperatures, generators, progress, z))
    up, down = (_annealed(direction, shares) for direction in zip(*found, strict=True))
    values = (up.log_evidence, -down.log_evidence, up.se, down.se, up.trusted & down.trusted)
    return Sandwich(np.concatenate(data), *values)


def _anneal(
    model: VAE,
    x: Tensor,
    shares: dict[str, int],
    temperatures: int,
    generators: Sequence[Generator],
    progress: Progress,
    z: Tensor | None = None,
) -> list[Led]:
    """What ``lead`` gives for chains of all starts, upwards and, from exact draws z, downwards."""
    betas, found = schedule(temperatures).tolist(), []
    for start, chains in shares.items():
        way = path(model, x, start)
        sizes = tune(way, generators, temperatures, progress)
        state = init(way, draw(way, generators, chains))
        found.append([lead(way, state, betas, sizes, generators, progress)])
        if z is not None:
            state = init(way, z.expand(chains, -1, -1), beta=1.0)
            back = torch.cat((sizes[-1:].expand(PARTING, -1), sizes.flip(0)))
            down = [1.0] * PARTING + betas[::-1]
            found[-1].append(lead(way, state, down, back, generators, progress))
    return [_join(direction, dim=0) for direction in zip(*found, strict=True)]


def _join(found: Sequence[Led], dim: int) -> Led:
    """One of many, with more chains (dim 0) or more data (dim 1)."""
    log_w, accepted = (torch.cat(column, dim) for column in zip(*found, strict=True))
    return log_w, accepted


def _annealed(found: Sequence[Led], shares: dict[str, int], first: int = 0) -> Annealed:
    """What the chains of all tiles say."""
    log_w, accepted = _join(found, dim=1)
    finite = torch.isfinite(log_w).all(0)
    if not finite.all():
        raise ValueError(
            f"the annealed weights of {int((~finite).sum())} data, the first of them number "
            f"{first + int((~finite).nonzero()[0])}, are not finite: check that x and the model's "
            "weights are, or take an earlier epoch"
        )
    ess, acceptance = bounds.effective_sample_size(log_w), accepted.mean(0)
    trusted = (ess >= MIN_EFFECTIVE) & (acceptance >= MIN_ACCEPTANCE)
    if len(shares) == 2:
        groups = log_w.split(list(shares.values()))
        one, other = map(bounds.iwae, groups)
        se = torch.hypot(*map(bounds.log_mean_exp_error, groups))
        trusted &= (one - other).abs() < AGREEMENT * se + ROUNDING
    values = (bounds.iwae(log_w), bounds.log_mean_exp_error(log_w), ess, acceptance, trusted, log_w)
    return Annealed(*(value.cpu().numpy() for value in values))


def _tiles(
    n: int, shares: dict[str, int], seed: int, first: int
) -> Iterator[tuple[slice, list[Generator]]]:
    """Data whose chains run at once, and the noise of each."""
    size = max(1, ROWS // max(shares.values()))
    for i in range(0, n, size):
        index = slice(i, min(n, i + size))
        numbers = range(first + index.start, first + index.stop)
        seeds = (np.random.SeedSequence((seed, number)).generate_state(1) for number in numbers)
        yield index, [Generator().manual_seed(int(s[0])) for s in seeds]


@torch.no_grad()
def _simulate(model: VAE, generators: Sequence[Generator]) -> tuple[Tensor, Tensor]:
    """One z (B, D) from the prior and one x (B, *event) from p(x given z) for each generator."""
    drawn = []
    with torch.random.fork_rng(devices=[]):
        for generator in generators:
            torch.manual_seed(int(torch.randint(2**32, (), generator=generator)))
            z = model.prior().sample((1,))
            drawn.append((z, model.decode(z).sample()))
    z, x = (torch.cat(column) for column in zip(*drawn, strict=True))
    return z, x


def _require_sense(n: int, chains: int, temperatures: int, start: str) -> dict[str, int]:
    """Says no to what cannot be computed; else how many chains begin where."""
    schedule(temperatures)
    if n < 1:
        raise ValueError("there are no data to anneal: ask for at least one")
    shares = {"encoder": chains - chains // 2, "prior": chains // 2}
    shares = shares if start == "mixed" else {start: chains}
    if min(shares.values()) < 1:
        raise ValueError(
            f"annealing from {' and '.join(shares)} needs a chain per datum from each, not {chains}"
        )
    return shares
