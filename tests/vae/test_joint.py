"""log p(x, z) as one matrix product, against the model's own distributions."""

from __future__ import annotations

import pytest
import torch

from tests.vae.exact_models import linear_model, steep_model
from vae import evaluate
from vae.config import RunConfig
from vae.dense import dense, split
from vae.joint import Joint
from vae.model import VAE


def conv() -> VAE:
    torch.manual_seed(0)
    config = RunConfig(dataset="digits", body="conv", hidden=(2, 3, 8))
    return VAE(config).double().requires_grad_(False)


MODELS = {
    "bernoulli": lambda: steep_model("bernoulli"),
    "grey": lambda: steep_model("continuous-bernoulli"),
    "gaussian": lambda: steep_model("gaussian"),
    "linear": linear_model,
    "conv": conv,
    "float32": lambda: steep_model("bernoulli").float(),
    "extreme": lambda: steep_model("bernoulli", steep=12.0).float(),  # logits beyond 1,000
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("masked", [False, True])
def test_it_is_the_models_own_joint(name, masked):
    model, observed = MODELS[name](), torch.arange(64) % 3 > 0
    x = evaluate.examples(RunConfig(dataset="digits"), n=5).to(model.zero)
    z = 2 * torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    joint = Joint(model, observed if masked else None)
    (t, c), (phi, b) = joint.project(x), joint.at(z)
    found = (phi @ t.T + b[:, None]).double() + c
    p_x = model.double().decode(z.double()[:, None])
    each = p_x.base_dist.log_prob(x.double()).flatten(2)
    expected = each[..., observed].sum(-1) if masked else each.sum(-1)
    expected = expected + model.prior().log_prob(z.double())[:, None]
    single = joint.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=1e-5 if single else 1e-12, atol=1e-3)


@pytest.mark.parametrize("activation", ["none", "relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dense_is_a_linear_layer_and_what_follows(activation, dtype):
    torch.manual_seed(0)
    layer, h = torch.nn.Linear(7, 5, dtype=dtype).requires_grad_(False), torch.randn(3, 7).to(dtype)
    after = {"none": lambda a: a} | {n: getattr(torch, n) for n in ("relu", "tanh", "sigmoid")}
    expected = after[activation](layer(h))
    torch.testing.assert_close(dense(h, layer.weight, layer.bias, activation), expected)


def test_a_convolutional_decoder_is_not_split():
    decoder = conv().decoder
    body, last = split(decoder)
    z = torch.randn(3, 2, dtype=torch.float64)
    assert last is None
    torch.testing.assert_close(body(z), decoder(z).flatten(1))
