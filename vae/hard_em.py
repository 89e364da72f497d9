r"""k-means, the codebook of a VQ-VAE and EM for a mixture: one algorithm, step by step.

All three raise, in turn over q and over the centres, the same bound on the log-likelihood:

.. math:: F(q, \theta) = \mathbb{E}_{q(k)}[\log p(x, k)] + \mathrm{H}[q]
    = \log p(x) - \mathrm{KL}(q(k) \,\|\, p(k \mid x))

EM takes q = p(k | x), its responsibilities; k-means and VQ a one-hot q on the nearest centre ("hard
EM"). EM and k-means go all the way to the best centres for that q, VQ a part of the way.
Shapes: N data, K centres, D dimensions; float64.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

#: The smallest variance: below it densities of the plane overflow sooner or later.
FLOOR = 1e-12
#: A component that holds less than so many data keeps its place.
EMPTY = 1e-12

Start = Literal["data", "corner", "same"]


class Centres(NamedTuple):
    """The state of k-means: ``centres`` (K, D)."""

    centres: np.ndarray


class Codebook(NamedTuple):
    """The state of VQ: ``centres`` (K, D), and the running ``counts`` N (K) and ``sums`` m (K, D)
    of the data that chose each code."""

    centres: np.ndarray
    counts: np.ndarray
    sums: np.ndarray


class Mixture(NamedTuple):
    """The state of EM: ``centres`` (K, D), ``weights`` (K), and the ``variance`` σ², a number that
    all components share in every direction."""

    centres: np.ndarray
    weights: np.ndarray
    variance: float


class HardInfo(NamedTuple):
    """A step of k-means or VQ: ``assignments`` (N) to the centres as they were and their
    ``distortion``, the mean of ‖x − e‖² in squared units of x; how far each centre ``moved`` (K),
    in units of x, which ``share`` (K) of the way to the mean of its data, and whether it is
    ``empty`` (K): no datum of this step chose it."""

    assignments: np.ndarray
    distortion: float
    moved: np.ndarray
    share: np.ndarray
    empty: np.ndarray


class SoftInfo(NamedTuple):
    """A step of EM: ``responsibilities`` p(k | x) (N, K) and ``log_likelihood`` of the mixture as
    it was, ``free_energy`` F of these responsibilities and the new mixture, both in nats per datum,
    and how far each centre ``moved`` (K), in units of x."""

    responsibilities: np.ndarray
    log_likelihood: float
    free_energy: float
    moved: np.ndarray


class Bound(NamedTuple):
    """What a one-hot q gives, the log-likelihood above it, and the gap between the two, which is
    the KL from q to the responsibilities: nats per datum."""

    bound: float
    log_likelihood: float
    gap: float


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
    x = _enough(x, k)
    random = np.random.default_rng(seed)
    if kind == "data":
        return x[random.choice(len(x), k, replace=False)]
    if kind == "corner":
        return x.min(axis=0) + 0.05 * np.ptp(x, axis=0) * random.standard_normal((k, x.shape[1]))
    return np.tile(x.mean(axis=0), (k, 1))


def kmeans_init(centres: np.ndarray) -> Centres:
    """k-means at its start; ``centres`` (K, D) are refused with a ValueError if not finite."""
    return Centres(_finite(centres, "centres"))


def kmeans_step(state: Centres, x: np.ndarray) -> tuple[Centres, HardInfo]:
    r"""One round of Lloyd's k-means: every datum to its nearest centre, every centre to its mean.

    .. math:: k_n = \arg\min_k \|x_n - e_k\|^2, \qquad
        e_k \leftarrow \operatorname{mean} \{x_n : k_n = k\}

    A centre that no datum chose keeps its place. Of equally near centres the first is chosen.

    Arguments:
        state: The state, which is left as it is.
        x: Data, with shape (N, D).

    Returns:
        The next state, and what the step found.

    Raises:
        ValueError: If the data are not finite, fewer than the centres, or of other dimension.

    Source:
        Lloyd 1982, Least Squares Quantization in PCM.

    Example:
        >>> x = np.array([[0.0, 0.0], [2.0, 0.0], [9.0, 0.0]])
        >>> after, info = kmeans_step(kmeans_init(x[1:]), x)
        >>> after.centres[:, 0], info.assignments, round(info.distortion, 3)
        (array([1., 9.]), array([0, 0, 1]), 1.333)
    """
    x = _enough(x, len(state.centres))
    chosen, counts, sums, distortion = _hard(x, state.centres)
    empty = counts == 0
    centres = np.where(empty[:, None], state.centres, sums / np.maximum(counts, 1)[:, None])
    moved = np.linalg.norm(centres - state.centres, axis=1)
    return Centres(centres), HardInfo(chosen, distortion, moved, 1.0 - empty, empty)


def vq_init(centres: np.ndarray, count: float = 1.0) -> Codebook:
    """A codebook at its start, as if every code had held ``count`` data where it lies.

    With ``count`` 0 the averages begin empty, and the first step is that of k-means for every
    decay: so do Sonnet's, which are corrected for their start at zero.

    Arguments:
        centres: The codes, with shape (K, D).
        count: Data that each code has held so far, at least 0.

    Returns:
        The state.

    Raises:
        ValueError: If the codes are not finite, or the count is negative.

    Example:
        >>> vq_init(np.ones((2, 2)), 5).sums
        array([[5., 5.],
               [5., 5.]])
    """
    centres = _finite(centres, "centres")
    if not 0 <= count < np.inf:
        raise ValueError(f"a code cannot have held {count} data: give a count of at least 0")
    return Codebook(centres, np.full(len(centres), float(count)), count * centres)


def vq_step(
    state: Codebook, x: np.ndarray, decay: float = 0.99, epsilon: float = 1e-5
) -> tuple[Codebook, HardInfo]:
    r"""One update of a VQ-VAE's codebook by moving averages, on a batch or on all data.

    .. math:: N_k \leftarrow \gamma N_k + (1 - \gamma) n_k, \quad
        m_k \leftarrow \gamma m_k + (1 - \gamma) \sum_{n: k_n = k} x_n, \quad
        e_k = \frac{m_k}{\tilde N_k}, \quad
        \tilde N_k = \frac{N_k + \epsilon}{\sum_j N_j + K \epsilon} \sum_j N_j

    So e moves to the mean of its n data by the share (1 − γ) n / (γ N + (1 − γ) n), ε aside: with
    γ = 0, ε = 0 and all data at once it *is* k-means. The gradient of the codebook loss
    mean ‖sg[x] − e‖² does the same: SGD at learning rate η moves e by the share 2 η n / N_batch. A
    code whose average holds nothing (N = 0) keeps its place.

    Arguments:
        state: The state, which is left as it is.
        x: A batch of encoder outputs, or all data, with shape (N, D); it may be smaller than K.
        decay: γ, from 0 up to but without 1.
        epsilon: ε of the Laplace smoothing, at least 0, which shrinks codes that hold next to
            nothing towards the origin.

    Returns:
        The next state, and what the step found; ``share`` is that of the formula, without ε.

    Raises:
        ValueError: If the data are not finite or of other dimension, or γ or ε out of range.

    Source:
        van den Oord et al. 2017, Neural Discrete Representation Learning, appendix A.1; smoothing
        as in Sonnet, ``VectorQuantizerEMA``.

    Example:
        >>> x = np.array([[2.0, 0.0]])
        >>> after, info = vq_step(vq_init(np.zeros((1, 2))), x, decay=0.75)
        >>> after.centres, info.share
        (array([[0.5, 0. ]]), array([0.25]))
    """
    if not (0 <= decay < 1 and 0 <= epsilon < np.inf):
        raise ValueError(f"decay {decay} must lie in [0, 1), and epsilon {epsilon} not below 0")
    chosen, n, totals, distortion = _hard(_finite(x, "data"), state.centres)
    counts = decay * state.counts + (1 - decay) * n
    sums = decay * state.sums + (1 - decay) * totals
    held = counts > 0
    smooth = (counts + epsilon) / (counts.sum() + len(counts) * epsilon) * counts.sum()
    centres = np.where(held[:, None], sums / np.where(held, smooth, 1)[:, None], state.centres)
    share = (1 - decay) * n / np.where(held, counts, 1)
    moved = np.linalg.norm(centres - state.centres, axis=1)
    return Codebook(centres, counts, sums), HardInfo(chosen, distortion, moved, share, n == 0)


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
    centres = _finite(centres, "centres")
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
    x = _enough(x, len(state.centres))
    log_joint = _log_joint(x, state)
    log_p = np.logaddexp.reduce(log_joint, axis=1)
    r = np.exp(log_joint - log_p[:, None])
    mass = r.sum(axis=0)
    held = mass > EMPTY
    centres = np.where(held[:, None], (r.T @ x) / np.where(held, mass, 1)[:, None], state.centres)
    variance = state.variance
    if learn_variance:
        variance = max(float((r * _squares(x, centres)).sum() / x.size), FLOOR)
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
        terms = q * (_log_joint(_finite(x, "data"), mixture) - np.log(q))
    return float(np.where(q > 0, terms, 0).sum() / len(x))


def hard_bound(x: np.ndarray, centres: np.ndarray, sigma: float) -> Bound:
    r"""The bound that k-means and VQ raise, and the log-likelihood of the same mixture.

    .. math:: \underbrace{\log \mathcal N(x; e_k, \sigma^2 I)}_{\log p(x \mid \text{code})} +
        \underbrace{\log \tfrac1K}_{\log p(\text{code})}
        = -\frac{\|x - e_k\|^2}{2 \sigma^2} - \tfrac D2 \log(2 \pi \sigma^2) - \log K

    It is F of a one-hot q on the nearest centre: on average over data −distortion / 2σ² and what no
    step changes. A VQ-VAE with a Gaussian likelihood and a uniform prior has this bound.

    Arguments:
        x: Data, with shape (N, D).
        centres: The centres, with shape (K, D).
        sigma: The standard deviation σ, in units of x.

    Returns:
        The bound, the log-likelihood under equal weights, and their gap, in nats per datum.

    Raises:
        ValueError: If data or centres are not finite, or σ is below a millionth.

    Source:
        Roy et al. 2018, Theory and Experiments on Vector Quantized Autoencoders.

    Example:
        >>> hard_bound(np.zeros((1, 2)), np.zeros((4, 2)), 1.0)  # four equal centres: log 4 lost
        Bound(bound=-3.224..., log_likelihood=-1.837..., gap=1.386...)
    """
    x = _finite(x, "data")
    log_joint = _log_joint(x, em_init(centres, sigma))
    one_hot = log_joint[np.arange(len(x)), nearest(x, centres)]
    gap = np.logaddexp.reduce(log_joint - one_hot[:, None], axis=1)  # −log p(k | x) of that k
    log_p = np.logaddexp.reduce(log_joint, axis=1)
    return Bound(float(one_hot.mean()), float(log_p.mean()), float(gap.mean()))


def responsibilities(x: np.ndarray, mixture: Mixture) -> np.ndarray:
    """p(k | x) of data (N, D) under a mixture, with shape (N, K)."""
    log_joint = _log_joint(_finite(x, "data"), mixture)
    return np.exp(log_joint - np.logaddexp.reduce(log_joint, axis=1, keepdims=True))


def nearest(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The index of the centre next to each datum, with shape (N): of equals the first."""
    return _squares(x, centres).argmin(axis=1)


