"""log p(x) and posterior moments on lattices, against closed forms and brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal

from tests.vae.exact_models import brute_force, data_at, folded_model, linear_model, steep_model
from vae import evaluate, linear, quadrature, runs
from vae.config import RunConfig
from vae.grid import MAX_BYTES
from vae.model import VAE
from vae.presets import PRESETS
from vae.quadrature import QuadratureError, decode_grid, evidence, log_density


@pytest.mark.parametrize("D", [1, 2])
def test_a_smooth_posterior_is_exact(D):
    model = linear_model(D)
    x = data_at(model, torch.linspace(-3, 3, 8 * D).view(8, D))
    found = evidence(model, x)
    truth = linear.posterior(model, x)
    torch.testing.assert_close(
        found.log_evidence, linear.log_evidence(model, x), rtol=0, atol=1e-10
    )
    torch.testing.assert_close(found.loc, truth.loc, rtol=0, atol=1e-10)
    torch.testing.assert_close(found.covariance, truth.covariance_matrix, rtol=0, atol=1e-10)
    assert found.error.max() < 1e-9
    assert found.step.eq(quadrature.STEP).all()


@pytest.mark.parametrize("D", [1, 2])
def test_a_posterior_a_hundredth_of_a_step_wide_is_found_wherever_it_lies(D):
    model = linear_model(D, scale=0.005, size=0.5)
    g = torch.Generator().manual_seed(3)
    corners = torch.arange(-4, 4).view(-1, 1).expand(-1, D)  # where four blocks meet
    near = corners + 0.002 * torch.randn(8, D, generator=g)
    x = data_at(model, torch.cat((near, 2 * torch.randn(8, D, generator=g))))
    found = evidence(model, x, tolerance=1e-6)
    truth = linear.posterior(model, x)
    torch.testing.assert_close(found.log_evidence, linear.log_evidence(model, x), rtol=0, atol=1e-5)
    torch.testing.assert_close(found.loc, truth.loc, rtol=0, atol=1e-7)
    torch.testing.assert_close(found.covariance, truth.covariance_matrix, rtol=1e-4, atol=0)
    assert found.step.max() < quadrature.STEP / 8


def test_a_posterior_beyond_the_grid_is_followed():
    model = linear_model(scale=0.1)
    x = data_at(model, torch.tensor([[9.0, -7.3], [0.0, 11.9], [0.0, 0.0]]))
    found = evidence(model, x)
    torch.testing.assert_close(found.log_evidence, linear.log_evidence(model, x), rtol=0, atol=2e-3)
    assert (found.loc[0] - torch.tensor([9.0, -7.3])).norm() < 0.5


def test_what_lies_out_of_reach_has_an_infinite_error():
    model = linear_model(scale=0.1)
    x = data_at(model, torch.tensor([[30.0, 0.0], [1.0, 0.0]]))
    found = evidence(model, x, decode_grid(model, radius=2.0))
    assert found.error[0].isinf()
    assert found.error[1] < 2e-3
    assert found.log_evidence[1].item() == pytest.approx(linear.log_evidence(model, x)[1].item())


@pytest.mark.parametrize("D", [1, 2])
def test_two_modes_are_both_summed(D):
    model = folded_model(D)
    x = torch.tensor([[1.5, 0.0], [0.2, 0.3], [4.0, 0.0]])
    found = evidence(model, x)
    np.testing.assert_allclose(found.log_evidence, brute_force(model, x, 1 / 128), atol=1e-4)
    torch.testing.assert_close(found.loc[:, 0], torch.zeros(3).double(), rtol=0, atol=1e-5)
    assert found.covariance[2, 0, 0].item() == pytest.approx(4.0 - 0.3**2 / 2, abs=0.1)


@pytest.mark.parametrize("likelihood", ["bernoulli", "continuous-bernoulli", "gaussian"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_likelihood_agrees_with_brute_force_within_its_error(likelihood, dtype):
    model = steep_model(likelihood).to(dtype)
    config = RunConfig(
        dataset="digits",
        likelihood=likelihood,
        binarisation="fixed" if likelihood == "bernoulli" else "none",
    )
    x = evaluate.examples(config, n=6).to(dtype)
    found = evidence(model, x)
    truth = torch.from_numpy(brute_force(model, x, 1 / 32))
    off = (found.log_evidence - truth).abs()
    assert found.error.max() < 2e-3
    assert off.mean() < found.error.mean() + 1e-5
    assert (off < 5 * found.error + 1e-5).all()


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_error_bounds_what_a_coarse_lattice_gets_wrong(activation):
    model = steep_model("bernoulli", activation=activation, steep=5.0)
    x = evaluate.examples(RunConfig(dataset="digits"), n=40)
    fine = evidence(model, x, tolerance=1e-5)
    grid = decode_grid(model, step=1 / 4, radius=8.0)
    coarse = evidence(model, x, grid, tolerance=0.01)
    off = (coarse.log_evidence - fine.log_evidence).abs()
    assert coarse.step.max() > fine.step.max()
    assert off.max() > 1e-4  # there is something to bound
    assert off.mean() < coarse.error.mean()
    assert (off < 10 * coarse.error + 1e-5).all()


def test_the_shipped_digits_agree_with_brute_force(monkeypatch):
    monkeypatch.delenv("VAE_RUNS")
    run = runs.load("digits-2d")
    x = evaluate.examples(run.config, n=6)
    found = evidence(run.model, x)
    truth = brute_force(run.model, x, 1 / 24)
    assert np.abs(found.log_evidence.numpy() - truth).max() < 1e-3


@pytest.mark.parametrize("D", [1, 2])
def test_erased_pixels_drop_out(D):
    model = linear_model(D)
    x = data_at(model, torch.ones(3, D))
    observed = torch.arange(64) % 3 > 0
    weight, mean, scale = linear.parameters(model)
    W, centre = weight[observed], mean[observed]
    marginal = MultivariateNormal(centre, W @ W.T + scale**2 * torch.eye(len(W)).double())
    truth = marginal.log_prob(x.flatten(1)[:, observed])
    for grid in (None, decode_grid(model), decode_grid(model, observed=observed)):
        found = evidence(model, x, grid, observed=observed)
        torch.testing.assert_close(found.log_evidence, truth, rtol=0, atol=1e-9)


@pytest.mark.parametrize("likelihood", ["bernoulli", "continuous-bernoulli"])
@pytest.mark.parametrize("split", [True, False])
def test_a_mask_uses_the_grid_of_all_pixels(likelihood, split):
    model = steep_model(likelihood)
    if not split:  # as a convolutional decoder is: no dense layer to split off
        model.decoder = torch.nn.Sequential(model.decoder, torch.nn.Identity())
    x = evaluate.examples(RunConfig(dataset="digits"), n=5)
    observed = torch.arange(64) < 40
    grids = decode_grid(model), decode_grid(model, observed=observed)
    one, other = (evidence(model, x, g, observed=observed, tolerance=1e-5) for g in grids)
    torch.testing.assert_close(one.log_evidence, other.log_evidence, rtol=0, atol=1e-5)
    assert (one.log_evidence - evidence(model, x).log_evidence).abs().max() > 1


@pytest.mark.parametrize("likelihood", ["bernoulli", "continuous-bernoulli", "gaussian"])
def test_with_everything_erased_the_posterior_is_the_prior(likelihood):
    model = steep_model(likelihood)
    x = torch.zeros(1, 1, 8, 8)
    found = evidence(model, x, decode_grid(model), observed=torch.zeros(64))
    torch.testing.assert_close(found.log_evidence, torch.zeros(1).double(), rtol=0, atol=1e-8)
    torch.testing.assert_close(found.covariance[0], torch.eye(2).double(), rtol=0, atol=1e-7)


def test_log_density_is_bayes_rule_anywhere():
    model = linear_model()
    x = data_at(model, torch.ones(1, 2))
    z = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = log_density(model, x[0], linear.log_evidence(model, x), z)
    expected = linear.posterior(model, x).log_prob(z)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


def test_a_datum_does_not_depend_on_the_others():
    model = steep_model("bernoulli")
    x = evaluate.examples(RunConfig(dataset="digits"), n=30)
    together, alone = evidence(model, x), evidence(model, x[7:9])
    torch.testing.assert_close(together.log_evidence[7:9], alone.log_evidence, rtol=0, atol=1e-9)
    assert len(evidence(model, x[:0]).log_evidence) == 0


def test_progress_counts_every_datum():
    done = []
    evidence(steep_model("bernoulli"), torch.zeros(13, 1, 8, 8), progress=done.append)
    assert sum(done) == 13
    assert min(done) > 0


def test_a_grid_reaches_as_far_as_asked():
    grid = decode_grid(linear_model(), step=1 / 8, radius=5.0)
    assert grid.radius == 6.0  # whole blocks of 16 nodes
    assert grid.z.min() == -6.0
    assert grid.z.max() == 6.0 - 1 / 8


def test_the_slack_of_a_grid_is_what_a_step_may_hide():
    model = linear_model(2, scale=0.1)
    weight, _, scale = linear.parameters(model)
    information = weight.T @ weight / scale**2  # the same everywhere
    slack = decode_grid(model, step=1 / 8, radius=1.0).slack
    expected = information.diagonal().sum() / 64
    torch.testing.assert_close(slack, expected.expand(len(slack)))
    corner = torch.tensor([1.0, 1.0]).double() / 8
    assert 0.5 * corner @ information @ corner <= slack[0]


def broken() -> VAE:
    model = steep_model("bernoulli")
    model.decoder[0][0].weight[0, 0] = math.nan
    return model


X = torch.zeros(2, 1, 8, 8)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: evidence(VAE(RunConfig(dataset="digits", latent_dim=3)), X), "one or two latent"),
        (lambda: evidence(broken(), X), "not finite"),
        (lambda: evidence(linear_model(), X[:, :, 1:]), "do not fit this model"),
        (lambda: evidence(linear_model(), X * math.nan), "not finite numbers"),
        (lambda: evidence(linear_model(), X, observed=torch.ones(3)), "3 entries"),
        (lambda: decode_grid(linear_model(), step=0.0), "above zero"),
        (lambda: decode_grid(VAE(PRESETS["mnist-2d"]), step=1 / 64), "choose a larger step"),
        (lambda: log_density(linear_model(), X, 0.0, torch.zeros(2)), "do not fit this model"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(call, sentence):
    with pytest.raises(QuadratureError, match=sentence):
        call()
    assert MAX_BYTES < 1e9
