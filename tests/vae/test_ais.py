"""Annealed importance sampling against the linear-Gaussian model, where log p(x) is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn

from vae import ais, bounds, chains, hmc, linear
from vae.config import RunConfig
from vae.model import VAE


@pytest.fixture(autouse=True)
def short_pilot(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth of the pilot's moves: it decides how good weights are, not whether they are right."""
    for module in (chains, ais):
        monkeypatch.setattr(module, "PILOT_MOVES", 1)


def linear_model(latent_dim: int, family: str = "diagonal", noise: float = 0.5) -> VAE:
    """A linear-Gaussian model, float64, whose posterior leans: a diagonal q falls short of it."""
    config = RunConfig(
        dataset="digits",
        binarisation="none",
        body="linear",
        hidden=(),
        likelihood="gaussian",
        latent_dim=latent_dim,
        family=family,
    )
    model = VAE(config).double()
    generator = Generator().manual_seed(latent_dim)
    weight = torch.randn(64, latent_dim, generator=generator).double() / 8
    weight[:, 0] += 0.1 * weight.sum(1)
    linear.set_parameters(model, weight, torch.full((64,), 0.3), torch.tensor(noise))
    return model


def simulated(model: VAE, n: int) -> Tensor:
    """Data of the model itself."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(3)
        return model.decode(model.prior().sample((n,))).sample()


def generators(n: int, seed: int = 0) -> list[Generator]:
    """Noise for n data."""
    return [Generator().manual_seed(1000 * seed + i) for i in range(n)]


def test_schedule_ends_at_exactly_0_and_1_and_rises():
    for T in (2, 3, 500, 10_000):
        betas = ais.schedule(T)
        assert (betas[0].item(), betas[-1].item(), len(betas)) == (0, 1, T)
        assert (betas.diff() > 0).all()
    torch.testing.assert_close(betas + betas.flip(0), torch.ones_like(betas))
    assert ais.schedule(100, radius=8)[1] < ais.schedule(100)[1]


@pytest.mark.parametrize("latent_dim", [2, 5])
@pytest.mark.parametrize("start", ["prior", "encoder", "mixed"])
def test_it_gives_the_closed_form_within_its_errors(latent_dim, start):
    model = linear_model(latent_dim)
    x, temperatures = simulated(model, 16), 20 if start == "encoder" else 60
    annealed = ais.estimate(model, x, chains=32, temperatures=temperatures, start=start)
    error = annealed.log_evidence - linear.log_evidence(model, x).numpy()
    assert annealed.trusted.all() and (annealed.se < 0.25).all()
    bias = 0.5 * annealed.se**2  # of the logarithm of a mean, to first order
    assert (np.abs(error + bias) < 4 * annealed.se).all()
    assert abs((error + bias).mean()) < 4 * np.sqrt(np.mean(annealed.se**2) / len(x))


def test_from_the_exact_posterior_every_chain_has_the_same_weight():
    model = linear_model(3, family="full")
    x = simulated(model, 4)
    annealed = ais.estimate(model, x, chains=5, temperatures=6, start="encoder")
    expected = linear.log_evidence(model, x).expand(5, -1).numpy()
    np.testing.assert_allclose(annealed.log_w, expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(annealed.ess, 5)


@pytest.mark.parametrize("temperatures", [2, 5])
@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_the_mean_weight_is_unbiased_however_few_the_temperatures(temperatures, direction):
    # Back from the posterior at once, weights have a variance only if the data say little of z.
    model, n = linear_model(2, noise=0.7 if direction == "forward" else 1.7), 4
    x = simulated(model, n)
    way = hmc.path(model, x, "prior")
    step_sizes = ais.tune(way, generators(n, seed=1), temperatures)
    betas, sign = ais.schedule(temperatures).tolist(), 1
    z = hmc.draw(way, generators(n, seed=2), 4000)
    if direction == "reverse":
        noise = torch.randn(4000, n, 2, generator=Generator().manual_seed(4)).double()
        exact = linear.posterior(model, x)
        z = exact.loc + noise @ exact.scale_tril.mT[0]
        betas, step_sizes, sign = betas[::-1], step_sizes.flip(0), -1
    state = ais.init(way, z, betas[0])
    log_w, _ = chains.lead(way, state, betas, step_sizes, generators(n, seed=3))
    w = (log_w - sign * linear.log_evidence(model, x)).exp()
    se = bounds.error_of_mean(w)
    assert (se < 0.1).all()
    assert ((w.mean(0) - 1).abs() < 4 * se).all()
    assert (w.mean() - 1).abs() < 4 * se.norm() / n


def test_two_temperatures_are_plain_importance_sampling():
    model, n = linear_model(2), 3
    x = simulated(model, n)
    way = hmc.path(model, x)
    z = hmc.draw(way, generators(n), 50)
    state = ais.init(way, z)
    log_w, _ = chains.lead(way, state, [0.0, 1.0], torch.full((2, n), 0.1), generators(n))
    plain = model.prior().log_prob(z) + model.decode(z).log_prob(x) - model.encode(x).log_prob(z)
    torch.testing.assert_close(log_w, plain.detach(), rtol=0, atol=1e-10)


def test_the_sandwich_holds_the_truth_and_closes_with_more_temperatures():
    model, n, gaps = linear_model(5, noise=0.3), 24, []
    for temperatures in (8, 50):
        both = ais.sandwich(model, n, chains=8, temperatures=temperatures, start="prior", seed=5)
        truth = linear.log_evidence(model, torch.from_numpy(both.x)).numpy()
        for below in (truth - both.lower, both.upper - truth):
            assert below.mean() > -4 * below.std(ddof=1) / n**0.5
        gaps.append((both.upper - both.lower).mean())
    assert gaps[0] > 1 and abs(gaps[1]) < gaps[0] / 3


def test_a_sandwich_is_honest_about_its_data():
    model = linear_model(2)
    both = ais.sandwich(model, 5, chains=4, temperatures=10)
    assert both.x.shape == (5, 1, 8, 8) and both.trusted.shape == (5,)
    again = ais.sandwich(model, 3, chains=4, temperatures=10)
    np.testing.assert_allclose(again.x, both.x[:3])
    np.testing.assert_allclose(again.upper, both.upper[:3], atol=1e-8)


def test_moves_leave_the_posterior_invariant():
    model = linear_model(2)
    x = simulated(model, 1)
    exact = linear.posterior(model, x)
    noise = torch.randn(5000, 1, 2, generator=Generator().manual_seed(0)).double()
    way, g = hmc.path(model, x), generators(1)
    point = hmc.look(way, exact.loc + noise @ exact.scale_tril.mT)
    step_size, n = torch.tensor([1.2]), len(noise)  # coarse: a fifth of the moves are refused
    for _ in range(5):
        point, acceptance = hmc.move(way, point, 1.0, step_size, g)
    assert 0.5 < acceptance.mean() < 0.95
    white = torch.linalg.solve_triangular(
        exact.scale_tril[0], (point.z - exact.loc)[:, 0].T, upper=False
    )
    assert (white.mean(1).abs() < 4 / n**0.5).all()
    covariance = white @ white.T / n
    assert ((covariance - torch.eye(2)).abs() < 4 * math.sqrt(2 / n)).all()
    moved = (point.z[:, 0] - exact.loc - noise[:, 0] @ exact.scale_tril[0].T).abs().sum(-1)
    assert (moved > 0).double().mean() > 0.9


def test_the_pilot_steers_for_its_acceptance_when_scales_are_wrong(monkeypatch):
    monkeypatch.setattr(chains, "PILOT_MOVES", 5)
    model, n = linear_model(5), 3
    with torch.no_grad():
        model.encoder.constant += 3  # the encoder says 20 times too wide
    way = hmc.path(model, simulated(model, n))
    step_sizes = ais.tune(way, generators(n), 50)
    assert (step_sizes[-1] < 0.5 * chains.LARGEST_STEP).all()
    assert (step_sizes >= chains.LEAST_STEP).all()
    state = ais.init(way, hmc.draw(way, generators(n, seed=1), 32))
    betas = ais.schedule(50).tolist()
    _, acceptance = chains.lead(way, state, betas, step_sizes, generators(n, seed=2))
    assert ((acceptance.mean(0) > 0.4) & (acceptance.mean(0) < 0.9)).all()


def test_step_sizes_are_frozen_before_the_run(monkeypatch):
    seen: list[Tensor] = []

    def spy(path, state, beta, step_size, generators):
        seen.append(step_size)
        return ais.step(path, state, beta, step_size, generators)

    monkeypatch.setattr(chains, "step", spy)
    model = linear_model(2)
    x = simulated(model, 2)
    runs = []
    for n_chains in (2, 9):
        seen.clear()
        ais.estimate(model, x, chains=n_chains, temperatures=12, start="prior")
        runs.append(torch.stack(seen))
    assert runs[0].shape == (11, 2)
    torch.testing.assert_close(runs[0], runs[1], rtol=0, atol=1e-12)


def test_a_datum_does_not_know_its_batch_mates(monkeypatch):
    model = linear_model(5)
    x = simulated(model, 5)
    options = {"chains": 4, "temperatures": 15, "start": "prior", "seed": 7}
    whole = ais.estimate(model, x, **options).log_w
    np.testing.assert_array_equal(ais.estimate(model, x, **options).log_w, whole)
    part = ais.estimate(model, x[2:4], first=2, **options).log_w
    np.testing.assert_allclose(part, whole[:, 2:4], rtol=0, atol=1e-8)
    monkeypatch.setattr(ais, "ROWS", 8)  # two data a tile
    np.testing.assert_allclose(ais.estimate(model, x, **options).log_w, whole, rtol=0, atol=1e-8)
    other = ais.estimate(model, x, **{**options, "seed": 8}).log_w
    assert (np.abs(other - whole) > 1e-3).all()


def test_it_leaves_the_global_generator_alone():
    model = linear_model(2)
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    ais.sandwich(model, 2, chains=2, temperatures=3)
    assert torch.equal(torch.rand(3), expected)


SMALL = {"dataset": "digits", "hidden": (16,), "latent_dim": 3}
CONV = {"body": "conv", "hidden": (4, 4, 16)}
GREY = {"likelihood": "continuous-bernoulli", "binarisation": "none"}
POINTS = {"dataset": "pinwheel", "likelihood": "gaussian", "binarisation": "none", "latent_dim": 1}


@pytest.mark.parametrize(
    "fields",
    [{}, CONV, {"family": "full"}, {"family": "flow"}, GREY, POINTS],
    ids=["mlp", "conv", "full", "flow", "grey", "points"],
)
@pytest.mark.parametrize("start", ["prior", "encoder"])
def test_every_kind_of_model_agrees_with_importance_sampling(fields, start):
    torch.manual_seed(0)
    model = VAE(RunConfig(**{**SMALL, **fields}))
    x = simulated(model, 3)
    annealed = ais.estimate(model, x, chains=16, temperatures=12, start=start)
    with torch.no_grad():
        log_w = model.log_weights(x, K=4000).double()
    error = annealed.log_evidence - bounds.iwae(log_w).numpy()
    se = np.hypot(annealed.se, bounds.log_mean_exp_error(log_w).numpy())
    assert annealed.trusted.all()
    assert (np.abs(error) < 4 * se + 1e-3).all()  # and float32


def test_progress_adds_up_to_the_total(monkeypatch):
    model, calls = linear_model(2), []
    monkeypatch.setattr(ais, "ROWS", 8)
    for start in ("mixed", "encoder"):
        calls.clear()
        options = {"chains": 3, "temperatures": 7, "start": start, "progress": calls.append}
        ais.estimate(model, simulated(model, 5), **options)
        assert sum(calls) == ais.total(5, 7, start=start)
    calls.clear()
    ais.sandwich(model, 3, chains=2, temperatures=7, progress=calls.append)
    assert sum(calls) == ais.total(3, 7, both=True)


def test_a_few_chains_that_carry_all_are_not_trusted():
    model = linear_model(5, noise=0.05)
    annealed = ais.estimate(model, simulated(model, 4), temperatures=2, start="prior")
    assert not annealed.trusted.any() and (annealed.ess < ais.MIN_EFFECTIVE).all()
    alone = ais.estimate(model, simulated(model, 2), chains=1, temperatures=5, start="encoder")
    assert not alone.trusted.any() and np.isnan(alone.se).all()


class Parabola(nn.Module):
    """Decodes z to z², so that z and -z explain the same x."""

    def forward(self, z: Tensor) -> Tensor:
        return z.square().expand(-1, 2)


class OneRoot(nn.Module):
    """Encodes to the positive root alone."""

    def forward(self, x: Tensor) -> Tensor:
        root = x.mean(1, keepdim=True).sqrt()
        return torch.cat((root, torch.full_like(root, 0.05).log()), dim=1)


def test_mixed_starts_show_a_mode_that_the_encoder_misses():
    model = VAE(RunConfig(**{**SMALL, **POINTS})).double()
    model.decoder, model.encoder = Parabola(), OneRoot()
    x = torch.tensor([[2.0, 2.0], [2.0, 2.5]]).double()
    z = torch.linspace(-6, 6, 20_001).double()[:, None, None]
    log_joint = model.prior().log_prob(z) + model.decode(z).log_prob(x)
    truth = (log_joint.logsumexp(0) + math.log(12 / 20_000)).detach().numpy()
    blind, seeing = (
        ais.estimate(model, x, chains=256, temperatures=60, start=start)
        for start in ("encoder", "mixed")
    )
    assert blind.trusted.all()  # and wrong, by the half of the posterior that it does not know
    np.testing.assert_allclose(blind.log_evidence, truth - math.log(2), atol=0.05)
    assert not seeing.trusted.any()
    assert (np.abs(seeing.log_evidence - truth) < np.abs(blind.log_evidence - truth)).all()


def test_a_trajectory_that_runs_off_is_refused():
    model, g = linear_model(2), generators(1)
    way = hmc.path(model, simulated(model, 1))
    here = hmc.look(way, hmc.draw(way, g, 8))
    there, acceptance = hmc.move(way, here, 1.0, torch.tensor([1e200]), g)
    assert torch.equal(there.z, here.z) and (acceptance == 0).all()


def test_chains_that_hardly_move_are_not_trusted(monkeypatch):
    monkeypatch.setattr(chains, "LEAST_STEP", 1e6)
    monkeypatch.setattr(chains, "LARGEST_STEP", 1e6)
    model = linear_model(2)
    annealed = ais.estimate(model, simulated(model, 2), temperatures=5)
    assert (annealed.acceptance == 0).all() and not annealed.trusted.any()


def test_what_cannot_be_computed_is_said_in_one_sentence():
    model = linear_model(2)
    x = simulated(model, 2)
    for options, sentence in [
        ({"temperatures": 1}, "at least 2 temperatures"),
        ({"chains": 1}, "from encoder and prior needs a chain per datum from each, not 1"),
        ({"chains": 0, "start": "prior"}, "from prior needs a chain per datum from each, not 0"),
        ({"start": "posterior"}, "from both, not “posterior”"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            ais.estimate(model, x, **options)
        with pytest.raises(ValueError, match=sentence):
            ais.sandwich(model, 2, **options)
    with pytest.raises(ValueError, match="no data"):
        ais.estimate(model, x[:0])
    with pytest.raises(ValueError, match="no data"):
        ais.sandwich(model, 0)
    with pytest.raises(ValueError, match=r"takes \(N, 1, 8, 8\)"):
        ais.estimate(model, x[:, :, :4], temperatures=3)
    with pytest.raises(ValueError, match=r"shape \(chains, 2, 2\).*not \(4, 3, 2\)"):
        ais.init(hmc.path(model, x), torch.zeros(4, 3, 2))
    with pytest.raises(ValueError, match="radius"):
        ais.schedule(5, radius=0)
    x[1] = math.nan
    with pytest.raises(ValueError, match="of 1 data, the first of them number 11, are not finite"):
        ais.estimate(model, x, temperatures=3, first=10)
