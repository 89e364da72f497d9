r"""EM for a mixture of round Gaussians, step by step, and the bound that each of its steps raises.

The bound is :func:`free_energy`, for any q over the components:

.. math:: F(q, \theta) = \mathbb{E}_{q(k)}[\log p(x, k)] + \mathrm{H}[q]
    = \log p(x) - \mathrm{KL}(q(k) \,\|\, p(k \mid x))

The E-step makes q = p(k | x), the responsibilities; the M-step finds the best mixture for that q.
Shapes: N data, K components, D dimensions; float64.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

#: The smallest variance: below it densities of the plane overflow sooner or later.
FLOOR = 1e-12
#: A component that holds less than so many data keeps its place.
EMPTY = 1e-12

Start = Literal["data", "corner", "same"]


class Mixture(NamedTuple):
    """The state of EM: ``centres`` (K, D), ``weights`` (K), and the ``variance`` σ², a number that
    all components share in every direction."""

    centres: np.ndarray
    weights: np.ndarray
    variance: float


class SoftInfo(NamedTuple):
    """A step of EM: ``responsibilities`` p(k | x) (N, K) and ``log_likelihood`` of the mixture as
    it was, ``free_energy`` F of these responsibilities and the new mixture, both in nats per datum,
    and how far each centre ``moved`` (K), in units of x."""

    responsibilities: np.ndarray
    log_likelihood: float
    free_energy: float
    moved: np.ndarray


def start(x: np.ndarray, k: int, kind: Start = "data", seed: int = 0) -> np.ndarray:
    """Places K centres to start from.

    Arguments:
        x: Data, with shape (N, D).
        k: Number of centres K.
        kind: ``"data"``, K different data; ``"corner"``, all close together outside of one corner
            of the data; ``"same"``, all in one place.
        seed: Decides which data, and the places in the corner.

    Returns:
        The centres, with shape (K, D).

    Raises:
        ValueError: If the data are not finite numbers (N, D), or K is not between 1 and N.

    Example:
        >>> start(np.eye(2), 2, "same")
        array([[0.5, 0.5],
               [0.5, 0.5]])
    """
    x = enough(x, k)
    random = np.random.default_rng(seed)
    if kind == "data":
        return x[random.choice(len(x), k, replace=False)]
    if kind == "corner":
        return x.min(axis=0) + 0.05 * np.ptp(x, axis=0) * random.standard_normal((k, x.shape[1]))
    return np.tile(x.mean(axis=0), (k, 1))


def em_init(centres: np.ndarray, sigma: float, weights: np.ndarray | None = None) -> Mixture:
    """A mixture of round Gaussians at its start.

    Arguments:
        centres: The means, with shape (K, D).
        sigma: The standard deviation σ of every component, in units of x.
        weights: Their probabilities, with shape (K); all equal if not given.

    Returns:
        The state.

    Raises:
        ValueError: If the means are not finite, or σ is below a millionth.

    Example:
        >>> em_init(np.zeros((4, 2)), 0.5)[1:]
        (array([0.25, 0.25, 0.25, 0.25]), 0.25)
    """
    centres = finite(centres, "centres")
    if not FLOOR <= sigma**2 < np.inf:
        raise ValueError(f"sigma {sigma} is no width of a Gaussian: give one of at least 1e-6")
    weights = np.full(len(centres), 1 / len(centres)) if weights is None else np.asarray(weights)
    return Mixture(centres, weights, float(sigma) ** 2)


def em_step(
    state: Mixture, x: np.ndarray, *, learn_weights: bool = False, learn_variance: bool = False
) -> tuple[Mixture, SoftInfo]:
    r"""One round of EM: responsibilities, then the best centres for them.

    .. math:: r_{nk} = \frac{\pi_k\, \mathcal N(x_n; e_k, \sigma^2 I)}
        {\sum_j \pi_j\, \mathcal N(x_n; e_j, \sigma^2 I)}, \qquad
        e_k \leftarrow \frac{\sum_n r_{nk} x_n}{\sum_n r_{nk}}, \qquad
        \sigma^2 \leftarrow \frac{\sum_{nk} r_{nk} \|x_n - e_k\|^2}{N D}

    The log-likelihood never falls. As σ → 0 responsibilities become one-hot: k-means.

    Arguments:
        state: The state, which is left as it is.
        x: Data, with shape (N, D).
        learn_weights: Whether π follows the responsibilities; else it stays.
        learn_variance: Whether σ² does (not below ``FLOOR``); else it stays.

    Returns:
        The next state, and what the step found. A component that no datum is due to keeps its
        place.

    Raises:
        ValueError: If the data are not finite, fewer than the centres, or of other dimension.

    Source:
        Dempster et al. 1977; the two halves as one ascent of F: Neal & Hinton 1998.

    Example:
        >>> x = np.array([[0.0, 0.0], [2.0, 0.0], [9.0, 0.0]])
        >>> after, info = em_step(em_init(x[1:], 0.1), x)
        >>> after.centres[:, 0], info.responsibilities[:, 0].round(3)
        (array([1., 9.]), array([1., 1., 0.]))
    """
    x = enough(x, len(state.centres))
    joint = log_joint(x, state)
    log_p = np.logaddexp.reduce(joint, axis=1)
    r = np.exp(joint - log_p[:, None])
    mass = r.sum(axis=0)
    held = mass > EMPTY
    centres = np.where(held[:, None], (r.T @ x) / np.where(held, mass, 1)[:, None], state.centres)
    variance = state.variance
    if learn_variance:
        variance = max(float((r * squared_distances(x, centres)).sum() / x.size), FLOOR)
    after = Mixture(centres, mass / len(x) if learn_weights else state.weights, variance)
    moved = np.linalg.norm(centres - state.centres, axis=1)
    return after, SoftInfo(r, float(log_p.mean()), free_energy(x, after, r), moved)


def free_energy(x: np.ndarray, mixture: Mixture, q: np.ndarray) -> float:
    r"""The bound F of a mixture for any q, on average over the data.

    .. math:: F(q, \theta) = \tfrac1N \textstyle\sum_{nk} q_{nk} (\log p(x_n, k) - \log q_{nk})

    Arguments:
        x: Data, with shape (N, D).
        mixture: The mixture.
        q: Probabilities of the components for each datum, with shape (N, K).

    Returns:
        F, in nats per datum; the log-likelihood where q are the responsibilities.

    Source:
        Neal & Hinton 1998, A View of the EM Algorithm.

    Example:
        >>> round(free_energy(np.zeros((1, 2)), em_init(np.zeros((1, 2)), 1), np.ones((1, 1))), 3)
        -1.838
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = q * (log_joint(finite(x, "data"), mixture) - np.log(q))
    return float(np.where(q > 0, terms, 0).sum() / len(x))