def _hard(x: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Whom each datum chooses, how many each centre has (K), their sum (K, D), the distortion."""
    squares = _squares(x, centres)
    chosen = squares.argmin(axis=1)
    one_hot = np.eye(len(centres))[chosen]
    return chosen, one_hot.sum(axis=0), one_hot.T @ x, float(squares.min(axis=1).mean())


def _squares(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Squared distances (N, K)."""
    if x.shape[1] != centres.shape[1]:
        raise ValueError(f"data of {x.shape[1]} numbers do not fit centres of {centres.shape[1]}")
    return np.square(x[:, None] - centres).sum(axis=-1)


def _log_joint(x: np.ndarray, mixture: Mixture) -> np.ndarray:
    """log p(x, k) (N, K), in nats."""
    normaliser = x.shape[1] / 2 * np.log(2 * np.pi * mixture.variance)
    with np.errstate(divide="ignore"):
        log_weights = np.log(mixture.weights)
    return log_weights - normaliser - _squares(x, mixture.centres) / (2 * mixture.variance)


def _finite(array: np.ndarray, what: str) -> np.ndarray:
    """Points as float64, if they are some."""
    array = np.asarray(array, np.float64)
    if array.ndim != 2 or not array.size or not np.isfinite(array).all():
        raise ValueError(f"the {what} must be finite numbers of shape (number, dimension)")
    return array


def _enough(x: np.ndarray, k: int) -> np.ndarray:
    """Data, if they are at least as many as the centres."""
    x = _finite(x, "data")
    if not 1 <= k <= len(x):
        raise ValueError(f"{len(x)} data cannot fill {k} centres: choose K between 1 and {len(x)}")
    return x
