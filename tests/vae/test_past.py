"""Weights of past epochs: which are kept, and that they are the ones that were recorded."""

from __future__ import annotations

import pytest
import torch

from vae import runs, train
from vae.bounds import elbo
from vae.config import RunConfig
from vae.evaluate import examples
from vae.past import MAX_PAST, keeps_weights
from vae.presets import PRESETS
from vae.runs import RunError


def test_a_long_run_keeps_few_and_more_of_the_early_ones():
    for config in PRESETS.values():
        evaluated = range(0, config.epochs + 1, config.evaluate_every)
        kept = [epoch for epoch in evaluated if keeps_weights(config, epoch)]
        assert kept[0] == 0 and kept[-1] < config.epochs
        assert len(kept) <= MAX_PAST + 1
        assert kept[len(kept) // 2] < config.epochs / 4


def test_a_past_epoch_is_the_model_that_a_shorter_run_ends_with():
    config = RunConfig(dataset="digits", hidden=(16,), epochs=3)
    long = runs.create(config)
    train.train(long)
    assert runs.past(long) == [0, 1, 2]
    short = runs.create(config.model_copy(update={"epochs": 2}))
    train.train(short)
    then, ended = runs.load(long, epoch=2), runs.load(short)
    assert then.epoch == ended.epoch == 2
    for name, weight in ended.model.state_dict().items():
        torch.testing.assert_close(then.model.state_dict()[name], weight.half().float())


def test_rounding_to_half_precision_hardly_moves_the_bound(trained):
    model = runs.load(trained[2]).model
    x = examples(runs.read_config(trained[2]), n=100)

    def judged():
        torch.manual_seed(0)
        return elbo(model.log_weights(x, 20))

    exact = judged()
    model.load_state_dict({name: w.half().float() for name, w in model.state_dict().items()})
    rounded = judged()
    assert (rounded - exact).abs().mean() < exact.std() / len(x) ** 0.5 / 50


def test_an_epoch_that_was_not_kept_is_said(trained):
    with pytest.raises(RunError, match=r"Epoch 99 .* not kept. Choose another"):
        runs.load(trained[2], epoch=99)


def test_a_damaged_past_epoch_spoils_nothing_else(trained):
    path = runs.folder(trained[2]) / "weights" / "00001.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RunError, match="damaged"):
        runs.load(trained[2], epoch=1)
    assert runs.load(trained[2]).epoch == 3
