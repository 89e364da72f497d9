"""What a model is worth on data that stand still: estimators per datum, and the epoch's record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vae import bounds, data, families
from vae.config import RunConfig
from vae.estimators import Estimate, Estimator, estimate
from vae.model import VAE
from vae.tiles import tiles

#: Grey pixels of held-out data are drawn to black or white once, from this seed, in every run:
#: two runs are judged on the same bits. Training data too, unless training itself fixed them.
BINARISATION_SEED = 0
#: Data behind the ELBO curves, and behind their IWAE-64 curve; the first of each split.
N_ELBO, N_IWAE, K_IWAE = 2_000, 100, 64

Split = Literal["train", "held_out"]


class Evaluated(NamedTuple):
    """One estimator on N data: the fields of ``estimators.Estimate``, and data with labels."""

    values: np.ndarray
    errors: np.ndarray
    about: dict[str, np.ndarray]
    x: np.ndarray
    labels: np.ndarray

    @property
    def mean(self) -> float:
        """Mean over the data, in nats."""
        return float(self.values.mean())

    @property
    def standard_error(self) -> float:
        """Standard error of the mean over the data, in nats; not a number for one datum."""
        n = len(self.values)
        return float(self.values.std(ddof=1) / n**0.5) if n > 1 else float("nan")

    @property
    def median(self) -> float:
        """Median over the data, in nats."""
        return float(np.median(self.values))


def examples(config: RunConfig, split: Split = "held_out", n: int | None = None) -> Tensor:
    """The first n data of a split as a model sees them, always the same.

    Arguments:
        config: Names the data set, and whether its pixels are binarised.
        split: ``"held_out"`` or ``"train"``.
        n: How many; all if not given.

    Returns:
        Data, with shape (n, *event): 0 or 1 where the configuration binarises (drawn once, from
        ``BINARISATION_SEED``; training data under fixed binarisation from the seed of the run, so
        that they are the very bits it learns), grey in [0, 1] or points otherwise.

    Raises:
        DataError: If the data set cannot be had.

    Source:
        Fixed binarisation as in Larochelle & Murray 2011, with a draw of our own.

    Example:
        >>> examples(RunConfig(dataset="digits"), n=3).unique()
        tensor([0., 1.])
    """
    whole = torch.from_numpy(getattr(data.at_hand(config.dataset), split))
    learnt = split == "train" and config.binarisation == "fixed"
    generator = torch.Generator().manual_seed(config.seed if learnt else BINARISATION_SEED)
    if config.binarisation == "none":
        return present(whole[:n], config.binarisation)
    return present(whole, config.binarisation, generator)[:n]


def labels_of(config: RunConfig, split: Split = "held_out", n: int | None = None) -> Tensor:
    """The labels of ``examples``.

    Arguments:
        config: Names the data set.
        split: ``"held_out"`` or ``"train"``.
        n: How many; all if not given.

    Returns:
        Labels, int64 with shape (n).

    Raises:
        DataError: If the data set cannot be had.

    Example:
        >>> labels_of(RunConfig(dataset="digits"), n=3)
        tensor([0, 2, 4])
    """
    return torch.from_numpy(getattr(data.at_hand(config.dataset), f"{split}_labels"))[:n]


def present(batch: Tensor, binarisation: str, generator: torch.Generator | None = None) -> Tensor:
    """Stored data as the model sees them: points as they are, pixels grey or drawn to 0 and 1."""
    if batch.is_floating_point():
        return batch
    if binarisation == "none":
        return batch.float().div_(255)
    return data.binarise(batch, generator)


def evaluate(
    model: VAE,
    config: RunConfig,
    estimator: Estimator,
    *,
    k: int | None = None,
    n: int | None = None,
    split: Split = "held_out",
    temperatures: int = 500,
    seed: int = 0,
    progress: Callable[[int], object] = lambda n: None,
) -> Evaluated:
    """An estimator on the first n data of a split, under fixed binarisation.

    A conditional model is told of each datum its own label: what is estimated is log p(x given y).

    Arguments:
        model: The model.
        config: The configuration of its run.
        estimator: See ``estimators.estimate``, also for k, temperatures, seed and progress.
        k: Samples per datum.
        n: How many data; all if not given.
        split: ``"held_out"`` or ``"train"``.
        temperatures: Of annealed importance sampling.
        seed: Seed of the samples.
        progress: Called now and then with the number of data done.

    Returns:
        Values and errors per datum, in nats, with the data they belong to.

    Raises:
        DataError: If the data set cannot be had.
        ValueError: If there is no such estimate to be had.

    Source:
        Burda et al. 2016, section 5, report the mean IWAE-5000 of the test set.

    Example:
        >>> config = RunConfig(dataset="digits", hidden=(16,))
        >>> evaluate(VAE(config), config, "elbo", k=1, n=20).values.shape
        (20,)
    """
    x = examples(config, split, n)
    labels = labels_of(config, split, len(x)).numpy()

    def values(told: VAE, x: Tensor) -> Estimate:
        return estimate(
            told, x, estimator, k, temperatures=temperatures, seed=seed, progress=progress
        )

    found = _label_by_label(model, x, labels, values) if model.conditional else values(model, x)
    return Evaluated(*found, x.numpy(), labels)


def _label_by_label(
    model: VAE, x: Tensor, labels: np.ndarray, values: Callable[[VAE, Tensor], Estimate]
) -> Estimate:
    """The data of each label under the model that was told it, back in their order."""
    rows = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    found = [values(model.given(labels[of[0]]), x[of]) for of in rows]
    order = np.argsort(np.concatenate(rows))

    def column(parts: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(parts)[order]

    about = {name: column([part.about[name] for part in found]) for name in found[0].about}
    return Estimate(column([f.values for f in found]), column([f.errors for f in found]), about)


@torch.no_grad()
def record(
    model: VAE, sets: dict[Split, Tensor], labels: dict[Split, Tensor] | None = None
) -> dict[str, Any]:
    """What is written down about an epoch, on train and held-out data, in nats.

    Arguments:
        model: The model.
        sets: Fixed data of each split, on the model's device.
        labels: Theirs, on that device; only a conditional model is told them.

    Returns:
        For each split its ``elbo``, ``elbo_se``, ``rate``, ``distortion``, ``iwae`` (of the first
        ``N_IWAE`` data, with ``K_IWAE`` samples), ``rates`` (per latent dimension; of a q that is
        not diagonal those of the normals with its means and variances, which do not add up to
        the rate) and ``active_units``; the same noise every epoch, so that a curve moves only with
        the model.

    Raises:
        Nothing of its own.

    Source:
        Rate and distortion: Alemi et al. 2018. Active units: Burda et al. 2016, section 5.2,
        Var_x(E_q[z_d given x]) > 0.01.

    Example:
        >>> config = RunConfig(dataset="digits", hidden=(16,))
        >>> sorted(record(VAE(config), {"train": examples(config, n=8)})["train"])[:3]
        ['active_units', 'distortion', 'elbo']
    """
    out = {}
    prior = model.prior()
    cuda = [model.zero.device] if model.zero.is_cuda else []
    for split, x in sets.items():
        with torch.random.fork_rng(devices=cuda):
            torch.manual_seed(0)
            locs, rates, per_dimension, distortions = [], [], [], []
            known = None if labels is None else labels[split]
            for told, tile in tiles(model, x, known, 500):
                q = told.encode(tile)
                z = q.rsample()
                marginals = families.marginals(q)
                locs.append(marginals.mean)
                rates.append(bounds.rate(q, prior, z))
                per_dimension.append(bounds.rate_per_dimension(marginals, prior))
                distortions.append(bounds.distortion(told.decode(z), tile))
            few = tiles(model, x[:N_IWAE], known, 50)
            log_w = torch.cat([told.log_weights(tile, K_IWAE) for told, tile in few], dim=1)
        rate, distortion = torch.cat(rates).double(), torch.cat(distortions).double()
        value = -(rate + distortion)
        iwae = bounds.iwae(log_w.double())
        out[split] = {
            "elbo": value.mean().item(),
            "elbo_se": (value.std() / len(value) ** 0.5).item(),
            "rate": rate.mean().item(),
            "distortion": distortion.mean().item(),
            "iwae": iwae.mean().item(),
            "iwae_se": (iwae.std() / len(iwae) ** 0.5).item(),
            "rates": [round(r, 4) for r in torch.cat(per_dimension).double().mean(0).tolist()],
            "active_units": int((torch.cat(locs).var(dim=0) > 0.01).sum()),
        }
    return out
