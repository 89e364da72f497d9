"""What ``evaluate`` prints of a VQ-VAE: its bound, with and without a learned prior, and its use of
codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vae.code_record import bits_per_dim, judge, spending
from vae.estimators import Estimator, refuse_broken
from vae.evaluate import Evaluated, Split, examples, labels_of
from vae.runs import Run

ROWS = 200


def evaluate(
    run: Run,
    estimator: Estimator,
    *,
    n: int | None,
    split: Split = "held_out",
    progress: Callable[[int], object] = lambda n: None,
) -> tuple[Evaluated, dict[str, Any]]:
    """The bound of every datum, or log p(x) where one code says all.

    Arguments:
        run: A VQ-VAE.
        estimator: ``"elbo"`` or ``"exact"``.
        n: How many data; all if not given.
        split: ``"held_out"`` or ``"train"``.
        progress: Called now and then with the number of data done.

    Returns:
        Values per datum, in nats, without error, for nothing is drawn; and what else is known of
        all of them: see ``sentences``.

    Raises:
        ValueError: If there is no such estimate to be had.
        DataError: If the data set cannot be had.

    Source:
        van den Oord et al. 2017, section 3.2.
    """
    if estimator not in ("elbo", "exact"):
        raise ValueError(
            f"{run.id} is a VQ-VAE: its q is certain of one code map, so there is nothing to draw. "
            "Ask for elbo, or for exact where the map is 1 × 1."
        )
    refuse_broken(run.model)
    model, x = run.model, examples(run.config, split, n)
    labels = labels_of(run.config, split, len(x)).numpy()
    found, truth = [], []
    for part in x.split(ROWS):
        found.append(judge(model, part))
        if estimator == "exact":
            with torch.no_grad():
                truth.append(model.log_evidence(part).double())
        progress(len(part))

    def column(name: str) -> Tensor:
        return torch.cat([getattr(judged, name) for judged in found])

    distortion, rate = column("distortion"), column("rate")
    spent = spending(column("codes"), model.n_codes)
    values = torch.cat(truth) if truth else -(distortion + rate)
    uniform = -distortion.mean().item() - model.uniform
    d = x[0].numel()
    about = {
        "uniform": uniform,
        "bits_per_dim": bits_per_dim(values.mean().item(), d),
        "bits_per_dim_uniform": bits_per_dim(uniform, d),
        "squared_error": column("squared_error").mean().item(),
        "perplexity": spent.perplexity.round(2).tolist(),
        "used": (model.n_codes - spent.dead).tolist(),
        "n_codes": model.n_codes,
    }
    per_datum = {"distortion": distortion.numpy(), "rate": rate.numpy()}
    evaluated = Evaluated(values.numpy(), np.zeros(len(x)), per_datum, x.numpy(), labels)
    return evaluated, about


def sentences(about: dict[str, Any]) -> list[str]:
    """What is known beside the mean, for a person."""
    levels = zip(about["perplexity"], about["used"], strict=True)
    spent = "; ".join(f"perplexity {p:.1f}, {used} codes in use" for p, used in levels)
    return [
        f"That is {about['bits_per_dim']:.3f} bits per dimension. With a uniform prior over codes "
        f"the bound is {about['uniform']:.2f} nats, {about['bits_per_dim_uniform']:.3f} bits per "
        "dimension.",
        f"Of {about['n_codes']} codes: {spent}. Mean squared error {about['squared_error']:.4f}.",
    ]
