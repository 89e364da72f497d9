"""What was found about the evidence of a set of data, and what one says of it in numbers.

Pure arrays: nothing here knows Streamlit, torch or the models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ui.likelihood_figures import Estimate


class Found(NamedTuple):
    """The evidence of N data, in nats: every bound, and the truth where it can be known."""

    index: np.ndarray
    labels: np.ndarray
    loc: np.ndarray
    elbo: np.ndarray
    elbo_se: np.ndarray
    ladder: np.ndarray
    iwae: np.ndarray
    iwae_se: np.ndarray
    sampled: np.ndarray
    sampled_se: np.ndarray
    ess: np.ndarray
    pareto_k: np.ndarray
    trusted: np.ndarray
    exact: np.ndarray | None
    exact_error: np.ndarray | None
    elbo_exact: np.ndarray | None
    elbo_exact_error: np.ndarray | None
    kl: np.ndarray | None
    kl_error: np.ndarray | None
    n_modes: np.ndarray | None
    forms: np.ndarray
    forms_se: np.ndarray
    surgery_n: np.ndarray
    rate_mean: np.ndarray
    rate_mean_error: np.ndarray | None
    mutual_information: np.ndarray
    mutual_information_error: np.ndarray
    marginal_kl: np.ndarray
    marginal_kl_error: np.ndarray

    @property
    def log_p(self) -> np.ndarray:
        """log p(x) where it is known, else the sampled lower bound that stands in for it."""
        return self.sampled if self.exact is None else self.exact

    @property
    def log_p_error(self) -> np.ndarray:
        """Its errors."""
        return self.sampled_se if self.exact_error is None else self.exact_error

    @property
    def bound(self) -> np.ndarray:
        """The ELBO without chance where it can be had, else the mean of its draws."""
        return self.elbo if self.elbo_exact is None else self.elbo_exact

    @property
    def bound_error(self) -> np.ndarray:
        """Its errors."""
        return self.elbo_se if self.elbo_exact_error is None else self.elbo_exact_error

    @property
    def gap(self) -> np.ndarray:
        """log p(x) less ELBO, or the sampled value less ELBO: at least this, on average."""
        return self.log_p - self.bound

    @property
    def gap_error(self) -> np.ndarray:
        """Errors of the gaps."""
        return np.hypot(self.log_p_error, self.bound_error)

    def of(self, index: int) -> int:
        """The row of a datum; the one of largest gap, if it is not among them."""
        at = np.flatnonzero(self.index == index)
        return int(at[0]) if len(at) else int(np.argmax(self.gap))


def mean(values: np.ndarray) -> Estimate:
    """Mean over the data, with the standard error that the choice of data leaves in it.

    Example:
        >>> mean(np.array([1.0, 3.0]))
        (2.0, 1.0)
    """
    n = len(values)
    return float(np.mean(values)), float(np.std(values, ddof=1) / n**0.5) if n > 1 else np.nan


def median(values: np.ndarray, draws: int = 300) -> Estimate:
    """Median over the data, with its standard error by the bootstrap.

    Example:
        >>> median(np.array([1.0, 1.0, 1.0]))
        (1.0, 0.0)
    """
    chosen = np.random.default_rng(0).integers(len(values), size=(draws, len(values)))
    return float(np.median(values)), float(np.median(values[chosen], axis=1).std(ddof=1))


def noise_of_mean(error: np.ndarray) -> np.ndarray:
    """What the errors of single data leave in their mean: only chance of the draws, not of data.

    Example:
        >>> float(noise_of_mean(np.array([3.0, 4.0])))
        2.5
    """
    return np.sqrt((np.asarray(error) ** 2).sum(axis=0)) / len(error)


def noise_of_median(values: np.ndarray, error: np.ndarray, draws: int = 200) -> np.ndarray:
    """What the errors of single data leave in their median, by drawing from them.

    Example:
        >>> float(noise_of_median(np.array([1.0, 2.0, 9.0]), np.zeros(3)))
        0.0
    """
    noise = np.random.default_rng(0).standard_normal((draws, *np.shape(values)))
    return np.median(values + error * noise, axis=1).std(axis=0, ddof=1)


def error_of_exact(centre: Callable[..., Any], values: np.ndarray, error: np.ndarray) -> Estimate:
    """Mean or median of exact values, and how far it is off if all errors have the same sign.

    A grid does not err by chance: its errors need not cancel.

    Example:
        >>> error_of_exact(np.mean, np.array([1.0, 2.0]), np.array([3.0, 4.0]))
        (1.5, 3.5)
    """
    value = float(centre(values))
    return value, float(centre(values + error)) - value


def falls_short(found: Found, least: float = 0.1) -> np.ndarray:
    """Of which data IS lies below the exact log p(x) by more than chance explains; bool (N)."""
    assert found.exact is not None
    error = np.hypot(found.sampled_se, found.exact_error)
    return found.exact - found.sampled > least + 3 * error


def half_of_the_gap(gap: np.ndarray) -> float:
    """The share of the data that holds half of the total gap, the worst first.

    Example:
        >>> half_of_the_gap(np.array([8.0, 1.0, 1.0, 1.0]))
        0.25
    """
    running = np.cumsum(np.sort(np.maximum(gap, 0.0))[::-1])
    if not running[-1] > 0:
        return 1.0
    return float((np.searchsorted(running, running[-1] / 2) + 1) / len(gap))


def read(arrays: Mapping[str, np.ndarray]) -> Found:
    """The arrays of an analysis, by the names that this page uses."""
    names = {"labels": "label", "sampled": "log_evidence_is", "sampled_se": "is_se"}
    return Found(**{name: arrays.get(names.get(name, name)) for name in Found._fields})
