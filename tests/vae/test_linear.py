"""The linear-Gaussian model against linear algebra by hand, scikit-learn, and the training loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor
from torch.distributions import MultivariateNormal

from vae import bounds, evaluate, linear, runs, train
from vae.config import RunConfig
from vae.model import VAE
from vae.presets import PRESETS

FIELDS = {"body": "linear", "hidden": (), "likelihood": "gaussian", "binarisation": "none"}


def make(family: str = "full", latent_dim: int = 2, dataset: str = "digits") -> VAE:
    config = RunConfig(dataset=dataset, family=family, latent_dim=latent_dim, **FIELDS)
    torch.manual_seed(0)
    return VAE(config).double().requires_grad_(False)


def leaning(model: VAE) -> linear.Parameters:
    """Random parameters, whose columns are not orthogonal, put in place."""
    weight = torch.randn(math.prod(model.shape), model.latent_dim, dtype=torch.float64)
    given = linear.Parameters(weight, torch.randn(len(weight)).double(), torch.tensor(0.7).double())
    linear.set_parameters(model, *given)
    return given


@pytest.fixture(scope="module")
def digits() -> Tensor:
    return evaluate.examples(RunConfig(dataset="digits", **FIELDS), "train", 500).double()


@pytest.mark.parametrize("dataset", ["digits", "pinwheel"])
@pytest.mark.parametrize("latent_dim", [1, 2, 3])
def test_evidence_and_posterior_by_conditioning_the_joint_normal(latent_dim, dataset):
    model = make("full", latent_dim, dataset)
    weight, mean, scale = leaning(model)
    d = len(mean)
    x = torch.randn(6, *model.shape, dtype=torch.float64)
    covariance = weight @ weight.T + scale**2 * torch.eye(d).double()
    torch.testing.assert_close(
        linear.log_evidence(model, x),
        MultivariateNormal(mean, covariance).log_prob(x.flatten(1)),
        rtol=0,
        atol=1e-9,
    )
    gain = torch.linalg.solve(covariance, weight).T
    p = linear.posterior(model, x)
    torch.testing.assert_close(p.loc, (x.flatten(1) - mean) @ gain.T, rtol=0, atol=1e-10)
    conditioned = torch.eye(latent_dim).double() - gain @ weight
    torch.testing.assert_close(
        p.covariance_matrix, conditioned.expand(6, -1, -1), rtol=0, atol=1e-10
    )


@pytest.mark.parametrize("latent_dim", [1, 2, 3])
def test_with_the_exact_posterior_every_bound_is_the_evidence_for_any_draw(latent_dim, digits):
    model = make("full", latent_dim)
    leaning(model)
    exact = linear.log_evidence(model, digits[:20])
    log_w = model.log_weights(digits[:20], K=7)
    assert (log_w - exact).abs().max() < 1e-10 * exact.abs().max()
    for bound in (bounds.elbo, bounds.iwae):
        torch.testing.assert_close(bound(log_w), exact, rtol=1e-12, atol=1e-10)
    q, p = model.encode(digits[:20]), linear.posterior(model, digits[:20])
    torch.testing.assert_close(q.loc, p.loc, rtol=0, atol=1e-10)
    torch.testing.assert_close(q.covariance_matrix, p.covariance_matrix, rtol=0, atol=1e-12)


def test_a_diagonal_q_is_exact_where_the_columns_are_orthogonal(digits):
    model = make("diagonal")
    linear.set_parameters(model, *linear.optimum(digits, 2))
    gap = linear.log_evidence(model, digits) - model.log_weights(digits, K=3)
    assert gap.abs().max() < 1e-10


def test_a_diagonal_q_is_the_nearest_where_they_are_not(digits):
    model, x = make("diagonal"), digits[:5]
    leaning(model)
    p = linear.posterior(model, x)

    def gap() -> Tensor:
        q = model.encode(x).base_dist
        near = MultivariateNormal(q.loc, q.scale.square().diag_embed())
        return torch.distributions.kl_divergence(near, p)

    least = gap()
    precision = p.covariance_matrix[0].inverse()
    by_hand = 0.5 * (precision.diagonal().log().sum() - precision.logdet())
    torch.testing.assert_close(least, by_hand.expand(5), rtol=0, atol=1e-9)
    for change in (0.01, -0.01):
        model.encoder.constant[0] += change
        assert (gap() > least).all()
        model.encoder.constant[0] -= change


@pytest.mark.parametrize("latent_dim", [1, 2, 10])
def test_the_optimum_is_that_of_scikit_learn(latent_dim, digits):
    flat = digits.flatten(1).numpy()
    pca = PCA(latent_dim, svd_solver="full").fit(flat)
    best = linear.optimum(digits, latent_dim)
    n = len(flat)  # scikit-learn divides by n - 1, the likelihood by n
    assert best.scale.item() ** 2 == pytest.approx(pca.noise_variance_ * (n - 1) / n, rel=1e-8)
    lengths = np.sqrt((pca.explained_variance_ - pca.noise_variance_) * (n - 1) / n)
    overlap = best.weight.numpy().T @ pca.components_.T
    np.testing.assert_allclose(np.abs(overlap), np.diag(lengths), atol=1e-8)

    model = make("full", latent_dim)
    theirs = pca.components_.T * np.sqrt(pca.explained_variance_ - pca.noise_variance_)
    scale = torch.tensor(pca.noise_variance_).sqrt()
    linear.set_parameters(model, torch.tensor(theirs), torch.tensor(pca.mean_), scale)
    score = linear.log_evidence(model, digits).mean().item()
    assert score == pytest.approx(pca.score(flat), abs=1e-8)
    linear.set_parameters(model, *best)
    assert linear.log_evidence(model, digits).mean().item() > score


def test_no_step_from_the_optimum_climbs(digits):
    model = make()
    best = linear.optimum(digits, 2)
    leaves = [t.clone().requires_grad_() for t in best]
    covariance = leaves[0] @ leaves[0].T + leaves[2] ** 2 * torch.eye(64)
    MultivariateNormal(leaves[1], covariance).log_prob(digits.flatten(1)).mean().backward()
    assert max(leaf.grad.abs().max().item() for leaf in leaves) < 1e-9
    linear.set_parameters(model, *best)
    found = linear.parameters(model)
    assert all(torch.allclose(one, other) for one, other in zip(found, best, strict=True))


def test_directions_below_the_noise_collapse(digits):
    flat = digits.flatten(1)
    eigenvalues = torch.linalg.eigvalsh(flat.T.cov(correction=0)).flip(0)
    scale = ((eigenvalues[1] + eigenvalues[2]) / 2).sqrt().item()
    weight, _, given = linear.optimum(digits, 4, scale)
    lengths = weight.norm(dim=0)
    assert given.item() == pytest.approx(scale)
    torch.testing.assert_close(lengths[:2], (eigenvalues[:2] - scale**2).sqrt())
    assert (lengths[2:] == 0).all()
    model = make("diagonal", 4)
    linear.set_parameters(model, *linear.optimum(digits, 4, scale))
    rates = bounds.rate_per_dimension(model.encode(digits), model.prior())
    assert (rates[:, 2:].abs() < 1e-12).all() and (rates[:, :2].mean(0) > 0.02).all()


def test_what_has_no_closed_form_is_said(digits):
    nonlinear = VAE(RunConfig(dataset="digits", hidden=(8,)))
    for closed in (linear.posterior, linear.log_evidence):
        with pytest.raises(ValueError, match="linear body"):
            closed(nonlinear, digits)
    with pytest.raises(ValueError, match="choose fewer than 64"):
        linear.optimum(digits, 64)
    with pytest.raises(ValueError, match="without a rest"):
        linear.optimum(digits[:2], 3)
    with pytest.raises(ValueError, match="diagonal or full"):
        linear.set_parameters(make("flow"), *linear.optimum(digits, 2))


@pytest.mark.parametrize("family", ["full", "diagonal"])
def test_training_reaches_the_optimum(family):
    """By the loop that every run takes, with a third of the preset's epochs: 0.005 nats short."""
    preset = PRESETS["digits-linear-2d"]
    short = {"family": family, "epochs": 30, "evaluate_every": 30, "learning_rate": 5e-2}
    run_id = runs.create(preset.model_copy(update=short))
    train.train(run_id)
    model, best = runs.load(run_id).model, make()
    x = evaluate.examples(preset, "train")
    linear.set_parameters(best, *linear.optimum(x, 2))
    gap = (linear.log_evidence(best, x) - linear.log_evidence(model, x)).mean()
    assert 0 <= gap < 0.02
    held_out = evaluate.examples(preset)
    log_p = linear.log_evidence(model, held_out)
    assert abs((linear.log_evidence(best, held_out) - log_p).mean()) < 0.02
    recorded = runs.metrics(run_id)[-1]["held_out"]
    assert recorded["elbo"] < log_p.mean() + 3 * recorded["elbo_se"]
