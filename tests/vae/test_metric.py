"""The pull-back metric against derivatives, divergences and models whose geometry is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from torch import Tensor, nn
from torch.distributions import Bernoulli, Independent, Normal, Poisson

from tests.vae.exact_models import folded_model, linear_model, steep_model
from vae import latent, likelihoods, linear, metric
from vae.likelihoods import StableContinuousBernoulli

LIKELIHOODS = ("bernoulli", "continuous-bernoulli", "gaussian")


def places(n: int, D: int, seed: int = 0) -> Tensor:
    return torch.randn(n, D, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def jeffreys(p: Independent, q: Independent) -> Tensor:
    """½ KL(p ‖ q) + ½ KL(q ‖ p) of two answers, by their natural parameters."""
    eta = [likelihoods.natural(each).eta for each in (p, q)]
    mean = [each.mean.flatten(-len(each.event_shape)) for each in (p, q)]
    return 0.5 * ((eta[1] - eta[0]) * (mean[1] - mean[0])).sum(-1)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("D", [2, 5])
def test_the_metric_is_that_of_fisher(likelihood, D):
    """J_ηᵀ Var(x) J_η by autograd, where Var(x) is the slope of the mean by η."""
    model = steep_model(likelihood, D)
    for z in places(5, D):

        def natural(z, model=model):
            return likelihoods.natural(model.decode(z)).eta

        def mean(z, model=model):
            return model.decode(z).mean.flatten()

        slopes = [torch.autograd.functional.jacobian(f, z) for f in (natural, mean)]
        expected = slopes[0].mT @ slopes[1]  # the mean's own derivative is Var(x) J_η
        torch.testing.assert_close(metric.metric(model, z), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_the_metric_is_twice_the_divergence_of_neighbours(likelihood):
    """KL, made symmetric, is ½ dzᵀ G dz but for a share of the order of |dz|²."""
    model, z, dz = steep_model(likelihood), places(20, 2), places(20, 2, seed=1)
    G, apart = metric.metric(model, z), []
    for size in (1e-2, 1e-3):
        step = size * dz
        near = jeffreys(model.decode(z - step / 2), model.decode(z + step / 2))
        apart.append(near / (0.5 * torch.einsum("nd,nde,ne->n", step, G, step)) - 1)
    assert apart[1].abs().max() < 1e-4
    assert (apart[1].abs() < apart[0].abs() / 50 + 1e-7).all()  # a hundredth, but for rounding


@pytest.mark.parametrize("likelihood", ["bernoulli", "continuous-bernoulli"])
@pytest.mark.parametrize(("a", "b"), [(-0.3, 0.2), (0.0, 3.0), (2.0, 30.0), (-80.0, -20.0)])
def test_the_embedding_is_the_integral_of_the_standard_deviation(likelihood, a, b):
    def standard_deviation(eta: float) -> float:
        if likelihood == "bernoulli":
            return 0.5 / math.cosh(eta / 2)
        if abs(eta) < 1e-3:
            return math.sqrt(1 / 12 - eta**2 / 240)
        return math.sqrt(1 / eta**2 - 0.25 / math.sinh(eta / 2) ** 2)

    kind = Bernoulli if likelihood == "bernoulli" else StableContinuousBernoulli
    eta = torch.tensor([a, b], dtype=torch.float64)
    phi = metric.embed(Independent(kind(logits=eta, validate_args=False), 1))
    expected = quad(standard_deviation, a, b, epsabs=1e-13, epsrel=1e-12)[0]
    assert float(phi[1] - phi[0]) == pytest.approx(expected, rel=1e-8, abs=1e-12)


def test_the_embedding_of_a_bernoulli_is_the_arcsine():
    p = torch.linspace(0.001, 0.999, 99, dtype=torch.float64)
    phi = metric.embed(Independent(Bernoulli(p), 1))
    torch.testing.assert_close(phi, 2 * p.sqrt().asin())


@pytest.mark.parametrize("kind", [Bernoulli, StableContinuousBernoulli])
def test_the_embedding_is_sound_where_logits_are_large(kind):
    eta = torch.tensor([-1e6, -200.0, -50.0, 0.0, 50.0, 200.0, 1e6], requires_grad=True)
    phi = metric.embed(Independent(kind(logits=eta, validate_args=False), 1))
    (slope,) = torch.autograd.grad(phi.sum(), eta)
    assert phi.isfinite().all() and (phi.diff() >= 0).all()
    assert slope.isfinite().all() and (slope >= 0).all() and slope[3] == slope.max() > 0
    torch.testing.assert_close(slope, slope.flip(0))
    if kind is Bernoulli:  # √(p (1 − p)) has all its digits where p itself has none
        assert float(slope[2]) == pytest.approx(math.exp(-25), rel=1e-5)
    else:
        assert float(slope[5]) == pytest.approx(1 / 200, rel=1e-4)


def test_another_likelihood_is_refused():
    with pytest.raises(TypeError, match="Poisson"):
        metric.embed(Independent(Poisson(torch.ones(3)), 1))


def test_a_linear_model_is_flat():
    """G = WᵀW / σ² everywhere, so magnification and lengths have closed forms."""
    model = linear_model(3, scale=0.5)
    W, _, scale = linear.parameters(model)
    G = W.T @ W / scale**2
    z = places(4, 3)
    torch.testing.assert_close(metric.metric(model, z), G.expand(4, 3, 3))
    expected = 0.5 * torch.logdet(G)
    torch.testing.assert_close(metric.log_magnification(model, z), expected.expand(4))
    a, b = z[0].numpy(), z[1].numpy()
    found = metric.length(model, np.stack([a, b]))
    assert found.value == pytest.approx(float((W @ (z[1] - z[0])).norm() / scale), rel=1e-12)
    assert found.error == pytest.approx(0, abs=1e-9)


def test_in_a_plane_the_magnification_is_that_of_its_own_two_directions():
    model, plane = steep_model("bernoulli", 5), latent.principal_plane(places(50, 5).numpy())
    basis, z = torch.from_numpy(plane.basis), places(6, 5, seed=3).view(2, 3, 5)
    seen = basis @ metric.metric(model, z) @ basis.T
    torch.testing.assert_close(metric.metric(model, z, basis), seen)
    expected = 0.5 * torch.linalg.slogdet(seen).logabsdet
    torch.testing.assert_close(metric.log_magnification(model, z, basis), expected)


def test_many_latents_are_taken_a_few_at_a_time(monkeypatch):
    model, z = steep_model("gaussian"), places(30, 2).view(5, 6, 2)
    whole = metric.metric(model, z)
    monkeypatch.setattr(metric, "TILE", 4 * 64 * 7)
    torch.testing.assert_close(metric.metric(model, z), whole)


def test_of_points_in_the_plane():
    """x = (z_1², z_2) and σ = 0.3: G = diag(4 z_1², 1) / σ², singular on the fold."""
    model = folded_model()
    z = torch.tensor([[1.5, -2.0], [0.0, 1.0]])
    expected = torch.diag_embed(torch.tensor([[9.0, 1.0], [0.0, 1.0]])) / 0.3**2
    torch.testing.assert_close(metric.metric(model, z), expected.double())
    found = metric.log_magnification(model, z)
    assert float(found[0]) == pytest.approx(math.log(3 / 0.3**2)) and found[1] == -math.inf
    across = metric.length(model, np.array([[1.0, 0.0], [2.0, 0.0]]))
    assert across.value == pytest.approx(3 / 0.3)


class Circle(nn.Module):
    """Points of the unit circle at the angle z_1; z_2 does nothing but scale by e^z_2."""

    def forward(self, z: Tensor) -> Tensor:
        """From latents (B, 2) to points (B, 2)."""
        return z[:, 1:].exp() * torch.stack((z[:, 0].cos(), z[:, 0].sin()), 1)


def circle(scale: float = 0.1):
    model = folded_model(scale=scale)
    model.decoder = Circle()
    return model


@pytest.mark.parametrize("parts", [4, 16, 64])
def test_a_length_grows_towards_the_truth_and_says_how_far_it_is(parts):
    """P chords of an arc of angle θ: (2 P / σ) sin(θ / 2P), short by a share (θ / P)² / 24."""
    found = metric.length(circle(), np.array([[0.0, 0.0], [2.0, 0.0]]), parts)
    assert found.value == pytest.approx(20 * parts * math.sin(1 / parts), rel=1e-12)
    missing = 20 - found.value
    assert 0 < missing < found.error < 3.2 * missing


def test_lengths_do_not_depend_on_how_a_path_is_written():
    model, path = steep_model("bernoulli"), np.array([[-1.0, 0.3], [0.5, 1.0], [1.2, -0.7]])
    there = metric.length(model, path, 256)
    more = metric.length(model, metric.subdivided(path, 3)[::-1], 256)
    assert there.value < more.value < there.value + there.error  # a third as long are its steps


def test_lengths_do_not_depend_on_the_coordinates_of_latent_space():
    """The same pictures through w, with z = g(w) bent: the path of the images is as long."""
    model, other = steep_model("bernoulli"), steep_model("bernoulli")

    class Bent(nn.Module):
        def forward(self, w: Tensor) -> Tensor:
            return model.decoder(torch.stack((w[:, 0].sinh(), w[:, 1] + w[:, 0] ** 2), 1))

    other.decoder = Bent()
    w = np.linspace([-1.0, 0.5], [1.0, 0.2], 400)
    z = np.stack([np.sinh(w[:, 0]), w[:, 1] + w[:, 0] ** 2], axis=1)
    one, same = metric.length(model, z, 2), metric.length(other, w, 2)
    assert one.value == pytest.approx(same.value, rel=1e-5)


def test_the_unit_is_one_standard_deviation():
    """Two normals a standard deviation apart are one unit apart, and KL = ½ of its square."""
    p, q = (
        Independent(Normal(torch.tensor([[loc]]), torch.tensor([[0.2]])), 1) for loc in (1, 1.2)
    )
    assert float((metric.embed(q) - metric.embed(p)).norm()) == pytest.approx(1.0, rel=1e-5)
    assert float(torch.distributions.kl_divergence(p, q)) == pytest.approx(0.5, rel=1e-5)
