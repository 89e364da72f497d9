"""Annealed chains: a schedule of temperatures, steps that weigh and move, and a pilot run.

A chain is led along a path (``vae.hmc``, where f and its two ends are defined); at each temperature
it weighs itself where it stands, and then moves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import functional

from vae.hmc import Path, Point, draw, look, move

#: Step sizes, in scales of the path, and the acceptance that the pilot steers for.
LEAST_STEP, LARGEST_STEP, ACCEPTANCE = 1e-4, 0.4, 0.65
#: The pilot: chains, temperatures, moves at each, and how strongly a step follows the acceptance.
PILOT_CHAINS, PILOT_TEMPERATURES, PILOT_MOVES, GAIN = 4, 20, 5, 0.5

Progress = Callable[[int], object]


class State(NamedTuple):
    """Chains under way: where they stand, at which β, and log-weights (chains, B), float64."""

    point: Point
    beta: float
    log_w: Tensor

    @property
    def z(self) -> Tensor:
        """The latents, with shape (chains, B, D)."""
        return self.point.z


class Info(NamedTuple):
    """How one step went: probabilities of acceptance (chains, B), and the step sizes (B)."""

    acceptance: Tensor
    step_size: Tensor


def schedule(T: int, radius: float = 4.0) -> Tensor:
    r"""Inverse temperatures from 0 to 1, dense at both ends.

    .. math:: \beta_t = \frac{\sigma(r_t) - \sigma(-r)}{\sigma(r) - \sigma(-r)}, \qquad
        r_t \text{ even from } -r \text{ to } r

    Arguments:
        T: How many, both ends counted; two make plain importance sampling.
        radius: r; the larger, the denser the ends.

    Returns:
        T rising numbers, float64; the first is exactly 0 and the last exactly 1.

    Raises:
        ValueError: If T < 2 or the radius is not above 0.

    Source:
        Wu et al. 2017, section 4.1, with radius 4.

    Example:
        >>> schedule(5)
        tensor([0.0000, 0.1050, 0.5000, 0.8950, 1.0000], dtype=torch.float64)
    """
    if T < 2:
        raise ValueError(f"annealing needs at least 2 temperatures, its two ends, not {T}")
    if not radius > 0:
        raise ValueError(f"the radius of the schedule must be above 0, not {radius}")
    s = torch.linspace(-radius, radius, T, dtype=torch.float64).sigmoid()
    return (s - s[0]) / (s[-1] - s[0])


def init(path: Path, z: Tensor, beta: float = 0.0) -> State:
    """Chains that begin at given latents, with weight 1.

    Arguments:
        path: The path of B data; see ``hmc.path``.
        z: Where they begin, with shape (chains, B, D): draws from f at β.
        beta: 0 to be led to the posterior, 1 to be led back from it.

    Returns:
        The state.

    Raises:
        ValueError: If z does not have the shape (chains, B, D) with at least one chain.

    Example:
        >>> from vae.config import RunConfig
        >>> from vae.hmc import path
        >>> from vae.model import VAE
        >>> model = VAE(RunConfig(dataset="digits", hidden=(8,)))
        >>> way = path(model, torch.zeros(3, 1, 8, 8), "prior")
        >>> init(way, torch.zeros(16, 3, 2)).log_w.shape
        torch.Size([16, 3])
    """
    expected = (len(path.x), path.model.latent_dim)
    if z.dim() != 3 or z.shape[1:] != expected or len(z) < 1:
        raise ValueError(
            f"chains begin at latents of shape (chains, {expected[0]}, {expected[1]}) with at "
            f"least one chain, not {tuple(z.shape)}"
        )
    point = look(path, z)
    return State(point, beta, torch.zeros_like(point.log_joint, dtype=torch.float64))


def step(
    path: Path, state: State, beta: float, step_size: Tensor, generators: Sequence[Generator]
) -> tuple[State, Info]:
    """Takes chains to the next temperature: each is weighed where it stands, then moved.

    Arguments:
        path: The path of B data.
        state: The chains.
        beta: The next inverse temperature, above the present one or, on the way back, below.
        step_size: Of each datum, with shape (B). It must not depend on these chains: see ``tune``.
        generators: One for each datum.

    Returns:
        The chains at the new temperature, and how it went.

    Raises:
        Nothing of its own.

    Source:
        Neal 2001, Annealed importance sampling.

    Example:
        >>> from vae.config import RunConfig
        >>> from vae.hmc import path
        >>> from vae.model import VAE
        >>> model = VAE(RunConfig(dataset="digits", hidden=(8,)))
        >>> way, g = path(model, torch.zeros(1, 1, 8, 8), "prior"), [Generator().manual_seed(0)]
        >>> state, info = step(way, init(way, torch.zeros(4, 1, 2)), 0.5, torch.tensor([0.1]), g)
        >>> state.beta, info.acceptance.shape
        (0.5, torch.Size([4, 1]))
    """
    height = state.point.log_joint.double() - state.point.log_start.double()
    point, acceptance = move(path, state.point, beta, step_size, generators)
    log_w = state.log_w + (beta - state.beta) * height
    return State(point, beta, log_w), Info(acceptance, step_size)


def lead(
    path: Path,
    state: State,
    betas: Sequence[float],
    step_sizes: Tensor,
    generators: Sequence[Generator],
    progress: Progress = lambda n: None,
) -> tuple[Tensor, Tensor]:
    r"""Leads chains from the first temperature to the last.

    .. math:: \log w = \textstyle\sum_{t=2}^{T}
        \log f_{\beta_t}(z_{t-1}) - \log f_{\beta_{t-1}}(z_{t-1})

    Upwards from draws of the start E[w] = p(x); downwards from draws of the posterior 1 / p(x).

    Arguments:
        path: The path of B data.
        state: The chains at the first temperature.
        betas: Inverse temperatures, rising or falling, the first that of the state.
        step_sizes: For each of them and each datum, with shape (T, B).
        generators: One for each datum.
        progress: Called after each move with the number of data.

    Returns:
        Log-weights and mean probabilities of acceptance, each with shape (chains, B), float64.

    Raises:
        ZeroDivisionError: If there is only one temperature.

    Source:
        Neal 2001, eq. 8 to 11.

    Example:
        >>> from vae.config import RunConfig
        >>> from vae.hmc import path
        >>> from vae.model import VAE
        >>> model = VAE(RunConfig(dataset="digits", hidden=(8,)))
        >>> way, g = path(model, torch.zeros(1, 1, 8, 8), "prior"), [Generator().manual_seed(0)]
        >>> state = init(way, draw(way, g, chains=4))
        >>> lead(way, state, [0.0, 0.5, 1.0], torch.full((3, 1), 0.1), g)[0].shape
        torch.Size([4, 1])
    """
    accepted = torch.zeros_like(state.log_w)
    for beta, step_size in zip(betas[1:], step_sizes[1:], strict=True):
        state, info = step(path, state, beta, step_size, generators)
        accepted += info.acceptance
        progress(len(path.x))
    return state.log_w, accepted / (len(betas) - 1)


@torch.no_grad()
def tune(
    path: Path, generators: Sequence[Generator], T: int, progress: Progress = lambda n: None
) -> Tensor:
    r"""Step sizes for every temperature and datum, by a pilot run whose chains are then forgotten.

    .. math:: \log \epsilon \leftarrow \log \epsilon + \tfrac12 (\text{acceptance} - 0.65)

    Steps that adapted to the very chains they move would bias the weights; these are frozen.

    Arguments:
        path: The path of B data.
        generators: One for each datum.
        T: The number of temperatures of the run to come.
        progress: Called after each move with the number of data.

    Returns:
        Step sizes in scales of the path, with shape (T, B), between ``LEAST_STEP`` and
        ``LARGEST_STEP``.

    Raises:
        Nothing of its own.

    Source:
        The target 0.65 as in Wu et al. 2017; a gain in place of their fixed factors.

    Example:
        >>> from vae.config import RunConfig
        >>> from vae.hmc import path
        >>> from vae.model import VAE
        >>> model = VAE(RunConfig(dataset="digits", hidden=(8,)))
        >>> way = path(model, torch.zeros(1, 1, 8, 8), "prior")
        >>> tune(way, [Generator().manual_seed(0)], T=7).shape
        torch.Size([7, 1])
    """
    point = look(path, draw(path, generators, PILOT_CHAINS))
    step_size, chosen = torch.full_like(path.end_scale[:, 0], LARGEST_STEP), []
    for beta in schedule(PILOT_TEMPERATURES).tolist():
        for _ in range(PILOT_MOVES):
            point, acceptance = move(path, point, beta, step_size, generators)
            factor = (GAIN * (acceptance.mean(0) - ACCEPTANCE)).exp().to(step_size.dtype)
            step_size = (step_size * factor).clamp(LEAST_STEP, LARGEST_STEP)
            progress(len(path.x))
        chosen.append(step_size.log())
    logs = torch.stack(chosen, dim=1).unsqueeze(1)
    return functional.interpolate(logs, size=T, mode="linear", align_corners=True)[:, 0].T.exp()
