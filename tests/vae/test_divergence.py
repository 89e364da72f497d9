"""ELBO and divergence from the true posterior without chance, against closed forms."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

from tests.vae.exact_models import data_at, folded_model, linear_model, steep_model
from vae import bounds, evaluate, linear
from vae.config import RunConfig
from vae.families import family
from vae.quadrature import QuadratureError, elbo, evidence, kl


@pytest.mark.parametrize("D", [1, 2])
def test_on_the_linear_model_both_are_closed_forms(D):
    model = linear_model(D)
    x = data_at(model, torch.linspace(-2, 2, 4 * D).view(4, D))
    log_p, truth = linear.log_evidence(model, x), linear.posterior(model, x)
    q = Independent(Normal(truth.loc + 0.1, 1.4 * truth.stddev), 1)
    wide = MultivariateNormal(q.mean, torch.diag_embed(q.variance))
    expected = kl_divergence(wide, MultivariateNormal(truth.loc, truth.covariance_matrix))
    found, error = kl(model, x, q, log_p)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-7)
    assert error.max() < 1e-6
    torch.testing.assert_close(elbo(model, x, q), log_p - expected, rtol=0, atol=1e-8)
    exact, _ = kl(model, x, model.encode(x), log_p)
    torch.testing.assert_close(exact, torch.zeros_like(exact), rtol=0, atol=1e-9)


@pytest.mark.parametrize("make", [folded_model, lambda: steep_model("bernoulli")])
def test_elbo_and_divergence_add_up_to_log_p(make):
    model = make()
    if model.shape == (2,):
        x = torch.tensor([[1.5, 0.2], [0.1, -0.4]]).double()
    else:
        x = evaluate.examples(RunConfig(dataset="digits"), n=5).double()
    q = Independent(Normal(evidence(model, x).loc + 0.2, torch.full((len(x), 2), 0.3)), 1)
    full = MultivariateNormal(q.mean, torch.tensor([[0.10, 0.05], [0.05, 0.08]]).double())
    log_p = evidence(model, x, tolerance=1e-8).log_evidence
    for shape in (q, full.expand((len(x),))):
        divergence, _ = kl(model, x, shape, log_p)
        torch.testing.assert_close(elbo(model, x, shape) + divergence, log_p, rtol=0, atol=1e-6)


def test_a_decoder_with_kinks_adds_up_within_the_error():
    model = steep_model("bernoulli", activation="relu")
    x = evaluate.examples(RunConfig(dataset="digits"), n=10).double()
    q = Independent(Normal(evidence(model, x).loc, torch.full((10, 2), 0.3).double()), 1)
    log_p = evidence(model, x, tolerance=1e-5).log_evidence
    divergence, error = kl(model, x, q, log_p)
    residual = (elbo(model, x, q) + divergence - log_p).abs()
    assert error.max() < 0.02
    assert (residual < 5 * error + 1e-4).all()
    assert (divergence > -error).all()


def test_the_elbo_is_the_mean_log_weight():
    model = steep_model("bernoulli")
    x = evaluate.examples(RunConfig(dataset="digits"), n=3).double()
    torch.manual_seed(0)
    log_w = model.log_weights(x, K=20_000)
    error = bounds.error_of_mean(log_w)
    assert ((elbo(model, x, model.encode(x)) - log_w.mean(0)).abs() < 4 * error).all()


@pytest.mark.parametrize("D", [1, 2])
def test_a_flow_is_judged_too(D):
    torch.manual_seed(0)
    model = linear_model(D)
    x = data_at(model, torch.ones(3, D))
    shape = torch.cat((torch.full((3, D), -1.0), torch.randn(3, 16)), 1)  # log scales, contexts
    with torch.no_grad():
        q = family("flow", D)(torch.cat((linear.posterior(model, x).loc.float(), shape), 1))
    log_p = linear.log_evidence(model, x)
    divergence, _ = kl(model, x, q, log_p)
    assert (divergence > 0).all()
    torch.testing.assert_close(elbo(model, x, q) + divergence, log_p, rtol=0, atol=1e-2)


def test_erased_pixels_drop_out_of_both():
    model = linear_model()
    x = data_at(model, torch.ones(2, 2))
    observed = torch.arange(64) < 30
    log_p = evidence(model, x, observed=observed).log_evidence
    q = linear.posterior(model, x)
    divergence, _ = kl(model, x, q, log_p, observed=observed)
    total = elbo(model, x, q, observed=observed) + divergence
    torch.testing.assert_close(total, log_p, rtol=0, atol=1e-8)


def test_one_q_for_each_datum_is_asked_for():
    model = linear_model()
    x = data_at(model, torch.ones(3, 2))
    with pytest.raises(QuadratureError, match="one distribution per datum"):
        elbo(model, x, linear.posterior(model, x[:2]))
