"""Estimators by name, against a model whose log p(x) is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from vae import estimators, evaluate, exact, linear
from vae.config import RunConfig
from vae.estimators import estimate
from vae.model import VAE
from vae.presets import PRESETS

PPCA = PRESETS["digits-linear-2d"]
DIGITS = RunConfig(dataset="digits", hidden=(16,), latent_dim=3)


def ppca(latent_dim: int = 2, family: str = "full", widening: float = 1.0) -> tuple[VAE, Tensor]:
    """A linear model at its optimum, with the exact posterior as its q or a wider one; and data."""
    torch.manual_seed(0)
    config = PPCA.model_copy(update={"latent_dim": latent_dim, "family": family})
    model, x = VAE(config).double(), evaluate.examples(config, n=40).double()
    linear.set_parameters(model, *linear.optimum(x, latent_dim))
    with torch.no_grad():
        log_scale = model.encoder.constant[:latent_dim]  # of axes: the columns of W are orthogonal
        log_scale += np.log(widening)
    return model.requires_grad_(False), x[:12]


@pytest.mark.parametrize("estimator", ["elbo", "iwae", "is", "exact"])
@pytest.mark.parametrize("latent_dim", [1, 2, 5])
def test_with_the_exact_posterior_every_estimator_is_the_evidence(estimator, latent_dim):
    model, x = ppca(latent_dim)
    found = estimate(model, x, estimator, 7)
    truth = linear.log_evidence(model, x)
    # noise is drawn in float32, so that z, and log p and log q at that z, are float64 throughout
    np.testing.assert_allclose(found.values, truth, rtol=0, atol=1e-8)
    assert found.values.dtype == np.float64 and (found.errors < 1e-8).all()


def test_annealing_is_the_evidence_within_its_errors():
    model, x = ppca(5)
    found = estimate(model, x, "ais", 16, temperatures=100)
    error = found.values - linear.log_evidence(model, x).numpy()
    assert (np.abs(error) < 4.5 * found.errors + 1e-3).all() and (found.errors < 0.5).all()
    assert set(found.about) == {"ess", "acceptance", "trusted"}


@pytest.mark.parametrize("k", [200, 5_000])
def test_a_wide_q_costs_the_elbo_its_divergence(k):
    model, x = ppca(widening=1.3)
    found = estimate(model, x, "elbo", k)
    # log w = log p(x) + log posterior - log q: its mean over q is minus the divergence of q from
    # the posterior, of each of two dimensions 0.5 (s² - 1 - log s²)
    gap = 2 * 0.5 * (1.3**2 - 1 - np.log(1.3**2))
    error = found.values - (linear.log_evidence(model, x).numpy() - gap)
    assert (np.abs(error) < 4 * found.errors).all()
    sampled = estimate(model, x, "is", k)
    error = sampled.values - linear.log_evidence(model, x).numpy()
    assert (np.abs(error) < 4 * sampled.errors + 1 / k).all()  # and a bias of var(w) / 2k
    assert (sampled.about["pareto_k"] < 0.7).all() and sampled.about["trusted"].all()


def test_a_value_belongs_to_its_datum():
    torch.manual_seed(0)
    model, x = VAE(DIGITS), evaluate.examples(DIGITS, n=600)
    for estimator, k in (("elbo", 3), ("iwae", 300)):
        whole, part = (estimate(model, y, estimator, k).values for y in (x, x[:7]))
        np.testing.assert_allclose(whole[:7], part, rtol=0, atol=1e-4)  # rounding of float32


def test_progress_adds_up_to_the_data():
    model, x = ppca()
    for estimator in ("elbo", "is", "ais", "exact"):
        done = []
        estimate(model, x, estimator, 6, temperatures=9, progress=done.append)
        assert sum(done) == len(x), estimator


def test_an_estimate_disturbs_no_other_noise():
    model, x = ppca()
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    for estimator in ("elbo", "is", "ais", "exact"):
        estimate(model, x, estimator, 3, temperatures=3)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("estimator", ["elbo", "iwae", "is", "ais"])
def test_an_estimate_needs_a_sample(estimator):
    model, x = ppca()
    with pytest.raises(ValueError, match=r"at least 1|needs a chain"):
        estimate(model, x, estimator, 0)


def test_what_has_no_exact_value_says_what_to_use():
    model = VAE(DIGITS)
    with pytest.raises(ValueError, match="ask for ais or is"):
        estimate(model, evaluate.examples(DIGITS, n=2), "exact")


@pytest.mark.parametrize("estimator", estimators.DEFAULT_K)
def test_weights_that_are_not_finite_are_refused(estimator):
    model, x = ppca()
    with torch.no_grad():
        model.decoder[0][0].bias[3] = torch.nan
    with pytest.raises(ValueError, match="earlier epoch"):
        estimate(model, x, estimator)


@pytest.mark.parametrize("latent_dim", [1, 2, 5])
@pytest.mark.parametrize("family", ["diagonal", "full"])
def test_elbo_and_divergence_add_up_to_the_evidence(latent_dim, family):
    model, x = ppca(latent_dim, family, widening=1.5)
    truth = exact.truth(model, x)
    fit = exact.fit(model, x, truth.log_evidence)
    np.testing.assert_allclose(fit.elbo + fit.kl, truth.log_evidence, rtol=0, atol=1e-6)
    assert (fit.kl > 0.1).all() and (fit.kl_error < 1e-6).all()
    posterior = linear.posterior(model, x)
    np.testing.assert_allclose(truth.loc, posterior.loc, atol=1e-9)
    np.testing.assert_allclose(truth.covariance, posterior.covariance_matrix, atol=1e-9)
