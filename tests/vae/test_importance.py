"""Importance sampling against closed forms, and against a plain float64 loop."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal

from vae import bounds, evaluate, importance, linear, quadrature, runs
from vae.config import RunConfig
from vae.importance import compare, defensive, inflated, judge, log_weights
from vae.model import VAE
from vae.proposals import from_noise, noise, noise_dim

SIGMAS = 4
GREY = {"binarisation": "none"}


def model_of(**fields: object) -> VAE:
    torch.manual_seed(0)
    return VAE(RunConfig(dataset="digits", **fields))


@pytest.fixture
def exact() -> tuple[VAE, Tensor, MultivariateNormal, np.ndarray]:
    """A linear-Gaussian model in float64, twelve data drawn from it, posterior and log p(x)."""
    torch.manual_seed(3)
    config = RunConfig(
        dataset="pinwheel", body="linear", hidden=(), family="full", likelihood="gaussian", **GREY
    )
    model = VAE(config).double()
    with torch.no_grad():
        model.log_scale.fill_(-0.7)
        x = model.decode(model.prior().sample((12,))).sample()
    return model, x, linear.posterior(model, x), linear.log_evidence(model, x).numpy()


def test_with_the_posterior_as_proposal_every_weight_is_the_evidence(exact):
    model, x, posterior, log_evidence = exact
    weights = log_weights(model, x, posterior, K=40)
    truth = torch.from_numpy(log_evidence)
    torch.testing.assert_close(weights.log_w, truth.expand(40, -1), rtol=0, atol=1e-9)
    judged = judge(model, x, K=100, q=posterior)
    for value in (judged.elbo, judged.log_evidence, *judged.iwae.T):
        np.testing.assert_allclose(value, log_evidence, atol=1e-9)
    for error in (judged.elbo_se, judged.se, judged.se_bootstrap, judged.iwae_se):
        assert (error < 1e-9).all()
    assert judged.trusted.all() and (judged.pareto_k == 0).all()


def test_a_wrong_proposal_gives_the_evidence_within_its_errors(exact):
    model, x, posterior, log_evidence = exact
    off = MultivariateNormal(posterior.mean + 0.1, scale_tril=1.3 * posterior.scale_tril)
    for q in (off, inflated(posterior, 1.5), defensive(posterior, model.prior(), 0.2)):
        judged = judge(model, x, K=4_000, q=q)
        assert (np.abs(judged.log_evidence - log_evidence) < SIGMAS * judged.se).all()
        assert judged.trusted.all() and (judged.se > 1e-4).all()
        # ELBO <= IWAE-K <= log p(x), and the ELBO misses the divergence
        excess = judged.iwae - log_evidence[:, None]
        assert (excess < SIGMAS * judged.iwae_se).all()
        assert (judged.elbo < log_evidence - SIGMAS * judged.elbo_se).all()
    gap = torch.distributions.kl_divergence(off, posterior).numpy()
    judged = judge(model, x, K=4_000, q=off)
    assert (np.abs(log_evidence - judged.elbo - gap) < SIGMAS * judged.elbo_se).all()


def test_the_errors_are_calibrated(exact):
    model, x, posterior, log_evidence = exact
    q = inflated(posterior, 1.5)
    runs = [judge(model, x, K=300, q=q, ladder=(50,), seed=s) for s in range(40)]
    for value, error, truth in (
        ("log_evidence", "se", log_evidence),
        ("log_evidence", "se_bootstrap", log_evidence),
        ("elbo", "elbo_se", np.mean([run.elbo for run in runs], axis=0)),
    ):
        scores = np.array([(getattr(r, value) - truth) / getattr(r, error) for r in runs])
        # 480 scores: their spread is 1 within 0.032, one standard error
        assert scores.std() == pytest.approx(1, abs=SIGMAS * 0.032)


@pytest.mark.parametrize(
    "fields",
    [
        {"hidden": (24,)},
        {"hidden": (24,), "family": "full", "latent_dim": 3},
        {"hidden": (24,), "family": "flow"},
        {"hidden": (24,), "likelihood": "gaussian", **GREY},
        {"hidden": (24,), "likelihood": "continuous-bernoulli", **GREY},
        {"body": "conv", "hidden": (4, 6, 10)},
    ],
)
def test_the_fast_path_is_a_plain_float64_loop(fields):
    model = model_of(**fields)
    x = torch.rand(5, 1, 8, 8)
    x = x.round() if model.likelihood == "bernoulli" else x
    with torch.no_grad():
        q = model.encode(x)
        z = from_noise(q, noise(60, 7, 5, noise_dim(q), seed=2))[0].double()
        wide = copy.deepcopy(model).double()
        log_w = torch.stack(
            [
                wide.prior().log_prob(z[:, i])
                + wide.decode(z[:, i]).log_prob(x[i].double())
                - wide.encode(x[i : i + 1].double()).log_prob(z[:, i : i + 1])[:, 0]
                for i in range(5)
            ],
            dim=1,
        )
    judged = judge(model, x, K=60, seed=2, first=7)
    np.testing.assert_allclose(judged.elbo, bounds.elbo(log_w), rtol=0, atol=1e-4)
    np.testing.assert_allclose(judged.log_evidence, bounds.iwae(log_w), rtol=0, atol=1e-4)


def test_it_has_the_mean_of_the_models_own_log_weights():
    model, x = model_of(hidden=(24,)), torch.rand(4, 1, 8, 8).round()
    torch.manual_seed(1)
    with torch.no_grad():
        own = model.log_weights(x, 4_000).double()
    judged = judge(model, x, K=4_000)
    error = np.hypot(bounds.error_of_mean(own).numpy(), judged.elbo_se)
    assert (np.abs(bounds.elbo(own).numpy() - judged.elbo) < SIGMAS * error).all()


@pytest.mark.parametrize("family", ["diagonal", "full", "flow"])
def test_a_datum_is_judged_the_same_in_any_company(family, monkeypatch):
    model = model_of(hidden=(24,), family=family)
    x = torch.rand(9, 1, 8, 8).round()
    done: list[int] = []
    whole = judge(model, x, K=50, progress=done.append)
    assert sum(done) == 9
    monkeypatch.setattr(importance, "SAMPLES", 100)  # two data a tile
    tiled = judge(model, x, K=50, progress=done.append)
    assert done[1:] == [2, 2, 2, 2, 1]
    later = judge(model, x[6:], K=50, first=6)
    for name in ("elbo", "iwae", "log_evidence", "se", "se_bootstrap", "ess"):
        value = getattr(whole, name)
        np.testing.assert_allclose(getattr(tiled, name), value, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(getattr(later, name), value[6:], rtol=1e-4, atol=1e-5)
    other = judge(model, x, K=50, seed=1)
    assert (np.abs(other.elbo - whole.elbo) > 1e-4).all()


def test_a_proposal_may_be_a_function_of_the_data():
    model, x = model_of(hidden=(24,)), torch.rand(7, 1, 8, 8).round()

    def mixed(x: Tensor) -> Distribution:
        return defensive(model.encode(x), model.prior(), 0.2)

    with torch.no_grad():
        whole = judge(model, x, K=30, q=mixed(x))
    np.testing.assert_allclose(judge(model, x, K=30, q=mixed).iwae, whole.iwae, atol=1e-5)


def test_a_mixture_with_the_prior_bounds_every_weight():
    model, x = model_of(hidden=(24,)), torch.rand(3, 1, 8, 8).round()
    with torch.no_grad():
        narrow = inflated(model.encode(x), 0.01)
        weights = log_weights(model, x, defensive(narrow, model.prior(), 0.1), K=500)
    assert (weights.log_w - weights.log_likelihood <= np.log(10) + 1e-6).all()


def test_comparing_proposals_for_one_datum():
    model, x = model_of(hidden=(24,)), torch.rand(3, 1, 8, 8).round()
    with torch.no_grad():
        q = model.encode(x[1:2])
    proposals = {"encoder": model.encode, "given": q, "wide": inflated(q, 2.0)}
    compared = compare(model, x[1], proposals, K=200, first=1)
    assert list(compared) == ["encoder", "given", "wide"]
    np.testing.assert_allclose(compared["given"].log_w, compared["encoder"].log_w, atol=1e-5)
    whole = judge(model, x, K=200)
    np.testing.assert_allclose(compared["encoder"].judged.iwae[0], whole.iwae[1], atol=1e-4)
    assert compared["wide"].log_w.std() > compared["given"].log_w.std()


def test_what_cannot_be_judged_is_said():
    model, x = model_of(hidden=(24,)), torch.zeros(3, 1, 8, 8)
    with pytest.raises(ValueError, match="K must be at least 1, not 0"):
        judge(model, x, K=0)
    with pytest.raises(ValueError, match="at least one"):
        judge(model, x[:0], K=5)
    for wrong in (torch.zeros(3, 64), torch.zeros(1, 8, 8), torch.zeros(())):
        with pytest.raises(ValueError, match="give it data of the set"):
            judge(model, wrong, K=5)
    with torch.no_grad():
        q = model.encode(x[:2])
    with pytest.raises(ValueError, match="from the same data"):
        judge(model, x, K=5, q=q)
    with pytest.raises(ValueError, match="from the same data and model"):
        log_weights(model, x, q, K=5)
    with pytest.raises(ValueError, match="from the same data and model"):
        judge(model, x, K=5, q=lambda x: q)


@pytest.mark.parametrize("where", ["x", "weights", "proposal"])
def test_weights_that_are_no_numbers_are_refused(where):
    model, x = model_of(hidden=(24,)), torch.zeros(3, 1, 8, 8)
    q = model.encode(x)
    with torch.no_grad():
        if where == "x":
            x[1] = float("nan")
        elif where == "weights":
            next(iter(model.decoder.parameters()))[0] = float("inf")
        else:
            q.base_dist.scale[1] = 0.0
    with pytest.raises(ValueError, match="are not finite: ch"):
        judge(model, x, K=5, q=q.expand((3,)) if where == "proposal" else None)


def test_on_a_shipped_run_the_bounds_are_ordered_below_the_exact_value(monkeypatch):
    monkeypatch.setenv("VAE_RUNS", str(Path(__file__).parents[2] / "checkpoints"))
    run = runs.load("mnist-2d")
    x = evaluate.examples(run.config, n=12)
    exact = quadrature.evidence(run.model, x)
    judged = judge(run.model, x, K=1_000)
    log_p, error = exact.log_evidence.numpy()[:, None], exact.error.numpy()[:, None]
    assert (error < 0.01).all()
    # seen from below only: where q misses a mode, the error bar of the estimate knows nothing of it
    assert (judged.iwae < log_p + SIGMAS * judged.iwae_se + error).all()
    assert (judged.elbo <= judged.log_evidence).all()
    rise = np.diff(judged.iwae.mean(0))
    assert (rise > -np.hypot(judged.iwae_se[:, 1:], judged.iwae_se[:, :-1]).mean(0)).all()
    # and where the weights are trusted, they are right
    off = np.abs(judged.log_evidence - log_p[:, 0])[judged.trusted]
    assert len(off) >= 3 and (off < 0.5).all()
