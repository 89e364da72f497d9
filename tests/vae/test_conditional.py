"""The fast log p(x given z) against a plain float64 one, for every body and likelihood."""

from __future__ import annotations

import copy

import pytest
import torch

from vae import conditional
from vae.conditional import log_likelihoods
from vae.config import RunConfig
from vae.model import VAE

GREY = {"binarisation": "none"}
CONFIGS = {
    "bernoulli": RunConfig(dataset="digits", hidden=(24, 16)),
    "tanh": RunConfig(dataset="digits", hidden=(24,), activation="tanh", latent_dim=3),
    "conv": RunConfig(dataset="digits", body="conv", hidden=(4, 6, 10)),
    "gaussian": RunConfig(dataset="digits", hidden=(24,), likelihood="gaussian", **GREY),
    "grey": RunConfig(dataset="digits", hidden=(24,), likelihood="continuous-bernoulli", **GREY),
    "points": RunConfig(dataset="pinwheel", hidden=(24,), likelihood="gaussian", **GREY),
    "linear": RunConfig(dataset="digits", body="linear", hidden=(), likelihood="gaussian", **GREY),
}


def made(name: str, gain: float = 3.0) -> tuple[VAE, torch.Tensor, torch.Tensor]:
    """A model with lively weights, seven data, and a few latents for each."""
    torch.manual_seed(0)
    config = CONFIGS[name]
    model = VAE(config)
    with torch.no_grad():
        for parameter in model.decoder.parameters():
            parameter.mul_(gain)
    x = torch.rand(7, *config.shape)
    x = x.round() if config.likelihood == "bernoulli" else x
    return model, x, torch.randn(9, 7, config.latent_dim)


def plainly(model: VAE, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """The distribution's own answer, in float64."""
    with torch.no_grad():
        return copy.deepcopy(model).double().decode(z.double()).log_prob(x.double())


@pytest.mark.parametrize("rows", [1, 4, 20, 500])
@pytest.mark.parametrize("name", CONFIGS)
def test_it_is_the_decoders_own_log_likelihood(name, rows, monkeypatch):
    monkeypatch.setitem(conditional.ROWS, "cpu", rows)
    model, x, z = made(name)
    fast = log_likelihoods(model, x, z)
    assert fast.dtype == torch.float64 and fast.shape == (9, 7)
    torch.testing.assert_close(fast, plainly(model, x, z), rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_float64_model_is_exact(name):
    model, x, z = made(name)
    fast = log_likelihoods(model.double(), x, z)
    torch.testing.assert_close(fast, plainly(model, x, z), rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("name", ["bernoulli", "tanh", "conv"])
@pytest.mark.parametrize("bias", [-200.0, 60.0, 200.0])
def test_extreme_logits_take_the_guarded_path(name, bias):
    model, x, z = made(name)
    last = [m for m in model.decoder.modules() if getattr(m, "bias", None) is not None][-1]
    with torch.no_grad():
        last.bias.fill_(bias)  # products of sigmoids are below the smallest number
    x[0], x[1] = 0, 1
    exact = plainly(model, x, z)
    torch.testing.assert_close(log_likelihoods(model, x, z), exact, rtol=1e-6, atol=1e-4)
    wrong = 0 if bias > 0 else 1
    assert (exact[:, wrong] < -0.9 * 64 * abs(bias)).all()


def test_rows_that_underflow_are_mended_alone():
    model, x, z = made("bernoulli")
    z[3, 2] = 400.0  # one latent far from all others
    fast = log_likelihoods(model, x, z)
    exact = plainly(model, x, z)
    torch.testing.assert_close(fast, exact, rtol=1e-6, atol=1e-4)
    logits = model.decode(z).base_dist.logits.flatten(2)
    folded = torch.nn.functional.softplus(logits).view(9, 7, 16, 4).sum(2).amax(-1)
    assert folded[3, 2] > 100 and folded.flatten().sort().values[-2] < 80


def test_a_width_that_does_not_fold_is_right_too():
    model, x, z = made("bernoulli")
    torch.manual_seed(1)
    model.shape = (7,)
    model.decoder = torch.nn.Sequential(torch.nn.Linear(2, 5), torch.nn.ReLU())
    model.decoder.append(torch.nn.Linear(5, 7))
    x = x.flatten(1)[:, :7]
    torch.testing.assert_close(
        log_likelihoods(model, x, z), plainly(model, x, z), rtol=1e-6, atol=1e-5
    )


@pytest.mark.parametrize("name", ["bernoulli", "conv", "gaussian"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_numbers_are_refused(name, value):
    model, x, z = made(name)
    z[0, 0] = value
    with pytest.raises(ValueError, match="not finite"):
        log_likelihoods(model, x, z)
    model, x, z = made(name)
    with torch.no_grad():
        next(iter(model.decoder.parameters()))[0] = value
    with pytest.raises(ValueError, match="not finite"):
        log_likelihoods(model, x, z)
