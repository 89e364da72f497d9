"""Data sets: what they hold, how they are named and found, and binarisation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from vae import data
from vae.bundled import make
from vae.config import DATA_SHAPES, DOWNLOADED

ALWAYS = [name for name in DATA_SHAPES if name not in DOWNLOADED]


@pytest.mark.parametrize("name", ALWAYS)
def test_sets_without_network_have_the_promised_shapes(name, tmp_path, monkeypatch):
    monkeypatch.setenv("VAE_DATA", str(tmp_path / "data"))
    assert data.available(name) and data.ensure(name) == (name, None)
    loaded = data.load(name)
    for values, labels in (
        (loaded.train, loaded.train_labels),
        (loaded.held_out, loaded.held_out_labels),
    ):
        assert values.shape == (len(labels), *DATA_SHAPES[name])
        assert values.dtype == (np.uint8 if len(DATA_SHAPES[name]) == 3 else np.float32)
        assert values.flags.c_contiguous
        assert labels.dtype == np.int64
        assert set(labels) == set(range(len(loaded.label_names)))
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", ALWAYS)
def test_sets_are_the_same_every_time(name):
    first = data.load(name)
    assert data.load(name) is first
    data._load.cache_clear()
    assert data.load(name).sha256 == first.sha256


def test_sizes():
    sizes = {name: (len(data.load(name).train), len(data.load(name).held_out)) for name in ALWAYS}
    assert sizes.pop("digits") == (1437, 360)
    assert set(sizes.values()) == {(10_000, 2_000)}


def test_the_bundled_subset_keeps_the_share_of_every_label():
    subset = data.load("mnist-subset")
    assert subset.train.max() == 255 and subset.train.min() == 0
    mnist_train = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    mnist_test = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    for labels, counts, step in (
        (subset.train_labels, mnist_train, 6),
        (subset.held_out_labels, mnist_test, 5),
    ):
        assert np.abs(np.bincount(labels) - np.array(counts) / step).max() < 1


def test_digits_keep_the_share_of_every_label():
    digits = data.load("digits")
    held_out, train = np.bincount(digits.held_out_labels), np.bincount(digits.train_labels)
    assert np.abs(held_out - (train + held_out) / 5).max() < 1


def test_the_bundled_readme_states_both_checksums():
    readme = data.SUBSET.with_name("README.md").read_text()
    assert data.SUBSET_SHA256 in readme and data.load("mnist-subset").sha256 in readme


def test_the_rule_that_cuts_the_subset():
    labels = np.random.default_rng(0).integers(0, 10, 6_000)
    taken = make.spread(labels, 6)
    assert len(taken) == 1_000 and (np.diff(taken) > 0).all()
    shares = np.bincount(labels[taken]) - np.bincount(labels) / 6
    assert np.abs(shares).max() < 1


def test_binarise_draws_with_the_probability_of_the_grey_value():
    grey = torch.arange(256, dtype=torch.uint8).repeat(20_000, 1)
    drawn = data.binarise(grey, torch.Generator().manual_seed(0))
    assert drawn.dtype == torch.float32 and drawn.shape == grey.shape
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    p = torch.arange(256) / 255
    errors = ((drawn.mean(0) - p) / (p * (1 - p) / len(grey)).sqrt())[1:-1]
    assert abs(errors.mean()) < 4 / np.sqrt(254)  # in standard errors, as the next two lines
    assert abs(errors.std() - 1) < 4 / np.sqrt(2 * 254)
    assert errors.abs().max() < 5  # of 254 values: chance alone passes 4 in 1.6 %, 5 in 0.015 %
    assert (drawn[:, 0] == 0).all() and (drawn[:, 255] == 1).all()


def test_binarise_follows_its_generator_alone():
    grey = torch.full((4, 1, 28, 28), 128, dtype=torch.uint8)
    one, same, other = (
        data.binarise(grey, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_root(monkeypatch, tmp_path):
    monkeypatch.setenv("VAE_DATA", str(tmp_path))
    assert data.root() == tmp_path
    monkeypatch.delenv("VAE_DATA")
    assert data.root() == Path.home() / ".cache" / "elbo-room"


def test_an_unknown_name():
    for call in (data.load, data.available, data.fetch):
        with pytest.raises(data.DataError, match="There is no data set called 'cifar'"):
            call("cifar")


def test_a_bundled_file_with_a_flipped_bit(tmp_path, monkeypatch):
    content = bytearray(data.SUBSET.read_bytes())
    content[1_000_000] ^= 1
    damaged = tmp_path / "mnist-subset.npz"
    damaged.write_bytes(content)
    monkeypatch.setattr(data, "SUBSET", damaged)
    data._load.cache_clear()
    with pytest.raises(data.DataError, match="damaged"):
        data.load("mnist-subset")
    damaged.unlink()
    with pytest.raises(data.DataError, match="cannot be read"):
        data.load("mnist-subset")
