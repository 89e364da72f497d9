"""SVI against closed forms on the linear model, and on posteriors that bend and split."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from vae import (
    linear,
    posterior,
    quadrature,
    svi,
    svi_flow,
    svi_gaussian,
    svi_path,
    svi_target,
)
from vae.config import RunConfig
from vae.families import push
from vae.model import VAE
from vae.presets import PRESETS

LINEAR = PRESETS["digits-linear-2d"]


def linear_model(latent_dim: int, family: str = "full") -> tuple[VAE, torch.Tensor]:
    """A linear model whose posterior leans, with an encoder that knows nothing, and five data."""
    generator = torch.Generator().manual_seed(latent_dim)
    torch.manual_seed(0)
    config = LINEAR.model_copy(update={"latent_dim": latent_dim, "family": family})
    model = VAE(config).double().requires_grad_(False)
    weight = torch.randn(64, latent_dim, generator=generator, dtype=torch.float64)
    weight[:, 1:] += 0.7 * weight[:, :1]
    model.decoder[0][0].weight.copy_(weight)
    return model, torch.randn(5, 1, 8, 8, generator=generator, dtype=torch.float64)


def points_model(weight: list[list[float]], log_scale: float) -> VAE:
    """x = weight · (relu(z1), relu(-z1), relu(z2), relu(-z2)) + noise, with an encoder that always
    answers N((1, 0), 0.09 I)."""
    config = RunConfig(
        dataset="pinwheel", binarisation="none", likelihood="gaussian", hidden=(4,), latent_dim=2
    )
    model = VAE(config).double().requires_grad_(False)
    first, _, last = model.decoder[0]
    rectify = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]).double()
    for layer, values in ((first, rectify), (last, torch.tensor(weight).double())):
        layer.weight.copy_(values)
        layer.bias.zero_()
    model.log_scale.fill_(log_scale)
    for parameter in model.encoder.parameters():
        parameter.zero_()
    answer = torch.tensor([1.0, 0.0, np.log(0.3), np.log(0.3)]).double()
    list(model.encoder.parameters())[-1].copy_(answer)
    return model


@pytest.mark.parametrize("start", ["encoder", "prior", "latents"])
@pytest.mark.parametrize("latent_dim", [1, 2])
def test_a_full_gaussian_reaches_the_posterior_from_every_start(latent_dim, start):
    model, x = linear_model(latent_dim)
    begin = torch.full((5, latent_dim), 2.0) if start == "latents" else start
    fitted = svi.fit(model, x, "full", [begin], tolerance=1e-8)
    truth = linear.posterior(model, x)
    assert fitted.converged.all()
    assert np.abs(fitted.elbo - linear.log_evidence(model, x).numpy()).max() < 1e-6
    torch.testing.assert_close(fitted.q.loc, truth.loc, atol=1e-5, rtol=0)
    torch.testing.assert_close(
        fitted.q.covariance_matrix, truth.covariance_matrix.expand(5, -1, -1), atol=1e-5, rtol=1e-3
    )


def diagonal_optimum(model: VAE, x: torch.Tensor) -> MultivariateNormal:
    """The factorised normal nearest to a normal posterior: Bishop 2006, section 10.1.2."""
    truth = linear.posterior(model, x)
    variance = 1 / truth.precision_matrix.diagonal(dim1=-2, dim2=-1)
    return MultivariateNormal(truth.loc, torch.diag_embed(variance).expand(len(x), -1, -1))


def test_a_diagonal_gaussian_reaches_its_known_optimum():
    model, x = linear_model(2)
    fitted, known = svi.fit(model, x, tolerance=1e-9), diagonal_optimum(model, x)
    gap = kl_divergence(known, linear.posterior(model, x).expand([5]))
    assert gap.min() > 0.05
    torch.testing.assert_close(fitted.q.mean, known.loc, atol=1e-5, rtol=0)
    torch.testing.assert_close(fitted.q.variance, known.variance, atol=0, rtol=1e-4)
    found = linear.log_evidence(model, x) - torch.from_numpy(fitted.elbo)
    torch.testing.assert_close(found, gap, atol=1e-6, rtol=0)


def test_samples_find_the_same_optima_in_more_dimensions():
    model, x = linear_model(5)
    log_p = linear.log_evidence(model, x).numpy()
    full = svi.fit(model, x, "full")
    assert full.converged.all() and full.error.max() < 1e-3  # at the posterior all weights agree
    assert np.abs(full.elbo - log_p).max() < 1e-3
    diagonal, known = svi.fit(model, x), diagonal_optimum(model, x)
    gap = kl_divergence(known, linear.posterior(model, x).expand([5])).numpy()
    assert diagonal.converged.all()
    assert (np.abs(log_p - gap - diagonal.elbo) < 4 * diagonal.error + 0.02).all()
    exact = [
        kl_divergence(q, linear.posterior(model, x).expand([5]))
        for q in (known, leaning(diagonal.q))
    ]
    assert (exact[1] - exact[0]).max() < 0.02


def leaning(q: torch.distributions.Independent) -> MultivariateNormal:
    """A factorised normal as a full one."""
    return MultivariateNormal(q.mean, torch.diag_embed(q.variance))


@pytest.mark.parametrize(("latent_dim", "family"), [(2, "full"), (3, "diagonal"), (2, "flow")])
def test_a_datum_does_not_see_the_others(latent_dim, family):
    model, x = linear_model(latent_dim)
    options = {"max_steps": 60, "seed": 3}
    both = svi.fit(model, x, family, **options)
    alone = svi.fit(model, x[3:4], family, first=3, **options)
    np.testing.assert_allclose(alone.elbo[0], both.elbo[3], rtol=0, atol=1e-8)
    torch.testing.assert_close(
        alone.q.loc[0] if family != "diagonal" else alone.q.mean[0],
        both.q.loc[3] if family != "diagonal" else both.q.mean[3],
    )


def states(model: VAE, x: torch.Tensor) -> list[tuple]:
    """A state of each kind, with what steps it."""
    gaussian = svi_gaussian.init(model, x, "full", "prior")
    return [
        (svi_gaussian, gaussian),
        (svi_gaussian, svi_gaussian.init(model, x, "diagonal", "prior", nodes=0)),
        (svi_flow, svi_flow.init(model, x, gaussian.loc, gaussian.tril)),
    ]


def test_a_step_is_a_function_of_its_state():
    model, x = linear_model(2)
    for kind, state in states(model, x):
        before = [t.clone() if torch.is_tensor(t) else t for t in state]
        once, twice = kind.step(model, x, state)[0], kind.step(model, x, state)[0]
        for a, b in zip(once, twice, strict=True):
            assert torch.equal(a, b) if torch.is_tensor(a) else a == b
        for a, b in zip(state, before, strict=True):
            assert not torch.is_tensor(a) or torch.equal(a.nan_to_num(), b.nan_to_num())
        assert once.n_steps == state.n_steps + 1


def test_the_encoder_is_where_it_starts():
    model, x = linear_model(2, "diagonal")
    q = model.encode(x)
    found = svi_gaussian.distribution(svi_gaussian.init(model, x))
    assert torch.equal(found.mean, q.mean) and torch.equal(found.stddev, q.stddev)
    model, x = linear_model(2, "full")
    assert torch.equal(svi_gaussian.init(model, x, "full").tril, model.encode(x).scale_tril)
    model, x = linear_model(2, "flow")
    noise = torch.randn(7, 5, 2, dtype=torch.float64)
    for ours, theirs in zip(
        push(svi_flow.distribution(svi_flow.init_from_encoder(model, x)), noise),
        push(model.encode(x), noise),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=0)


def test_at_latents_it_starts_as_wide_as_the_posterior_there():
    model, x = linear_model(2)
    state = svi_gaussian.init(model, x, "full", torch.zeros(5, 2))
    expected = linear.posterior(model, x).scale_tril.expand(5, -1, -1)
    torch.testing.assert_close(state.tril, expected, atol=1e-7, rtol=1e-5)


#: x1 = |z1| + 0.05 z1: two modes, of which the one with z1 > 0 is the nearer to the origin, so it
#: is the better one of x = 2. x2 = z2 / 5 hardly matters.
SPLIT = [[1.05, 0.95, 0.0, 0.0], [0.0, 0.0, 0.2, -0.2]]


def test_of_two_modes_the_better_one_wins():
    model, x = points_model(SPLIT, -2.0), torch.tensor([[2.0, 0.0]]).double()
    modes = posterior.modes(model, x).z
    assert modes.shape == (1, 2, 2) and modes[0, 0, 0] > 1 and modes[0, 1, 0] < -1
    worse = svi.fit(model, x, "full", [modes[:, 1]])
    assert worse.converged.all() and worse.q.loc[0, 0] < -1
    fitted = svi.fit(model, x, "full", [modes[:, 1]], modes=modes)
    assert fitted.starts == ("latents", "mode 1", "mode 2")
    assert fitted.start[0] == 1 and fitted.q.loc[0, 0] > 1
    assert fitted.elbo[0] == pytest.approx(fitted.elbos[1, 0]) and fitted.elbo > worse.elbo + 0.1
    # Each q fills one mode, so the two evidence shares make up log p(x); the q are near exact.
    log_p = quadrature.evidence(model, x).log_evidence.numpy()
    both = np.logaddexp(fitted.elbos[1, 0], fitted.elbos[2, 0])
    assert both == pytest.approx(log_p[0], abs=0.02) and both < log_p[0] + 1e-6


#: x2 = z2 + 1.5 |z1|, x1 = 0: the posterior is a ridge in the shape of a V.
BENT = [[0.0, 0.0, 0.0, 0.0], [1.5, 1.5, 1.0, -1.0]]


def test_a_flow_bends_where_a_gaussian_cannot():
    model, x = points_model(BENT, -1.2), torch.tensor([[0.0, 0.5], [0.0, 1.5]]).double()
    log_p = quadrature.evidence(model, x).log_evidence.numpy()
    modes = posterior.modes(model, x).z
    full = svi.fit(model, x, "full", modes=modes)
    flow = svi.fit(model, x, "flow", modes=modes, max_steps=200)
    assert (log_p - full.elbo > 0.5).all()
    assert (flow.elbo > full.elbo + 0.2).all()
    assert (flow.elbo < log_p + 3 * flow.error).all()
    axis = torch.arange(-5.0, 5.0, 1 / 12).double()
    density = flow.q.log_prob(torch.cartesian_prod(axis, axis)[:, None]).exp()
    np.testing.assert_allclose(density.sum(0) / 12**2, 1, atol=1e-2)


def test_a_flow_is_one_for_each_datum():
    model, x = linear_model(2)
    state = svi_gaussian.init(model, x, "full", "prior")
    flow = svi_flow.init(model, x, state.loc, state.tril)
    for _ in range(5):
        flow, _ = svi_flow.step(model, x, flow)
    q, noise = svi_flow.distribution(flow), torch.randn(6, 5, 2, dtype=torch.float64)
    z, log_q = push(q, noise)
    torch.testing.assert_close(q.log_prob(z), log_q, atol=1e-6, rtol=0)
    torch.testing.assert_close(q[2:4].push(noise[:, 2:4])[0], z[:, 2:4])
    assert (z[:, 0] - z[:, 1] - (z[:1, 0] - z[:1, 1])).abs().max() > 1e-4  # they differ in shape


def test_too_few_steps_are_said_not_to_be_enough():
    for latent_dim, family in ((2, "full"), (3, "diagonal"), (2, "flow")):
        model, x = linear_model(latent_dim)
        fitted = svi.fit(model, x, family, ["prior"], max_steps=1)
        assert not fitted.converged.any()


def test_what_is_not_observed_drops_out():
    model, x = linear_model(2)
    observed = torch.arange(64) % 3 == 0
    fitted = svi.fit(model, x, "full", observed=observed, tolerance=1e-9)
    weight, mean, scale = linear.parameters(model)
    weight, seen = weight[observed], x.flatten(1)[:, observed] - mean[observed]
    precision = torch.eye(2).double() + weight.T @ weight / scale**2
    expected = torch.linalg.solve(precision, weight.T @ seen.T / scale**2).T
    torch.testing.assert_close(fitted.q.loc, expected, atol=1e-5, rtol=0)
    by_hand = MultivariateNormal(mean[observed] * 0, weight @ weight.T + scale**2 * torch.eye(22))
    torch.testing.assert_close(torch.from_numpy(fitted.elbo), by_hand.log_prob(seen))


@pytest.mark.parametrize("family", ["diagonal", "full"])
def test_the_race_climbs_and_is_the_same_every_time(family):
    model, x = linear_model(2, family)
    starts = ["encoder", "prior", torch.tensor([1.0, -1.0])]
    race, again = (svi_path.path(model, x[0], family, starts, 40) for _ in range(2))
    assert race.loc.shape == (41, 3, 2) and race.covariance.shape == (41, 3, 2, 2)
    assert (np.diff(race.elbo, axis=0) >= 0).all() and np.array_equal(race.elbo, again.elbo)
    np.testing.assert_allclose(race.loc[0, 2], [1, -1])
    np.testing.assert_allclose(race.covariance[0, 2], 0.04 * np.eye(2), atol=1e-9)
    np.testing.assert_allclose(race.loc[0, 0], model.encode(x[:1]).mean[0])
    best = svi.fit(model, x[:1], family).elbo[0]
    np.testing.assert_allclose(race.elbo[-1], best, atol=1e-2)


def test_the_race_of_flows_ends_above_where_it_began():
    model, x = points_model(BENT, -1.2), torch.tensor([0.0, 1.5]).double()
    race = svi_path.path(model, x, "flow", ["encoder"], 20)
    assert race.elbo[-1, 0] > race.elbo[0, 0] and race.q.batch_shape == (1,)


def test_nodes_and_samples_agree_on_an_elbo():
    model, x = linear_model(2)
    q = model.encode(x)
    exact = linear.log_evidence(model, x) - kl_divergence(q, linear.posterior(model, x).expand([5]))
    ruled, error = svi_target.ruled_elbo(model, x, q)
    torch.testing.assert_close(ruled, exact, atol=1e-8, rtol=1e-10)
    assert error.max() < 1e-6 * exact.abs().max()
    sampled, error = svi_target.sampled_elbo(model, x, q, 2_000, seed=0)
    assert ((sampled - exact).abs() < 4 * error).all()
    part, _ = svi_target.sampled_elbo(model, x[2:], model.encode(x[2:]), 2_000, seed=0, first=2)
    torch.testing.assert_close(part, sampled[2:])


def test_bad_input_is_said_in_a_sentence():
    model, x = linear_model(2)
    for message, call in (
        ("diagonal or full", lambda: svi.fit(model, x, "banana")),
        ("has shape", lambda: svi.fit(model, x[:, :, :4])),
        ("starts at", lambda: svi.fit(model, x, starts=["mean"])),
        ("needs a start", lambda: svi.fit(model, x, starts=[])),
        ("for every datum", lambda: svi.fit(model, x, starts=[torch.full((5, 2), torch.nan)])),
        ("not finite", lambda: svi.fit(model, x * torch.inf)),
        ("two latent", lambda: svi_target.ruled_elbo(*linear_model(3), None)),
        ("needs a start", lambda: svi_path.path(model, x[0], starts=[])),
    ):
        with pytest.raises(ValueError, match=message):
            call()
