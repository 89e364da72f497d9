"""The latent dimensions one by one: what each of them carries, and the lines along them."""

from __future__ import annotations

import numpy as np

#: The variance of the means over the data above which a dimension counts as used.
ACTIVE = 0.01


def rates(loc: np.ndarray, scale: np.ndarray) -> np.ndarray:
    r"""What each latent dimension carries on average: its share of the rate.

    .. math:: R_d = \frac{1}{N} \sum_n \frac{1}{2}
        \left(\mu_{nd}^2 + \sigma_{nd}^2 - 1 - \log \sigma_{nd}^2\right)

    the divergence of normal marginals from the prior. If q factorises these sum up to the rate;
    otherwise the rate is larger.

    Arguments:
        loc: Means of q, with shape (N, D).
        scale: Its standard deviations, with shape (N, D).

    Returns:
        The rates, with shape (D), in nats.

    Raises:
        Nothing of its own.

    Source:
        Kingma & Welling 2014, appendix B.

    Example:
        >>> rates(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.ones((2, 2)))
        array([0.5, 0. ])
    """
    m, s = np.asarray(loc, dtype=float), np.asarray(scale, dtype=float)
    return 0.5 * (m**2 + s**2 - 1 - 2 * np.log(s)).mean(axis=0)


def active(loc: np.ndarray) -> np.ndarray:
    """Which latent dimensions the encoder uses: those whose means vary over the data.

    Arguments:
        loc: Means of q, with shape (N, D).

    Returns:
        Whether the variance of the means exceeds 0.01, bool with shape (D).

    Raises:
        Nothing of its own.

    Source:
        Burda et al. 2016, Importance Weighted Autoencoders, "active units".

    Example:
        >>> active(np.array([[1.0, 0.1], [-1.0, 0.0]]))
        array([ True, False])
    """
    return np.var(np.asarray(loc, dtype=float), axis=0, ddof=1) > ACTIVE


def traversal(at: np.ndarray, dims: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Latents along some axes through a place: everything else stays as it is there.

    Arguments:
        at: The place, with shape (D).
        dims: Which dimensions, with shape (R).
        values: Where along each, with shape (C), in standard deviations of the prior.

    Returns:
        Latents, with shape (R, C, D); of row r only dimension ``dims[r]`` differs from the place.

    Raises:
        Nothing of its own.

    Source:
        Higgins et al. 2017, beta-VAE, whose figures show such rows.

    Example:
        >>> traversal(np.array([5.0, 6.0]), np.array([1]), np.array([-1.0, 1.0]))
        array([[[ 5., -1.],
                [ 5.,  1.]]])
    """
    z = np.tile(np.asarray(at, dtype=float), (len(dims), len(values), 1))
    z[np.arange(len(dims)), :, dims] = values
    return z
