"""Samplers have the moments they should, within their standard errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture

from vae import families, sampling
from vae.config import RunConfig
from vae.model import VAE
from vae.sampling import Mixture

N = 20_000


def model(family: str = "diagonal", latent_dim: int = 2) -> VAE:
    torch.manual_seed(0)
    config = RunConfig(dataset="digits", hidden=(8,), family=family, latent_dim=latent_dim)
    made = VAE(config).requires_grad_(False)
    for parameter in made.encoder.parameters():
        parameter.mul_(3)  # so that different data land at different places
    return made


def data(n: int) -> torch.Tensor:
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(1)).round()


def assert_moments(z: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> None:
    """The sample's moments are these, within five standard errors of the draws themselves."""
    n = len(z)
    assert np.abs(z.mean(0) - mean).max() < 5 * np.sqrt(np.diag(covariance).max() / n)
    centred = z - mean
    products = np.einsum("ni,nj->nij", centred, centred)
    error = products.std(axis=0) / np.sqrt(n)
    assert (np.abs(products.mean(0) - covariance) < 5 * error).all()


def test_the_prior_is_standard_normal():
    z, source = sampling.from_prior(model(latent_dim=3), N, seed=4)
    assert_moments(z, np.zeros(3), np.eye(3))
    assert source is None


@pytest.mark.parametrize("family", ["diagonal", "full", "flow"])
def test_the_aggregate_has_the_moments_of_its_mixture(family):
    made, x = model(family), data(7)
    z, source = sampling.from_aggregate(made, x, N, seed=3)
    if family == "flow":  # no moments in closed form: its own draws, by another way
        with torch.random.fork_rng():
            torch.manual_seed(9)
            many = made.encode(x).rsample((20_000,)).double().flatten(0, 1).numpy()
        mean, covariance = many.mean(0), np.cov(many.T)
        error = np.sqrt(np.diag(covariance) * (1 / N + 1 / len(many)))
        assert (np.abs(z.mean(0) - mean) < 5 * error).all()
        assert np.allclose(np.cov(z.T), covariance, rtol=0.1, atol=0.02 * covariance.max())
    else:
        q = made.encode(x)
        loc = q.mean.double().numpy()
        own = q.covariance_matrix if family == "full" else torch.diag_embed(q.variance)
        mean = loc.mean(0)
        covariance = own.double().numpy().mean(0) + np.cov(loc.T, bias=True)
        assert_moments(z, mean, covariance)
    share = np.bincount(source, minlength=7) / N
    assert (np.abs(share - 1 / 7) < 5 * np.sqrt(1 / 7 * 6 / 7 / N)).all()


def test_the_source_of_a_draw_is_the_datum_it_came_from():
    made, x = model(), data(5)
    z, source = sampling.from_aggregate(made, x, 3000, seed=2)
    q = made.encode(x)
    standard = (z - q.mean.numpy()[source]) / q.stddev.numpy()[source]
    assert abs(standard.std() - 1) < 5 / np.sqrt(2 * standard.size)


def test_the_mixture_is_scikit_learns():
    random = np.random.default_rng(0)
    loc = np.concatenate([random.normal(m, 0.3, (200, 2)) for m in (-2, 0, 3)])
    mine = sampling.fit_mixture(loc, components=3, seed=5)
    floor = sampling.FLOOR * loc.var(axis=0).max()
    theirs = GaussianMixture(3, random_state=5, reg_covar=floor).fit(loc)
    assert mine.full
    assert np.array_equal(mine.weights, theirs.weights_)
    assert np.array_equal(mine.means, theirs.means_)
    assert np.array_equal(mine.covariances, theirs.covariances_)


