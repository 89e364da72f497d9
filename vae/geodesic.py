r"""Paths between two latents: straight, spherical, and the shortest one by the pull-back metric.

.. math:: E(z_1, \dots, z_{n-1}) = P \sum_{j=1}^{P} |\phi(u_j) - \phi(u_{j-1})|^2 \;\ge\;
    \Big( \sum_j |\phi(u_j) - \phi(u_{j-1})| \Big)^2

over P short steps along the polyline through the knots z. The energy is least for the shortest path
walked at constant speed. It is a sum of squares, so Gauss–Newton steps with damping make it fall.

With more than two dimensions the decoder may ignore some, and moving along those costs nothing: the
shortest path by G alone may go anywhere. There the search is for the shortest by G + I, where a
prior standard deviation costs at least one; the lengths reported are by G always.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy.linalg import solveh_banded
from torch import Tensor

from vae.geodesic_start import through_a_graph
from vae.metric import derivatives, embed, length, subdivided
from vae.model import VAE

#: Steps into which each line between two knots is cut while the energy falls.
PARTS = 2
#: A search has come to rest when three steps together lower the energy by less than this share. So
#: many steps are tried from each beginning, and so many in all.
SETTLED, FIRST, MAX_STEPS = 1e-3, 6, 60
#: With more dimensions than this, what a path costs counts its way in z too.
TETHERED = 2
#: Damping that a step has at least.
DAMPING = 1e-5


class State(NamedTuple):
    """Where the search is: the knots of the path (n, D), ends included, its energy (the square of
    a length), and the damping of the next step, as a share of the diagonal."""

    path: np.ndarray
    energy: float
    damping: float


class Info(NamedTuple):
    """What a step did: whether it was taken, and by what share the energy fell."""

    taken: bool
    fall: float


class Geodesic(NamedTuple):
    """The shortest path found: its knots (n, D), near constant speed; its length and the error of
    that, and the length of the straight line, in standard deviations of distinguishability; whether
    the search came to rest, and after how many steps. Only a local minimum is sought."""

    path: np.ndarray
    length: float
    error: float
    straight: float
    converged: bool
    steps: int


def straight(a: np.ndarray, b: np.ndarray, n: int) -> np.ndarray:
    """n latents evenly spaced on the segment between two, ends included: (n, D).

    Example:
        >>> straight(np.array([0.0, 2.0]), np.array([4.0, 0.0]), 3)
        array([[0., 2.],
               [2., 1.],
               [4., 0.]])
    """
    t = np.linspace(0, 1, n)[:, None]
    return (1 - t) * np.asarray(a, float) + t * np.asarray(b, float)


def spherical(a: np.ndarray, b: np.ndarray, n: int) -> np.ndarray:
    r"""n latents on an arc about the origin, whose distance from it changes evenly.

    .. math:: z(t) = \big((1 - t) |a| + t |b|\big)\;
        \frac{\sin((1 - t)\Omega)\, \hat a + \sin(t\Omega)\, \hat b}{\sin \Omega}

    In many dimensions the prior's mass lies in a shell, which a straight line leaves. Two ends on
    opposite sides are joined by one of their equal arcs; where an end is zero the path is straight.

    Arguments:
        a: One end, with shape (D).
        b: The other, with shape (D).
        n: How many, ends included.

    Returns:
        The path, with shape (n, D).

    Raises:
        Nothing of its own.

    Source:
        Shoemake 1985, Animating Rotation with Quaternion Curves; White 2016, Sampling Generative
        Networks, for latents.

    Example:
        >>> spherical(np.array([1.0, 0.0]), np.array([0.0, 2.0]), 3).round(3)
        array([[1.   , 0.   ],
               [1.061, 1.061],
               [0.   , 2.   ]])
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    norms = np.linalg.norm(a), np.linalg.norm(b)
    if len(a) == 1 or min(norms) < 1e-9:
        return straight(a, b, n)
    one, other = a / norms[0], b / norms[1]
    across = other - (one @ other) * one
    if np.linalg.norm(across) < 1e-6:  # parallel, or opposite: any arc is as good as any other
        axis = np.zeros_like(a)
        axis[np.argmin(np.abs(a))] = 1
        across = axis - (one @ axis) * one
    across /= np.linalg.norm(across)
    t = np.linspace(0, 1, n)[:, None]
    angle = t * np.arctan2(other @ across, one @ other)
    path = ((1 - t) * norms[0] + t * norms[1]) * (np.cos(angle) * one + np.sin(angle) * across)
    path[0], path[-1] = a, b
    return path


