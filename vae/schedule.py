"""What moves by plan while a model trains: the weight of the rate, and the learning rate."""

from __future__ import annotations

import math

from vae.config import RunConfig


def beta_at(config: RunConfig, epoch: float) -> float:
    """The weight of the rate after so many epochs (with a fraction).

    Example:
        >>> beta_at(RunConfig(beta=2.0, beta_warmup=10), 2.5)
        0.5
    """
    return config.beta * (min(1.0, epoch / config.beta_warmup) if config.beta_warmup else 1.0)


def learning_rate_at(config: RunConfig, epoch: float) -> float:
    """The learning rate after so many epochs (with a fraction).

    Example:
        >>> learning_rate_at(RunConfig(schedule="cosine", epochs=10, learning_rate=2.0), 5.0)
        1.0
    """
    if config.schedule == "constant":
        return config.learning_rate
    if epoch >= config.epochs and config.prior_epochs:  # the second stage begins anew
        done = (epoch - config.epochs) / config.prior_epochs
        return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / config.epochs))
