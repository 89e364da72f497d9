"""How far the ELBO is from log p(x), datum by datum: every bound, and the truth where it is known.

Arrays of an answer, data first (N), in nats; what is missing is not known for that model:

- ``index``, ``label``, ``loc`` and ``scale`` (N, D): which datum, and mean and deviations of q;
- ``ladder`` (L), ``elbo``, ``elbo_se``, ``iwae`` and ``iwae_se`` (N, L), ``log_evidence_is``,
  ``is_se``, ``is_se_bootstrap``, ``ess``, ``pareto_k``, ``trusted``: see ``importance.judge``;
- ``rate``, ``distortion``: the ELBO taken apart; elbo = -(rate + distortion) but for chance;
- ``forms``, ``forms_se`` (N, 3): the ELBO by three formulas, see ``vae.forms``; over all data
  ``forms_mean``, ``forms_mean_se``, ``forms_difference``, ``forms_difference_se`` (3);
- ``exact``, ``exact_error``: log p(x); ``posterior_loc`` (N, D), ``posterior_cov`` (N, D, D), and
  ``n_modes`` of the true posterior; ``elbo_exact`` without chance, and ``kl`` of q from the
  posterior, with ``elbo_exact_error`` and ``kl_error``: each is computed on its own, so that
  elbo_exact + kl = exact checks both (but not ``exact``, which normalises the posterior);
- over the first ``surgery_n`` data, ``rate_mean`` = ``mutual_information`` + ``marginal_kl`` (),
  with ``rate_mean_error``, ``mutual_information_error`` and ``marginal_kl_error``: see
  ``vae.surgery``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from vae import bounds, data, evaluate, exact, families, importance, linear
from vae.estimators import refuse_broken
from vae.flow import FlowPosterior
from vae.forms import Forms, three_forms
from vae.grid import decode_grid
from vae.importance import Weights
from vae.model import VAE
from vae.posterior import modes
from vae.progress import Report, part
from vae.requests import Evidence
from vae.runs import Run
from vae.surgery import surgery
from vae.trust import judge_weights

#: What ``importance.judge`` calls otherwise, since it knows no other estimate of log p(x).
NAMES = {"log_evidence": "log_evidence_is", "se": "is_se", "se_bootstrap": "is_se_bootstrap"}

#: Components of an aggregate of flows: every draw is inverted by each of them.
FLOW_DATA = 200

Arrays = dict[str, np.ndarray]


@torch.no_grad()
def compute(run: Run, ask: Evidence, report: Report) -> Arrays:
    """Answers a request; what the arrays hold is said above.

    Arguments:
        run: The run, loaded at the epoch of the request.
        ask: The request.
        report: Told how far it is.

    Returns:
        The arrays, by name.

    Raises:
        ValueError: If the weights are not finite, or the grid would be too fine for memory.
        DataError: If the data cannot be had.

    Source:
        ``vae.importance``, ``vae.exact``, ``vae.forms`` and ``vae.surgery``.

    Example:
        >>> from vae.presets import PRESETS
        >>> config = PRESETS["digits-linear-2d"]
        >>> run = Run("ppca", config, VAE(config), epoch=0)
        >>> found = compute(run, Evidence(n=9, k=5), lambda what, share: None)
        >>> found["exact"].shape, found["iwae"].shape
        ((9,), (9, 3))
    """
    model = run.model
    refuse_broken(model)
    x = evaluate.examples(run.config, ask.split, ask.n)
    labels = getattr(data.at_hand(run.config.dataset), f"{ask.split}_labels")
    found = {"index": np.arange(len(x)), "label": labels[: len(x)]}
    known = exact.is_known(model)
    more = part(report, f"{ask.k:,} samples per datum", len(x), 0.0, 0.4 if known else 0.9)
    found |= sampled(model, x, ask.k, ask.seed, more)
    if known:
        found |= _truth(model, x, report)
    return found | _surgery(model, x, ask.seed, report)


def _truth(model: VAE, x: Tensor, report: Report) -> Arrays:
    """What is known exactly."""
    n, closed = len(x), linear.is_linear(model)
    what = "log p(x) in closed form" if closed else "log p(x) on the grid"
    report(what, 0.4)
    grid = None if closed else decode_grid(model)
    truth = exact.truth(model, x, grid, part(report, what, n, 0.45, 0.6))
    found = {"exact": truth.log_evidence, "exact_error": truth.error}
    found |= {"posterior_loc": truth.loc, "posterior_cov": truth.covariance}
    found["n_modes"] = torch.ones(n, dtype=torch.long)
    if not closed:
        more = part(report, "modes of the posteriors", n, 0.6, 0.8)
        found["n_modes"] = modes(model, x, grid, progress=more).count
    more = part(report, "how well q fits", n, 0.8, 0.9)
    if fit := exact.fit(model, x, truth.log_evidence, more):
        found |= {"elbo_exact": fit.elbo, "elbo_exact_error": fit.elbo_error}
        found |= {"kl": fit.kl, "kl_error": fit.kl_error}
    return {name: t.numpy() for name, t in found.items()}


def _surgery(model: VAE, x: Tensor, seed: int, report: Report) -> Arrays:
    """The mean rate taken apart; of a flow, whose densities take long, over the first data only."""
    parameters = torch.cat([model.encoder(tile) for tile in x.split(importance.DATA)])
    q = model.family(parameters)
    if isinstance(q, FlowPosterior):
        q = model.family(parameters[:FLOW_DATA])
    n = q.batch_shape[0]
    more = part(report, "the rate taken apart", n, 0.9, 1.0)
    found = surgery(q, model.prior(), seed=seed, progress=more)
    numbers = {
        "surgery_n": n,
        "rate_mean": found.rate,
        "rate_mean_error": found.rate_error,
        "mutual_information": found.mutual_information,
        "mutual_information_error": found.information_error,
        "marginal_kl": found.marginal_kl,
        "marginal_kl_error": found.marginal_error,
    }
    return {name: np.array(number) for name, number in numbers.items()}


def sampled(model: VAE, x: Tensor, K: int, seed: int, progress: Callable[[int], object]) -> Arrays:
    """What K samples from q say, and the three formulas; the same samples as ``judge`` draws."""
    prior, parts = model.prior(), []
    size = max(1, min(importance.DATA, importance.SAMPLES // K))
    for first in range(0, len(x), size):
        tile = x[first : first + size]
        q = model.encode(tile)
        w = importance.log_weights(model, tile, q, K, seed=seed, first=first)
        judged = judge_weights(w.log_w, seed=seed)._asdict()
        ladder = judged.pop("ladder")
        forms = three_forms(w.log_likelihood, w.log_prior, w.log_q, q, prior)
        loc, scale = families.moments(q)
        here = {"loc": loc, "scale": scale, "rate": _rate(w, q, prior), "forms": forms.values.T}
        here |= {"forms_se": forms.errors.T, "distortion": -w.log_likelihood.mean(0)}
        parts.append(
            {NAMES.get(name, name): value for name, value in judged.items()}
            | {name: t.double().numpy() for name, t in here.items()}
        )
        progress(len(tile))
    found = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
    return found | {"ladder": ladder} | _over_data(torch.from_numpy(found["forms"]), forms)


def _rate(w: Weights, q: Distribution, prior: Distribution) -> Tensor:
    """KL(q ‖ prior) of each datum, by its closed form or, of a flow, from the samples."""
    try:
        return bounds.rate(q, prior)
    except NotImplementedError:
        return (w.log_q - w.log_prior).mean(0)


def _over_data(values: Tensor, forms: Forms) -> Arrays:
    """Means over all data of the three formulas and of their paired differences."""
    differences = values - values.roll(-1, 1)
    means = {"forms_mean": values.mean(0), "forms_difference": differences.mean(0)}
    if len(values) > 1:
        means["forms_mean_se"] = bounds.error_of_mean(values)
        means["forms_difference_se"] = bounds.error_of_mean(differences)
    else:  # of a single datum only the samples are by chance
        means["forms_mean_se"] = forms.standard_errors
        means["forms_difference_se"] = forms.difference_errors
    return {name: t.double().numpy() for name, t in means.items()}