def evenly(model: VAE, path: np.ndarray, n: int, parts: int = 16) -> np.ndarray:
    """n latents along a path, each as far from the one before by the metric: pictures on them
    change at constant speed.

    Arguments:
        model: The model.
        path: Knots, with shape (m, D).
        n: How many, ends included.
        parts: Into how many steps each line is cut to measure it.

    Returns:
        The latents, with shape (n, D); evenly in z where the decoder stands still.

    Raises:
        TypeError: As ``metric.embed`` does.

    Example:
        >>> from vae.presets import PRESETS
        >>> model = VAE(PRESETS["digits-linear-2d"])
        >>> evenly(model, np.array([[0.0, 0.0], [1.0, 1.0], [4.0, 4.0]]), 3).round(4)
        array([[0., 0.],
               [2., 2.],
               [4., 4.]])
    """
    fine = subdivided(np.asarray(path, float), parts)
    seen = _steps(model, fine).norm(dim=1).numpy()
    seen += 1e-9 * np.linalg.norm(np.diff(fine, axis=0), axis=1)  # nowhere zero
    walked = np.concatenate([[0.0], np.cumsum(seen)])
    places = np.linspace(0, walked[-1], n)
    return np.stack([np.interp(places, walked, column) for column in fine.T], axis=1)


def geodesic(model: VAE, a: np.ndarray, b: np.ndarray, n: int = 32) -> Geodesic:
    """The shortest path between two latents by the pull-back metric, as far as a search finds it.

    It begins with the straight line, and in a plane with the shortest path over a decoded grid too:
    the better after a few steps goes on. Elsewhere it begins with the straight or the spherical
    path, whichever is shorter. It is never longer than straight.

    Arguments:
        model: The model.
        a: One end, with shape (D).
        b: The other, with shape (D).
        n: Knots, ends included.

    Returns:
        The path and its length; see ``Geodesic``.

    Raises:
        ValueError: If n < 3.
        TypeError: As ``metric.embed`` does.

    Source:
        Arvanitidis, Hansen & Hauberg 2018, Latent Space Oddity; Chen et al. 2018, Metrics for Deep
        Generative Models.

    Example:
        >>> from vae.presets import PRESETS
        >>> model = VAE(PRESETS["digits-linear-2d"])
        >>> found = geodesic(model, np.array([0.0, 0.0]), np.array([2.0, 1.0]), n=5)
        >>> found.converged, bool(abs(found.length / found.straight - 1) < 1e-5)
        (True, True)
    """
    if n < 3:
        raise ValueError("a path needs at least 3 knots: its ends, and one that can move")
    a, b = np.asarray(a, float), np.asarray(b, float)
    line = evenly(model, straight(a, b, n), n)
    other = through_a_graph(model, a, b) if len(a) == 2 else spherical(a, b, n)
    starts = [init(model, path) for path in (line, evenly(model, other, n))]
    if len(a) != 2:
        starts = [min(starts, key=lambda state: state.energy)]
    searches = [_search(model, start, FIRST) for start in starts]
    state, converged, steps = min(searches, key=lambda search: search[0].energy)
    if not converged:
        state, converged, more = _search(model, state, MAX_STEPS - steps)
        steps += more
    found, direct = length(model, state.path), length(model, line)
    if not found.value < direct.value:
        return Geodesic(line, *direct, direct.value, converged, steps)
    return Geodesic(state.path, *found, direct.value, converged, steps)


def _search(model: VAE, state: State, at_most: int) -> tuple[State, bool, int]:
    """Steps until the energy has fallen by next to nothing three times; whether it came to that."""
    falls = []
    for _ in range(at_most):
        state, info = step(model, state)
        falls.append(info.fall)
        if len(falls) >= 3 and sum(falls[-3:]) < SETTLED:
            return state, True, len(falls)
    return state, False, len(falls)


def init(model: VAE, path: np.ndarray) -> State:
    """Begins a search with the knots of a path (n, D), whose ends stay where they are."""
    path = np.asarray(path, float)
    return State(path, _energy(model, path), DAMPING)


