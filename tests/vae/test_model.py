"""The model: shapes, densities, gradients, and what it costs."""

from __future__ import annotations

import itertools
import math
import time

import psutil
import pytest
import torch
from torch.distributions import Normal

from vae import config as configuration
from vae.config import ConfigError, RunConfig
from vae.model import MAX_PARAMETERS, VAE, count_parameters, flops_per_datum
from vae.nn import mlp

FAMILIES = ("diagonal", "full", "flow")
BINARISATION = {"bernoulli": "dynamic", "continuous-bernoulli": "none", "gaussian": "none"}
HIDDEN = {"mlp": (16, 8), "conv": (3, 5, 8)}
BODIES = [(body, family) for body in HIDDEN for family in FAMILIES]
BODIES += [("linear", family) for family in FAMILIES]


def make(body="mlp", likelihood="bernoulli", latent_dim=2, dataset="digits", **fields) -> RunConfig:
    return RunConfig(
        dataset=dataset,
        body=body,
        hidden=fields.pop("hidden", HIDDEN.get(body, ())),
        likelihood=likelihood,
        binarisation=BINARISATION[likelihood],
        latent_dim=latent_dim,
        **fields,
    )


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("latent_dim", [1, 2, 50])
@pytest.mark.parametrize("likelihood", BINARISATION)
@pytest.mark.parametrize("body", HIDDEN)
@pytest.mark.parametrize("dataset", ["digits", "mnist-subset"])
def test_shapes(dataset, body, likelihood, latent_dim):
    config = make(body, likelihood, latent_dim, dataset)
    model, shape = VAE(config), config.shape
    assert model.prior().event_shape == (latent_dim,) and model.prior().batch_shape == ()
    for lead in [(), (4,), (3, 4), (2, 3, 4)]:
        x = torch.rand(*lead, *shape).round()
        q = model.encode(x)
        assert (q.batch_shape, q.event_shape) == (lead, (latent_dim,))
        p_x = model.decode(q.rsample())
        assert (p_x.batch_shape, p_x.event_shape) == (lead, shape)
        assert p_x.log_prob(x).shape == lead and p_x.mean.shape == (*lead, *shape)
    assert model.log_weights(torch.rand(4, *shape).round(), K=3).shape == (3, 4)


@pytest.mark.parametrize("dataset", ["gaussian-mixture", "pinwheel"])
def test_shapes_of_points_in_the_plane(dataset):
    model = VAE(make(likelihood="gaussian", dataset=dataset))
    p_x = model.decode(model.encode(torch.randn(3, 4, 2)).rsample())
    assert (p_x.batch_shape, p_x.event_shape) == ((3, 4), (2,))


def test_a_batch_is_a_set_of_single_data():
    model = VAE(make("conv")).double()
    x = torch.rand(2, 3, 1, 8, 8).double()
    together, alone = model.encode(x).base_dist, model.encode(x[1, 2]).base_dist
    torch.testing.assert_close(together.loc[1, 2], alone.loc)
    z = torch.randn(2, 3, 2).double()
    torch.testing.assert_close(model.decode(z).mean[1, 2], model.decode(z[1, 2]).mean)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_log_weights_equal_a_computation_by_hand(likelihood):
    model = VAE(make(likelihood=likelihood, latent_dim=3)).double()
    x = torch.rand(5, 1, 8, 8).double().round()
    torch.manual_seed(7)
    log_w = model.log_weights(x, K=4)
    torch.manual_seed(7)
    noise = torch.normal(torch.zeros(4, 5, 3).double(), torch.ones(4, 5, 3).double())
    loc, log_scale = model.encoder(x).chunk(2, -1)
    z = loc + noise * log_scale.exp()
    out = model.decoder(z.reshape(-1, 3)).reshape(4, 5, 64)
    pixels = x.reshape(5, 64).expand(4, 5, 64)
    if likelihood == "bernoulli":
        log_p_x = pixels * out - torch.nn.functional.softplus(out)
    else:
        s = model.log_scale.exp()
        log_p_x = -0.5 * ((pixels - out) / s) ** 2 - s.log() - 0.5 * math.log(2 * math.pi)
    log_p_z = -0.5 * z**2 - 0.5 * math.log(2 * math.pi)
    log_q = -0.5 * noise**2 - log_scale - 0.5 * math.log(2 * math.pi)
    by_hand = log_p_x.sum(-1) + log_p_z.sum(-1) - log_q.sum(-1)
    torch.testing.assert_close(log_w, by_hand)


def test_a_bernoulli_decoder_sums_to_one_over_all_pictures(monkeypatch):
    monkeypatch.setitem(configuration.DATA_SHAPES, "digits", (1, 3, 3))
    model = VAE(make()).double()
    pictures = torch.tensor(list(itertools.product([0.0, 1.0], repeat=9))).double()
    log_p = model.decode(torch.randn(6, 2).double()).log_prob(pictures.reshape(-1, 1, 1, 3, 3))
    torch.testing.assert_close(log_p.logsumexp(0), torch.zeros(6).double(), rtol=0, atol=1e-10)


