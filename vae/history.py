"""ELBO and log p(x) over training, at the epochs whose weights were kept.

Arrays of an answer, in nats; E epochs, and a value of each for ``s`` in ``train`` and ``held_out``:

- ``epochs`` (E), and whether log p(x) is ``exact`` (), else it is importance sampled;
- ``s_elbo_mean``, ``s_elbo_se``, ``s_elbo_median``, and the same of ``s_log_evidence`` and of
  ``s_gap``, log p(x) less ELBO of the same datum (E); errors are over the data;
- ``s_trusted`` (E): the share of the data whose log p(x) may be believed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor

from vae import evaluate, exact, importance, linear, runs
from vae.estimators import refuse_broken
from vae.grid import Grid, decode_grid
from vae.model import VAE
from vae.progress import Report, part
from vae.requests import History
from vae.runs import Run


def compute(run: Run, ask: History, report: Report) -> dict[str, np.ndarray]:
    """Answers a request; what the arrays hold is said above.

    Arguments:
        run: The run, with its newest model.
        ask: The request.
        report: Told how far it is.

    Returns:
        The arrays, by name.

    Raises:
        ValueError: If weights are not finite.
        RunError: If weights of an epoch are damaged.
        DataError: If the data cannot be had.

    Source:
        As for ``vae.evidence``.

    Example:
        >>> import os, tempfile
        >>> from vae.config import RunConfig
        >>> os.environ["VAE_RUNS"] = tempfile.mkdtemp()
        >>> config = RunConfig(dataset="digits", hidden=(8,), latent_dim=3)
        >>> run = Run(runs.create(config), config, VAE(config), epoch=0)
        >>> compute(run, History(k=2), lambda what, share: None)["epochs"]
        array([0])
    """
    sets = {split: evaluate.examples(run.config, split, ask.n) for split in ("train", "held_out")}
    epochs = [epoch for epoch in runs.past(run.id) if epoch != run.epoch]
    rows, known = [], exact.is_known(run.model)
    for i, epoch in enumerate([*epochs, run.epoch]):
        steps = 2 * len(sets["train"]) * (1 + known)  # both splits; truth and fit, or samples
        ends = i / (len(epochs) + 1), (i + 1) / (len(epochs) + 1)
        progress = part(report, f"epoch {epoch}", steps, *ends)
        model = run.model if epoch == run.epoch else runs.load(run.id, epoch).model
        refuse_broken(model)
        on_grid = known and not linear.is_linear(model)
        grid = decode_grid(model) if on_grid else None  # one for both splits
        found = [_summary(model, x, grid, ask, split, progress) for split, x in sets.items()]
        rows.append(found[0] | found[1])
    arrays = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return arrays | {"epochs": np.array([*epochs, run.epoch]), "exact": np.array(known)}


def _summary(
    model: VAE,
    x: Tensor,
    grid: Grid | None,
    ask: History,
    split: str,
    progress: Callable[[int], object],
) -> dict[str, float]:
    """Means, their errors over the data, and medians, of one split at one epoch."""
    elbo, log_evidence, trusted = _values(model, x, grid, ask, progress)
    row = {f"{split}_trusted": trusted.mean()}
    named = {"elbo": elbo, "log_evidence": log_evidence, "gap": log_evidence - elbo}
    for name, values in named.items():
        row[f"{split}_{name}_mean"] = values.mean()
        row[f"{split}_{name}_se"] = values.std(ddof=1) / len(values) ** 0.5
        row[f"{split}_{name}_median"] = np.median(values)
    return row


def _values(
    model: VAE, x: Tensor, grid: Grid | None, ask: History, progress: Callable[[int], object]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ELBO and log p(x) of every datum, and whether to believe the latter; without chance if that
    can be had."""
    known = exact.is_known(model)
    if known:
        truth = exact.truth(model, x, grid, progress)
        log_evidence, trusted = truth.log_evidence.numpy(), truth.error.isfinite().numpy()
        fit = exact.fit(model, x, truth.log_evidence, progress)
        if fit is not None:
            return fit.elbo.numpy(), log_evidence, trusted
    judged = importance.judge(model, x, ask.k, ladder=(), seed=ask.seed, progress=progress)
    if known:  # of a flow over more than two dimensions the ELBO alone is sampled
        return judged.elbo, log_evidence, trusted
    return judged.elbo, judged.log_evidence, judged.trusted
