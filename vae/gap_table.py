"""Approximation and amortization gaps as arrays that can be kept, and back.

Arrays of an answer: the fields of ``gaps.Gaps``, and ``index`` and ``label`` (N). Families and
sources are kept as texts in UTF-8, one a line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vae import data, evaluate
from vae.estimators import refuse_broken
from vae.gaps import Gaps, gaps
from vae.progress import Report
from vae.requests import Gaps as Request
from vae.runs import Run

TEXTS = ("families", "family", "sources")


def compute(run: Run, ask: Request, report: Report) -> dict[str, np.ndarray]:
    """Answers a request; what the arrays hold is said above.

    Arguments:
        run: The run, loaded at the epoch of the request.
        ask: The request.
        report: Told how far it is.

    Returns:
        The arrays, by name.

    Raises:
        ValueError: If the weights are not finite.
        DataError: If the data cannot be had.

    Source:
        Cremer, Li & Duvenaud 2018.

    Example:
        >>> from vae.presets import PRESETS
        >>> from vae.model import VAE
        >>> config = PRESETS["digits-linear-2d"]
        >>> run = Run("ppca", config, VAE(config), epoch=0)
        >>> restore(compute(run, Request(n=5), lambda what, share: None)).families
        ('diagonal', 'full')
    """
    refuse_broken(run.model)
    x = evaluate.examples(run.config, ask.split, ask.n)
    labels = getattr(data.at_hand(run.config.dataset), f"{ask.split}_labels")
    found = gaps(run.model, x, ask.families, seed=ask.seed, progress=report)
    arrays = {name: np.asarray(value) for name, value in found._asdict().items()}
    for name in TEXTS:
        value = getattr(found, name)
        text = value if isinstance(value, str) else "\n".join(value)
        arrays[name] = np.frombuffer(text.encode(), np.uint8)
    return arrays | {"index": np.arange(len(x)), "label": labels[: len(x)]}


def restore(arrays: Mapping[str, np.ndarray]) -> Gaps:
    """The gaps that an answer holds, for ``gaps.summary`` and figures."""
    fields: dict[str, Any] = {name: arrays[name] for name in Gaps._fields}
    for name in TEXTS:
        text = arrays[name].tobytes().decode()
        fields[name] = text if name == "family" else tuple(text.split("\n"))
    return Gaps(**fields)