def responsibilities(x: np.ndarray, mixture: Mixture) -> np.ndarray:
    """p(k | x) of data (N, D) under a mixture, with shape (N, K)."""
    joint = log_joint(finite(x, "data"), mixture)
    return np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))


def log_joint(x: np.ndarray, mixture: Mixture) -> np.ndarray:
    """log p(x, k) of data (N, D) under a mixture, with shape (N, K), in nats."""
    normaliser = x.shape[1] / 2 * np.log(2 * np.pi * mixture.variance)
    with np.errstate(divide="ignore"):
        log_weights = np.log(mixture.weights)
    return log_weights - normaliser - squared_distances(x, mixture.centres) / (2 * mixture.variance)


def squared_distances(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """‖x − e‖² of data (N, D) to centres (K, D), with shape (N, K); a ValueError if D differs."""
    if x.shape[1] != centres.shape[1]:
        raise ValueError(f"data of {x.shape[1]} numbers do not fit centres of {centres.shape[1]}")
    return np.square(x[:, None] - centres).sum(axis=-1)


def finite(array: np.ndarray, what: str) -> np.ndarray:
    """Points as float64; a ValueError names ``what`` is not finite, or not (N, D)."""
    array = np.asarray(array, np.float64)
    if array.ndim != 2 or not array.size or not np.isfinite(array).all():
        raise ValueError(f"the {what} must be finite numbers of shape (number, dimension)")
    return array


def enough(x: np.ndarray, k: int) -> np.ndarray:
    """Data as float64; a ValueError if they are not finite (N, D), or fewer than K centres."""
    x = finite(x, "data")
    if not 1 <= k <= len(x):
        raise ValueError(f"{len(x)} data cannot fill {k} centres: choose K between 1 and {len(x)}")
    return x
