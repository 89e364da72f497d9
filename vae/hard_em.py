r"""k-means and the codebook of a VQ-VAE as EM with a one-hot q ("hard EM"), step by step.

Both raise, in turn over q and over the centres, the bound F that EM raises (``vae/mixture.py``):

.. math:: F(q, \theta) = \mathbb{E}_{q(k)}[\log p(x, k)] + \mathrm{H}[q]
    = \log p(x) - \mathrm{KL}(q(k) \,\|\, p(k \mid x))

EM takes q = p(k | x), its responsibilities; k-means and VQ a one-hot q on the nearest centre. EM
and k-means go all the way to the best centres for that q, VQ a part of the way.
Shapes: N data, K centres, D dimensions; float64.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vae.mixture import em_init, enough, finite, log_joint, squared_distances


class Centres(NamedTuple):
    """The state of k-means: ``centres`` (K, D)."""

    centres: np.ndarray


class Codebook(NamedTuple):
    """The state of VQ: ``centres`` (K, D), and the running ``counts`` N (K) and ``sums`` m (K, D)
    of the data that chose each code."""

    centres: np.ndarray
    counts: np.ndarray
    sums: np.ndarray


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


class Bound(NamedTuple):
    """What a one-hot q gives, the log-likelihood above it, and the gap between the two, which is
    the KL from q to the responsibilities: nats per datum."""

    bound: float
    log_likelihood: float
    gap: float


def kmeans_init(centres: np.ndarray) -> Centres:
    """k-means at its start; ``centres`` (K, D) are refused with a ValueError if not finite."""
    return Centres(finite(centres, "centres"))


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
    x = enough(x, len(state.centres))
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
    centres = finite(centres, "centres")
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
    chosen, n, totals, distortion = _hard(finite(x, "data"), state.centres)
    counts = decay * state.counts + (1 - decay) * n
    sums = decay * state.sums + (1 - decay) * totals
    held = counts > 0
    smooth = (counts + epsilon) / (counts.sum() + len(counts) * epsilon) * counts.sum()
    centres = np.where(held[:, None], sums / np.where(held, smooth, 1)[:, None], state.centres)
    share = (1 - decay) * n / np.where(held, counts, 1)
    moved = np.linalg.norm(centres - state.centres, axis=1)
    return Codebook(centres, counts, sums), HardInfo(chosen, distortion, moved, share, n == 0)


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
    x = finite(x, "data")
    joint = log_joint(x, em_init(centres, sigma))
    one_hot = joint[np.arange(len(x)), nearest(x, centres)]
    gap = np.logaddexp.reduce(joint - one_hot[:, None], axis=1)  # −log p(k | x) of that k
    log_p = np.logaddexp.reduce(joint, axis=1)
    return Bound(float(one_hot.mean()), float(log_p.mean()), float(gap.mean()))


def nearest(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The index of the centre next to each datum, with shape (N): of equals the first."""
    return squared_distances(x, centres).argmin(axis=1)


def _hard(x: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Whom each datum chooses, how many each centre has (K), their sum (K, D), the distortion."""
    squares = squared_distances(x, centres)
    chosen = squares.argmin(axis=1)
    one_hot = np.eye(len(centres))[chosen]
    return chosen, one_hot.sum(axis=0), one_hot.T @ x, float(squares.min(axis=1).mean())
