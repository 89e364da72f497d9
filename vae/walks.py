"""A walk in latent space that leaves the prior as it is."""

from __future__ import annotations

import numpy as np


def walk(start: np.ndarray, n: int, step: float, seed: int) -> np.ndarray:
    r"""Small random steps from a latent, each of which leaves the prior as it is.

    .. math:: z_{t+1} = \sqrt{1 - s^2}\, z_t + s\, \varepsilon_t, \qquad
        \varepsilon_t \sim \mathcal{N}(0, I)

    Plain steps z + s ε would drift away, further and further out; the root pulls back just as much
    as the noise spreads, so that whoever starts at a draw from N(0, I) is at one after each step.
    After t steps the correlation with the start is (1 - s²)^(t/2).

    Arguments:
        start: Where it begins, with shape (D).
        n: How many steps.
        step: s, above 0 and at most 1: the amplitude of the noise; its share of the variance is s².
        seed: Decides the noise.

    Returns:
        The start and the n places after it, with shape (n + 1, D).

    Raises:
        ValueError: If the step is not above 0 and at most 1.

    Source:
        The autoregressive proposal of Neal 1998, Regression and Classification Using Gaussian
        Process Priors; today called preconditioned Crank-Nicolson.

    Example:
        >>> walk(np.array([0.0, 2.0]), 3, 0.5, seed=0).round(2)
        array([[0.  , 2.  ],
               [0.06, 1.67],
               [0.37, 1.5 ],
               [0.06, 1.48]])
    """
    if not 0 < step <= 1:
        raise ValueError("the step of a walk is above 0 and at most 1")
    noise = np.random.default_rng(seed).standard_normal((n, len(start)))
    places = [np.asarray(start, dtype=float)]
    for each in noise:
        places.append(np.sqrt(1 - step**2) * places[-1] + step * each)
    return np.stack(places)
