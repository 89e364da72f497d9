"""log p(x) by annealed importance sampling, and how tight that is on data of the model's own.

Arrays of an answer, data first (N), in nats:

- ``index`` and ``label``: which datum;
- ``log_evidence``, ``log_evidence_se``, ``ess``, ``acceptance``, ``trusted``: see ``ais.Annealed``;
- ``bdmc_lower``, ``bdmc_upper``, ``bdmc_lower_se``, ``bdmc_upper_se``, ``bdmc_trusted``: log p(x)
  between two bounds, for as many simulated data; see ``ais.Sandwich``.
"""

from __future__ import annotations

import numpy as np

from vae import ais, data, evaluate
from vae.estimators import refuse_broken
from vae.progress import Report, part
from vae.requests import Annealing
from vae.runs import Run


def compute(run: Run, ask: Annealing, report: Report) -> dict[str, np.ndarray]:
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
        Neal 2001; Grosse et al. 2015.

    Example:
        >>> from vae.config import RunConfig
        >>> from vae.model import VAE
        >>> config = RunConfig(dataset="digits", hidden=(8,), latent_dim=3)
        >>> run = Run("small", config, VAE(config), epoch=0)
        >>> ask = Annealing(n=2, chains=2, temperatures=9)
        >>> compute(run, ask, lambda what, share: None)["log_evidence"].shape
        (2,)
    """
    refuse_broken(run.model)
    x = evaluate.examples(run.config, ask.split, ask.n)
    labels = getattr(data.at_hand(run.config.dataset), f"{ask.split}_labels")
    options = {"chains": ask.chains, "temperatures": ask.temperatures, "seed": ask.seed}
    there, both = (ais.total(len(x), ask.temperatures, both=b) for b in (False, True))
    share = there / (there + both)
    found = ais.estimate(
        run.model, x, **options, progress=part(report, "annealing the data", there, 0, share)
    )
    simulated = ais.sandwich(
        run.model,
        len(x),
        **options,
        progress=part(report, "there and back on simulated data", both, share, 1),
    )
    return {
        "index": np.arange(len(x)),
        "label": labels[: len(x)],
        "log_evidence": found.log_evidence,
        "log_evidence_se": found.se,
        "ess": found.ess,
        "acceptance": found.acceptance,
        "trusted": found.trusted,
        "bdmc_lower": simulated.lower,
        "bdmc_upper": simulated.upper,
        "bdmc_lower_se": simulated.lower_se,
        "bdmc_upper_se": simulated.upper_se,
        "bdmc_trusted": simulated.trusted,
    }
