"""Posterior families: densities against grids, draws against densities, and their way to disk."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal, kl_divergence
from zuko.transforms import MonotonicRQSTransform

from vae import bounds, evaluate, families, flow, latent, runs, snapshots, train
from vae.config import RunConfig
from vae.families import FAMILIES, FlowPosterior, family, moments

N = 20_000  # draws; a mean is then known to 0.7 % of its standard deviation


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def bent(name: str, latent_dim: int, lead: tuple[int, ...] = ()) -> Distribution:
    """A member of the family that is far from N(0, I), in float64."""
    torch.manual_seed(1)
    module = family(name, latent_dim).double().requires_grad_(False)
    for layer in module.layers.transforms if name == "flow" else ():
        layer.hyper[-1].weight.mul_(25)
    parameters = torch.randn(*lead, module.n_parameters, dtype=torch.float64)
    parameters[..., latent_dim : 2 * latent_dim] *= 0.2
    return module(parameters)


def grid(latent_dim: int, radius: float, n: int) -> tuple[Tensor, float]:
    """Nodes (n^D, D) around the origin and the volume of a cell."""
    side = torch.linspace(-radius, radius, n, dtype=torch.float64)
    nodes = torch.cartesian_prod(*[side] * latent_dim).reshape(-1, latent_dim)
    return nodes, (2 * radius / (n - 1)) ** latent_dim


@pytest.mark.parametrize("latent_dim", [1, 2, 5])
@pytest.mark.parametrize("name", FAMILIES)
def test_shapes(name: str, latent_dim: int) -> None:
    module = family(name, latent_dim)
    for lead in [(), (4,), (3, 4)]:
        q = module(torch.randn(*lead, module.n_parameters))
        assert (q.batch_shape, q.event_shape) == (lead, (latent_dim,))
        z = q.rsample((7,))
        assert z.shape == (7, *lead, latent_dim) and q.log_prob(z).shape == (7, *lead)
        assert q.log_prob(torch.zeros(latent_dim)).shape == lead
        assert [m.shape for m in moments(q)] == [(*lead, latent_dim)] * 2
        assert families.covariance(q).shape == (*lead, latent_dim, latent_dim)


@pytest.mark.parametrize("name", FAMILIES)
def test_location_comes_first_then_the_logarithms_of_the_scales(name: str) -> None:
    module = family(name, 2)
    parameters = torch.zeros(module.n_parameters)
    parameters[:4] = torch.tensor([5.0, -3.0, math.log(2), math.log(0.1)])
    loc, scale = moments(module(parameters))  # a fresh flow is nearly the identity: within 10 %
    torch.testing.assert_close(loc, torch.tensor([5.0, -3.0]), rtol=0, atol=0.1)
    torch.testing.assert_close(scale, torch.tensor([2.0, 0.1]), rtol=0.1, atol=0)


@pytest.mark.parametrize("latent_dim", [1, 2])
def test_a_fresh_flow_is_nearly_diagonal(latent_dim: int) -> None:
    module = family("flow", latent_dim)
    parameters = 0.3 * torch.randn(50, module.n_parameters)
    near = family("diagonal", latent_dim)(parameters[:, : 2 * latent_dim])
    z = near.sample((400,))
    divergence = (near.log_prob(z) - module(parameters).log_prob(z)).mean()
    assert abs(divergence) < 0.02


@pytest.mark.parametrize("latent_dim", [1, 2])
@pytest.mark.parametrize("name", FAMILIES)
def test_the_density_integrates_to_one_and_the_draws_follow_it(name: str, latent_dim: int) -> None:
    q = bent(name, latent_dim)
    nodes, cell = grid(latent_dim, 9.0, 2_001 if latent_dim == 1 else 201)
    mass = q.log_prob(nodes).exp() * cell
    # The rectangle rule is exact for a normal; a spline's density has bends, of second order.
    assert mass.sum() == pytest.approx(1, abs=1e-3 if name == "flow" else 1e-9)
    mass = mass / mass.sum()
    z = q.sample((N,))
    for of in (lambda z: z, lambda z: z**2, lambda z: z.prod(-1, keepdim=True)):
        exact, drawn = (mass[:, None] * of(nodes)).sum(0), of(z)
        error = drawn.std(0) / N**0.5
        assert ((drawn.mean(0) - exact).abs() < 5 * error + 1e-3).all()


@pytest.mark.parametrize("latent_dim", [1, 2, 5])
@pytest.mark.parametrize("name", FAMILIES)
def test_pushed_noise_has_the_density_it_says(name: str, latent_dim: int) -> None:
    q = bent(name, latent_dim, (3,))
    noise = torch.randn(50, 3, latent_dim, dtype=torch.float64)
    z, log_q = families.push(q, noise)
    assert z.shape == noise.shape
    torch.testing.assert_close(log_q, q.log_prob(z.clone()), rtol=0, atol=1e-8)
    if name != "flow":  # the draws that PyTorch makes from the same noise
        torch.manual_seed(5)
        z = q.rsample((50,))
        torch.manual_seed(5)
        noise = torch.normal(torch.zeros_like(noise), 1.0)
        torch.testing.assert_close(families.push(q, noise)[0], z)


def test_only_a_family_can_be_pushed() -> None:
    with pytest.raises(TypeError, match="Normal"):
        families.push(Normal(0.0, 1.0), torch.zeros(1))


def test_a_flow_knows_the_density_of_its_draws_without_an_inverse(monkeypatch) -> None:
    q = bent("flow", 2, (4,))
    z, log_q = q.rsample_and_log_prob((6,))
    torch.testing.assert_close(log_q, q.log_prob(z.clone()), rtol=0, atol=1e-8)
    monkeypatch.setattr(type(q.transform), "_inverse", None)
    assert q.log_prob(z) is log_q
    z = q.rsample((6,))
    assert q.log_prob(z).shape == (6, 4)


def test_the_splines_are_those_of_zuko() -> None:
    raw = [3 * torch.randn(50, n, dtype=torch.float64) for n in (8, 8, 7)]
    x = 7 * torch.rand(20, 50, dtype=torch.float64) - 3.5
    (y, slope), (expected, theirs) = (
        kind(*raw).call_and_ladj(x) for kind in (flow.Spline, MonotonicRQSTransform)
    )
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(slope, theirs)
    torch.testing.assert_close(flow.Spline(*raw).inv(y), x)


def test_a_flow_outside_its_splines_is_still_a_density() -> None:
    q = bent("flow", 2)
    far = q.loc + 30 * q.scale
    expected = -0.5 * 2 * 30**2 - math.log(2 * math.pi) - q.scale.log().sum()
    assert q.log_prob(far).item() == pytest.approx(expected.item())


def test_some_of_a_batch_of_flows_are_those_flows() -> None:
    q = bent("flow", 2, (5,))
    z = torch.randn(3, 5, 2, dtype=torch.float64)
    torch.testing.assert_close(q[1:3].log_prob(z[:, 1:3]), q.log_prob(z)[:, 1:3])


@pytest.mark.parametrize("name", FAMILIES)
def test_gradients_reach_every_parameter(name: str) -> None:
    module = family(name, 3)
    parameters = torch.randn(40, module.n_parameters, requires_grad=True)
    q = module(parameters)
    z = q.rsample()
    (q.log_prob(z) + z.pow(3).sum(-1)).sum().backward()
    for tensor in (parameters, *module.parameters()):
        assert tensor.grad.isfinite().all() and tensor.grad.abs().sum() > 0


def test_the_moments_of_a_full_normal_are_exact() -> None:
    q = bent("full", 3, (4,))
    loc, scale = moments(q)
    torch.testing.assert_close(families.covariance(q), q.scale_tril @ q.scale_tril.mT)
    torch.testing.assert_close(scale**2, q.covariance_matrix.diagonal(dim1=1, dim2=2))
    assert torch.equal(loc, q.loc)
    near = families.marginals(q).base_dist
    assert torch.equal(near.loc, loc) and torch.equal(near.scale, scale)


def test_a_diagonal_normal_is_its_own_marginals() -> None:
    q = bent("diagonal", 3)
    assert families.marginals(q) is q
    assert moments(q) == (q.base_dist.loc, q.base_dist.scale)
    torch.testing.assert_close(families.covariance(q), q.base_dist.scale.square().diag())


@pytest.mark.parametrize("latent_dim", [1, 2, 5])
def test_the_moments_of_a_flow_are_near_and_always_the_same(latent_dim: int, monkeypatch) -> None:
    q = bent("flow", latent_dim, (3,))
    z = q.sample((N,))
    (loc, scale), exact = moments(q), z.std(0)
    error = 0.1 if latent_dim < 3 else 0.15  # of 64 nodes, for flows bent this far
    assert ((loc - z.mean(0)).abs() < error * exact).all()
    assert ((scale - exact).abs() < error * exact).all()
    centred = (z - z.mean(0)).movedim(0, -1)
    expected = centred @ centred.mT / N
    unit = exact[..., None] * exact[..., None, :]
    assert ((families.covariance(q) - expected).abs() < 2 * error * unit).all(), latent_dim
    again = bent("flow", latent_dim, (3,))
    assert torch.equal(again.mean, loc)
    monkeypatch.setattr(flow, "TILE", 1)  # a node at a time
    tiled = FlowPosterior(q.loc, q.scale, q.context, q.layers)
    torch.testing.assert_close(tiled.variance, scale**2)


@pytest.mark.parametrize("latent_dim", [1, 4])
def test_the_rate_of_a_full_normal_is_its_divergence(latent_dim: int) -> None:
    q = bent("full", latent_dim, (6,))
    one = torch.ones(latent_dim, dtype=torch.float64)
    prior = Independent(Normal(0.3 * one, 2 * one), 1)
    same = MultivariateNormal(0.3 * one, (2 * one).square().diag())
    torch.testing.assert_close(bounds.rate(q, prior), kl_divergence(q, same))


def test_the_rate_of_a_flow_is_estimated_from_draws() -> None:
    q = bent("flow", 2)
    one = torch.ones(2, dtype=torch.float64)
    prior = Independent(Normal(0 * one, one), 1)
    nodes, cell = grid(2, 9.0, 201)
    log_q = q.log_prob(nodes)
    exact = (log_q.exp() * (log_q - prior.log_prob(nodes))).sum() * cell
    with pytest.raises(NotImplementedError):
        bounds.rate(q, prior)
    z = q.sample((N,))
    error = (q.log_prob(z) - prior.log_prob(z)).std() / N**0.5
    assert abs(bounds.rate(q, prior, z) - exact) < 5 * error + 1e-3
    assert bounds.rate(q, prior, z[0]).shape == ()
    full = bent("full", 2)
    assert torch.equal(bounds.rate(full, prior, full.sample()), bounds.rate(full, prior))


def config_of(name: str, **fields) -> RunConfig:
    given = {"dataset": "digits", "hidden": (8,), "family": name, "epochs": 2, "batch_size": 256}
    return RunConfig(**{**given, **fields})


@pytest.mark.parametrize("fields", [{"beta": 0.5}, {"objective": "iwae", "k": 3}])
@pytest.mark.parametrize("name", ["full", "flow"])
def test_the_objective_is_made_of_the_same_draw(name: str, fields: dict) -> None:
    config = config_of(name, **fields)
    model, x = train.new_trainer(config, torch.device("cpu")).model, torch.rand(9, 1, 8, 8).round()
    torch.manual_seed(2)
    found = train.objective(model, x, config, config.beta)
    torch.manual_seed(2)
    q = model.encode(x)
    z = q.rsample((config.k,))
    log_p, log_q = model.decode(z).log_prob(x), q.log_prob(z)
    ratio = log_q - model.prior().log_prob(z)
    if config.objective == "iwae":
        expected = bounds.iwae(log_p - ratio).mean()
    else:
        rate = ratio[0] if name == "flow" else bounds.rate(q, model.prior())
        expected = (log_p[0] - 0.5 * rate).mean()
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("latent_dim", [1, 2])
@pytest.mark.parametrize("name", ["full", "flow"])
def test_a_run_is_trained_recorded_and_read_again(name: str, latent_dim: int) -> None:
    config = config_of(name, latent_dim=latent_dim, learning_rate=1e-2)
    run_id = runs.create(config)
    train.train(run_id)
    assert runs.status(run_id).state == "finished" and name in run_id
    first, *_, last = (line["held_out"] for line in runs.metrics(run_id))
    assert last["elbo"] > first["elbo"]
    assert last["elbo"] == pytest.approx(-(last["rate"] + last["distortion"]))
    assert len(last["rates"]) == latent_dim and 0 <= last["active_units"] <= latent_dim
    run = runs.load(run_id)
    assert run.config == config
    x = evaluate.examples(config, n=30)
    encoded, q = latent.encode_set(run.model, x), run.model.encode(x)
    torch.testing.assert_close(torch.from_numpy(encoded.covariance), families.covariance(q))
    difference = encoded.elbo - run.model.log_weights(x, K=200).mean(0).numpy()
    assert abs(difference.mean()) < 5 * difference.std() / 30**0.5
    assert runs.load(run_id, 0).epoch == 0
    kept = snapshots.read_snapshot(run_id, config.epochs)
    torch.testing.assert_close(
        torch.from_numpy(kept.covariance[:30]), families.covariance(q), rtol=5e-3, atol=1e-4
    )


def test_many_dimensions_keep_no_covariance() -> None:
    config = config_of("full", latent_dim=latent.LEANING + 1)
    model = train.new_trainer(config, torch.device("cpu")).model
    assert latent.encode_set(model, evaluate.examples(config, n=5)).covariance is None


@pytest.mark.parametrize("name", ["full", "flow"])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(name: str, monkeypatch) -> None:
    monkeypatch.setattr(evaluate, "K_IWAE", 2)
    config = config_of(name)
    whole, halved = runs.create(config), runs.create(config)
    train.train(whole)
    real, seen = train.objective, []

    def stop_in_the_second_epoch(*args):
        seen.append(0)
        if len(seen) == 8:
            runs.request_stop(halved)
        return real(*args)

    monkeypatch.setattr(train, "objective", stop_in_the_second_epoch)
    train.train(halved)
    assert runs.status(halved).state == "stopped"
    monkeypatch.setattr(train, "objective", real)
    runs.requeue(halved)
    train.train(halved)
    expected, found = (runs.load(run_id).model.state_dict() for run_id in (whole, halved))
    assert all(torch.equal(found[key], tensor) for key, tensor in expected.items())
    assert runs.metrics(halved)[-1]["held_out"] == runs.metrics(whole)[-1]["held_out"]