def step(model: VAE, state: State) -> tuple[State, Info]:
    r"""One Gauss–Newton step: the least energy if φ were linear between here and there.

    .. math:: (B^\top B + \lambda\, \mathrm{diag}\, B^\top B)\, \delta = -B^\top r

    with the steps r of φ along the path and their derivatives B by the knots. Where φ curves, δ is
    too short: it is doubled as long as the energy falls further. A step that would raise the energy
    is not taken, and the next is damped more.

    Arguments:
        model: The model.
        state: From ``init`` or the step before.

    Returns:
        The new state, and what happened.

    Raises:
        TypeError: As ``metric.embed`` does.

    Source:
        Marquardt 1963, An Algorithm for Least-Squares Estimation of Nonlinear Parameters.

    Example:
        >>> from vae.presets import PRESETS
        >>> model = VAE(PRESETS["digits-linear-2d"])
        >>> bent = np.array([[0.0, 0.0], [1.0, -3.0], [2.0, 2.0]])
        >>> state, info = step(model, init(model, bent))
        >>> info.taken, bool(np.abs(state.path[1] - 1).max() < 1e-3)
        (True, True)
    """
    gradient, normal = _normal_equations(model, state.path)
    normal[0] += state.damping * normal[0] + 1e-9 * normal[0].max() + 1e-30
    try:
        move = solveh_banded(normal, -gradient, lower=True).reshape(-1, state.path.shape[1])
    except np.linalg.LinAlgError:  # rounding ate a direction in which next to nothing changes
        return state._replace(damping=100 * state.damping), Info(False, 0.0)
    best, far = state, 1.0
    while True:
        path = state.path.copy()
        path[1:-1] += far * move
        energy = _energy(model, path)
        if not energy < best.energy:
            break
        best, far = State(path, energy, max(DAMPING, state.damping / 10)), 2 * far
    if best is state:
        return state._replace(damping=100 * state.damping), Info(False, 0.0)
    return best, Info(True, 1 - best.energy / state.energy)


def _normal_equations(model: VAE, path: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bᵀr, and BᵀB as its bands from the diagonal down, by the inner knots; float64."""
    lines, D = len(path) - 1, path.shape[1]
    z = torch.as_tensor(subdivided(path, PARTS)).to(model.zero)
    phi, moved = derivatives(model, z)  # (P + 1, d), (P + 1, D, d)
    if D > TETHERED:
        own = torch.eye(D, dtype=z.dtype, device=z.device).expand(len(z), D, D)
        phi, moved = torch.cat((phi, z), dim=1), torch.cat((moved, own), dim=2)
    t = torch.arange(PARTS + 1).to(z) / PARTS
    at = moved[:-1].unflatten(0, (lines, PARTS))
    to = moved[1:].unflatten(0, (lines, PARTS))
    late = t[:, None, None]
    here = (1 - late[1:]) * to - (1 - late[:-1]) * at  # by the knot where a line begins
    there = late[1:] * to - late[:-1] * at
    B = torch.cat((here, there), dim=2).movedim(1, 2).flatten(2)  # (lines, 2D, PARTS d)
    r = phi.diff(dim=0).reshape(lines, -1, 1)
    squares, slopes = (B @ B.mT).double().numpy(), (B @ r).squeeze(-1).double().numpy()
    normal, gradient = np.zeros((2 * D, len(path) * D)), np.zeros(len(path) * D)
    rows, columns = np.tril_indices(2 * D)
    for line in range(lines):  # a line binds the knots at its two ends: all else is zero
        normal[rows - columns, line * D + columns] += squares[line][rows, columns]
        gradient[line * D : (line + 2) * D] += slopes[line]
    return gradient[D:-D], normal[:, D:-D]


def _energy(model: VAE, path: np.ndarray) -> float:
    """The energy of a path: the square of its length, if it is walked at constant speed."""
    fine = subdivided(path, PARTS)
    squares = float(_steps(model, fine).square().sum())
    if path.shape[1] > TETHERED:
        squares += float(np.square(np.diff(fine, axis=0)).sum())
    return (len(fine) - 1) * squares


@torch.no_grad()
def _steps(model: VAE, path: np.ndarray) -> Tensor:
    """By how much φ moves from each place to the next: (n − 1, d), float64."""
    return embed(model.decode(torch.as_tensor(path).to(model.zero))).double().diff(dim=0)