@pytest.mark.parametrize(("likelihood", "low", "high"), [
    ("continuous-bernoulli", 0.0, 1.0),
    ("gaussian", -8.0, 8.0),
])  # fmt: skip
def test_a_density_over_a_pixel_integrates_to_one(likelihood, low, high):
    model = VAE(make(likelihood=likelihood)).double()
    pixels = model.decode(4 * torch.randn(5, 2).double()).base_dist
    grey = torch.linspace(low, high, 4_001).double().reshape(-1, 1, 1, 1, 1)
    total = torch.trapezoid(pixels.log_prob(grey).exp(), dx=(high - low) / 4_000, dim=0)
    # PyTorch expands the normaliser about 1/2 to second order: off by less than 1e-6 there.
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-6)


def test_the_gaussian_decoder_has_one_learnt_scale():
    model = VAE(make(likelihood="gaussian"))
    with torch.no_grad():
        model.log_scale.fill_(math.log(0.3))
    z, x = torch.randn(4, 2), torch.rand(4, 1, 8, 8)
    by_hand = Normal(model.decoder(z), 0.3).log_prob(x).sum((-3, -2, -1))
    torch.testing.assert_close(model.decode(z).log_prob(x), by_hand)


@pytest.mark.parametrize("likelihood", BINARISATION)
@pytest.mark.parametrize("body", HIDDEN)
def test_gradients_reach_every_parameter(body, likelihood):
    model = VAE(make(body, likelihood, activation="tanh"))
    model.log_weights(torch.rand(8, 1, 8, 8).round(), K=2).mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0, name


def test_the_prior_is_no_parameter_and_is_not_stored():
    assert not any("zero" in name or "one" in name for name in VAE(make()).state_dict())


@pytest.mark.parametrize("likelihood", BINARISATION)
@pytest.mark.parametrize("body", HIDDEN)
def test_parameters_are_counted_as_they_are(body, likelihood):
    config = make(body, likelihood, 7)
    assert count_parameters(config) == sum(p.numel() for p in VAE(config).parameters())


@pytest.mark.parametrize(("body", "family"), BODIES)
def test_every_body_answers_in_every_family(body, family):
    config = make(body, "gaussian", 3, family=family)
    model, x = VAE(config), torch.rand(2, 4, 1, 8, 8)
    q = model.encode(x)
    assert (q.batch_shape, q.event_shape) == ((2, 4), (3,))
    log_w = model.log_weights(x[0], K=5)
    log_w.mean().backward()
    assert log_w.shape == (5, 4)
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0, name
    assert count_parameters(config) == sum(p.numel() for p in model.parameters())
    assert flops_per_datum(config) > 0


def test_a_diagonal_model_keeps_its_names():
    names = {name.split(".")[0] for name in VAE(make(likelihood="gaussian")).state_dict()}
    assert names == {"encoder", "decoder", "log_scale"}


@pytest.mark.parametrize("config", [
    RunConfig(hidden=(8192,) * 6),
    RunConfig(body="conv", hidden=(8192,) * 3),
    RunConfig(dataset="mnist", hidden=(8192, 8192, 1), latent_dim=128),
])  # fmt: skip
def test_absurd_sizes_are_refused_at_once_and_nothing_is_allocated(config):
    before, times = psutil.Process().memory_info().rss, []
    for _ in range(3):
        started = time.perf_counter()
        with pytest.raises(ConfigError, match=r"parameters and the limit is .*make the hidden"):
            VAE(config)
        times.append(time.perf_counter() - started)
    assert min(times) < 0.1  # the quickest of three: other processes share the machine
    assert psutil.Process().memory_info().rss - before < 20e6  # the smallest would take 280 MB


def test_the_limit_itself_is_reasonable():
    assert count_parameters(RunConfig(hidden=(2000, 2000))) < MAX_PARAMETERS


def test_flops_of_an_mlp_by_hand():
    forward_encoder = 2 * (64 * 16 + 16 * 8 + 8 * 4)
    forward_decoder = 2 * (2 * 8 + 8 * 16 + 16 * 64)
    assert flops_per_datum(make()) == 3 * (forward_encoder + forward_decoder)
    iwae = make(objective="iwae", k=5)
    assert flops_per_datum(iwae) == 3 * (forward_encoder + 5 * forward_decoder)


def test_flops_of_a_convolutional_body_by_hand():
    first, second, dense = HIDDEN["conv"]
    outer, inner = 4 * 4 * 16 * 1 * first, 2 * 2 * 16 * first * second  # outputs x window x maps
    encoder = outer + inner + second * 2 * 2 * dense + dense * 4
    decoder = 2 * dense + dense * second * 2 * 2 + inner + outer
    assert flops_per_datum(make("conv")) == 3 * 2 * (encoder + decoder)


def test_an_mlp_ends_without_activation():
    kinds = [type(layer).__name__ for layer in mlp([3, 4, 5, 2], "tanh")]
    assert kinds == ["Linear", "Tanh", "Linear", "Tanh", "Linear"]
    with pytest.raises(KeyError):
        mlp([3, 4, 2], "sine")
