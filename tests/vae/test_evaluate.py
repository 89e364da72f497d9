"""Estimators on data that stand still, and the record of an epoch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, MultivariateNormal, Normal

from vae import bounds, data, evaluate
from vae.config import RunConfig
from vae.model import VAE
from vae.train import training_data

DIGITS = RunConfig(dataset="digits", hidden=(16,), latent_dim=3)
CPU = torch.device("cpu")


@pytest.fixture
def model() -> VAE:
    torch.manual_seed(0)
    return VAE(DIGITS)


class Exact:
    """A linear-Gaussian model with its exact posterior, or a wider q: 2-D data, 1-D latent."""

    weight = torch.tensor([1.0, -2.0]).double()

    def __init__(self, widening: float = 1.0) -> None:
        self.widening = widening

    def log_weights(self, x: Tensor, K: int) -> Tensor:
        precision = 1 + self.weight.square().sum()
        q = Normal(x @ self.weight / precision, self.widening / precision.sqrt())
        z = q.sample((K,))
        p_x = Independent(Normal(z[..., None] * self.weight, torch.ones(2).double()), 1)
        return Normal(0.0, 1.0).log_prob(z) + p_x.log_prob(x) - q.log_prob(z)

    def log_evidence(self, x: Tensor) -> Tensor:
        covariance = torch.eye(2).double() + torch.outer(self.weight, self.weight)
        return MultivariateNormal(torch.zeros(2).double(), covariance).log_prob(x)


@pytest.mark.parametrize("estimator", ["elbo", "iwae"])
@pytest.mark.parametrize("k", [1, 7, 64])
def test_an_estimator_with_the_exact_posterior_is_the_evidence(estimator, k):
    x = torch.randn(11, 2, generator=torch.Generator().manual_seed(0)).double()
    values = evaluate.estimate(Exact(), x, estimator, k)
    assert values.dtype == np.float64
    np.testing.assert_allclose(values, Exact().log_evidence(x), rtol=0, atol=1e-10)


@pytest.mark.parametrize("tile", [1, 10, 64, 10_000])
def test_tiles_split_data_and_samples_without_changing_what_is_estimated(monkeypatch, tile):
    monkeypatch.setattr(evaluate, "TILE", tile)
    x = torch.randn(3, 2, generator=torch.Generator().manual_seed(0)).double()
    k, wide = 200, Exact(widening=1.3)
    error = evaluate.estimate(wide, x, "elbo", k) - Exact().log_evidence(x).numpy()
    # log w is -log p(x) + log q - log posterior: its mean and variance over z ~ q, in closed form
    ratio = 1.3**2
    gap = 0.5 * (ratio - 1 - np.log(ratio))
    deviation = (ratio - 1) / 2**0.5  # of 0.5 (ratio - 1) chi², which has variance 2
    assert (np.abs(error + gap) < 4 * deviation / k**0.5).all()


def test_an_estimator_is_its_bound_of_seeded_log_weights(model):
    x = evaluate.examples(DIGITS, n=20)
    torch.manual_seed(4)
    log_w = model.log_weights(x, 6).detach().double()
    np.testing.assert_array_equal(
        evaluate.estimate(model, x, "iwae", 6, seed=4), bounds.iwae(log_w)
    )
    np.testing.assert_array_equal(
        evaluate.estimate(model, x, "elbo", 6, seed=4), bounds.elbo(log_w)
    )


def test_an_estimate_disturbs_no_other_noise(model):
    x = evaluate.examples(DIGITS, n=5)
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    evaluate.estimate(model, x, "iwae", 3)
    evaluate.record(model, {"train": x})
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("k", [0, -1])
def test_an_estimate_needs_a_sample(model, k):
    with pytest.raises(ValueError, match="at least 1"):
        evaluate.estimate(model, evaluate.examples(DIGITS, n=2), "elbo", k)


def test_evaluated_says_mean_error_and_median(model):
    found = evaluate.evaluate(model, DIGITS, "iwae", k=5, n=40)
    assert found.values.shape == found.labels.shape == (40,) and found.x.shape == (40, 1, 8, 8)
    assert found.mean == pytest.approx(np.mean(found.values))
    assert found.median == pytest.approx(np.median(found.values))
    assert found.standard_error == pytest.approx(np.std(found.values, ddof=1) / 40**0.5)
    np.testing.assert_array_equal(found.labels, data.load("digits").held_out_labels[:40])
    again = evaluate.evaluate(model, DIGITS, "iwae", k=5, n=40)
    np.testing.assert_array_equal(found.values, again.values)
    other = evaluate.evaluate(model, DIGITS, "iwae", k=5, n=40, split="train")
    np.testing.assert_array_equal(other.labels, data.load("digits").train_labels[:40])


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_examples_are_drawn_once_and_their_beginning_stays(split):
    whole = evaluate.examples(DIGITS, split)
    grey = getattr(data.load("digits"), split)
    assert whole.shape == grey.shape and set(whole.unique().tolist()) == {0, 1}
    assert torch.equal(evaluate.examples(DIGITS, split, 10), whole[:10])
    torch.manual_seed(99)
    assert torch.equal(evaluate.examples(DIGITS, split), whole)
    black, white = torch.from_numpy(grey == 0), torch.from_numpy(grey == 255)
    assert (whole[black] == 0).all() and (whole[white] == 1).all()


def test_held_out_bits_are_the_same_for_every_run():
    others = [
        DIGITS.model_copy(update={"seed": 5}),
        DIGITS.model_copy(update={"seed": 5, "binarisation": "fixed"}),
    ]
    for other in others:
        assert torch.equal(evaluate.examples(other), evaluate.examples(DIGITS))


@pytest.mark.parametrize("seed", [0, 5])
def test_under_fixed_binarisation_training_data_are_the_bits_that_are_learnt(seed):
    config = DIGITS.model_copy(update={"seed": seed, "binarisation": "fixed"})
    learnt = evaluate.present(training_data(config, CPU), "none")
    assert torch.equal(evaluate.examples(config, "train"), learnt)


def test_grey_pixels_and_points_are_shown_as_they_are():
    grey = DIGITS.model_copy(update={"likelihood": "gaussian", "binarisation": "none"})
    stored = data.load("digits").held_out[:9].astype(np.float32) / 255
    np.testing.assert_array_equal(evaluate.examples(grey, n=9), stored)
    toy = grey.model_copy(update={"dataset": "pinwheel"})
    np.testing.assert_array_equal(evaluate.examples(toy, n=9), data.load("pinwheel").held_out[:9])


def test_a_record_adds_up(model):
    sets = {split: evaluate.examples(DIGITS, split, 120) for split in ("train", "held_out")}
    record = evaluate.record(model, sets)
    assert set(record) == set(sets)
    for split, x in sets.items():
        found = record[split]
        assert found["elbo"] == pytest.approx(-(found["rate"] + found["distortion"]))
        assert len(found["rates"]) == 3
        # each of the three is rounded to four decimals
        assert sum(found["rates"]) == pytest.approx(found["rate"], abs=3 * 5e-5)
        assert bounds.rate(model.encode(x), model.prior()).mean().item() == pytest.approx(
            found["rate"], rel=1e-5
        )
        assert found["elbo_se"] > 0 and found["iwae_se"] > 0
        # Between the ELBO and the IWAE-64 of the same model lie several standard errors.
        assert found["iwae"] > found["elbo"]
    assert evaluate.record(model, sets) == record


def test_an_active_unit_moves_with_the_data(model):
    with torch.no_grad():
        last = model.encoder[-1][-1]
        last.weight[1] = 0  # the mean of unit 1 stands still at its bias
        last.bias[1] = 5
        last.weight[0] *= 100
        last.weight[2] *= 1e-4
    found = evaluate.record(model, {"train": evaluate.examples(DIGITS, "train", 200)})["train"]
    assert found["active_units"] == 1


def test_a_record_of_the_prior_costs_nothing(model):
    with torch.no_grad():
        model.encoder[-1][-1].weight.zero_()
        model.encoder[-1][-1].bias.zero_()
    found = evaluate.record(model, {"train": evaluate.examples(DIGITS, "train", 50)})["train"]
    assert found["rate"] == 0 and found["rates"] == [0, 0, 0] and found["active_units"] == 0
