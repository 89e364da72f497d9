"""Estimators on data that stand still, and the record of an epoch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

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


def test_a_record_disturbs_no_other_noise(model):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    evaluate.record(model, {"train": evaluate.examples(DIGITS, n=5)})
    assert torch.equal(torch.rand(3), expected)


def test_evaluated_says_mean_error_and_median(model):
    found = evaluate.evaluate(model, DIGITS, "iwae", k=5, n=40)
    assert found.values.shape == found.errors.shape == found.labels.shape == (40,)
    assert found.x.shape == (40, 1, 8, 8) and found.about["pareto_k"].shape == (40,)
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