@pytest.mark.parametrize("family", ["diagonal", "full"])
def test_a_mixture_widened_by_q_has_the_variances_of_the_aggregate(family):
    """By the law of total variance, for EM keeps the mean and covariance of what it is fitted to;
    a dimension without any mean is as wide as its q."""
    made, x = model(family, latent_dim=3), data(400)
    loc, scale = (part.double().numpy() for part in families.moments(made.encode(x)))
    loc[:, 2], scale[:, 2] = 0, 1
    mixture = sampling.fit_mixture(loc, (scale**2).mean(axis=0), components=4)
    assert mixture.full
    mean = mixture.weights @ mixture.means
    between = mixture.weights @ (mixture.means - mean) ** 2
    within = mixture.weights @ np.diagonal(mixture.covariances, axis1=1, axis2=2)
    expected = loc.var(axis=0) + (scale**2).mean(axis=0)
    np.testing.assert_allclose(within + between, expected, rtol=1e-5)
    assert np.allclose(mixture.covariances[:, 2, 2], 1, atol=1e-5)


def test_draws_from_a_mixture_have_its_moments():
    a = np.array([[1.0, 0.6], [0.6, 2.0]])
    mixture = Mixture(
        np.array([0.3, 0.7]), np.array([[-1.0, 0], [2, 1]]), np.stack([a, 0.2 * np.eye(2)]), True
    )
    z, source = sampling.from_mixture(mixture, N, seed=1)
    mean = mixture.weights @ mixture.means
    spread = mixture.means - mean
    between = np.einsum("c,ci,cj->ij", mixture.weights, spread, spread)
    within = np.einsum("c,cij->ij", mixture.weights, mixture.covariances)
    assert_moments(z, mean, within + between)
    assert abs((source == 0).mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / N)


@pytest.mark.parametrize(
    ("loc", "components", "full"),
    [
        (np.array([[1.0, 2.0]]), 1, False),
        (np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]]), 1, False),
        (np.array([[0.0, 0.0], [5.0, 5.0]]), 2, False),
        (np.random.default_rng(0).normal(size=(300, 50)), 10, False),
        (np.outer(np.linspace(-3, 3, 900), [1.0, 1.0]), 10, True),
        (np.random.default_rng(0).normal(size=(900, 4)) * [1, 1, 0, 0], 10, True),
    ],
    ids=["one", "alike", "two", "fifty dimensions", "on a line", "two idle"],
)
def test_singular_means_still_give_a_mixture_to_draw_from(loc, components, full):
    mixture = sampling.fit_mixture(loc)
    assert (len(mixture.weights), mixture.full) == (components, full)
    z, _ = sampling.from_mixture(mixture, 200)
    assert np.isfinite(z).all() and z.shape == (200, loc.shape[1])
    reach = 6 * loc.std(axis=0) + 0.1
    assert (np.abs(z - loc.mean(axis=0)) < reach).all()


def test_a_seed_names_the_draws():
    made, x = model(), data(6)
    mixture = sampling.fit_mixture(np.random.default_rng(0).normal(size=(60, 2)))
    for draw in (
        lambda seed: sampling.from_prior(made, 4, seed=seed),
        lambda seed: sampling.from_aggregate(made, x, 4, seed=seed),
        lambda seed: sampling.from_mixture(mixture, 4, seed=seed),
    ):
        assert np.array_equal(draw(3).z, draw(3).z) and not np.allclose(draw(3).z, draw(4).z)
    z = sampling.from_prior(made, 4).z
    assert np.array_equal(sampling.drawn(made, z, seed=1), sampling.drawn(made, z, seed=1))


def test_draws_of_x_have_the_decoders_mean():
    made = model()
    z = np.repeat([[0.4, -0.9]], 4000, axis=0)
    mean, x = sampling.means(made, z[:1])[0], sampling.drawn(made, z)
    assert set(np.unique(x)) == {0.0, 1.0}
    error = np.sqrt(mean * (1 - mean) / len(z))
    assert (np.abs(x.mean(axis=0) - mean) < 5 * error).all()


def test_there_must_be_data():
    with pytest.raises(ValueError, match="one datum"):
        sampling.from_aggregate(model(), data(0), 3)
    with pytest.raises(ValueError, match="one datum"):
        sampling.fit_mixture(np.zeros((0, 2)))
