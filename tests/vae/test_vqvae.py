"""The VQ-VAE: its bound against the truth, its objective by hand, its parts in every size."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from vae import code_record, evaluate
from vae.code_prior import CodePrior, UniformPrior
from vae.config import RunConfig, halvings
from vae.model import count_parameters, flops_per_datum
from vae.vqvae import VQVAE, initialise

LIKELIHOODS = ["bernoulli", "continuous-bernoulli", "gaussian"]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def config_of(**fields: Any) -> RunConfig:
    given = {"model": "vq-vae", "dataset": "digits", "hidden": (12,), "latent_dim": 3}
    given |= {"n_codes": 9, "map_side": 2, "batch_size": 20}
    if fields.get("likelihood", "bernoulli") != "bernoulli":
        given["binarisation"] = "none"
    return RunConfig(**{**given, **fields})


def built(config: RunConfig) -> VQVAE:
    """One with codes where its encoder's answers are, and a prior that has opinions; float64."""
    model = VQVAE(config)
    if config.quantiser == "vq":
        initialise(model, evaluate.examples(config, "train", 200), config)
    if config.prior_epochs:
        torch.nn.init.normal_(model.prior.head.weight, std=0.3)
    return model.double()


def data_of(config: RunConfig, n: int = 30) -> Tensor:
    return evaluate.examples(config, n=n).double()


# The bound


@pytest.mark.parametrize("prior_epochs", [0, 1])
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_the_bound_lies_below_log_p_by_what_q_leaves_out(likelihood, prior_epochs):
    config = config_of(map_side=1, likelihood=likelihood, prior_epochs=prior_epochs)
    model, x = built(config), data_of(config)
    with torch.no_grad():
        joint = torch.stack(  # code by code
            [
                model.decode(code).log_prob(x) + model.prior.log_prob(code)
                for code in torch.arange(9).view(9, 1, 1, 1, 1)
            ],
            -1,
        )
        log_p = joint.exp().sum(-1).log() if likelihood == "bernoulli" else joint.logsumexp(-1)
        torch.testing.assert_close(model.log_joint(x), joint)
        torch.testing.assert_close(model.log_evidence(x), log_p)
        chosen = model.encode(x).flatten()
        gap = log_p - model.bound(x).elbo
        # KL(one-hot ‖ p(k|x)) = −log p(k*|x)
        torch.testing.assert_close(gap, -(joint - log_p[:, None])[range(30), chosen])
    assert (gap > 0).all() and gap.max() > 1e-3


def test_any_codes_give_a_bound_and_the_likeliest_the_best():
    model = built(config := config_of(map_side=1))
    x = data_of(config)
    with torch.no_grad():
        every = [
            model.bound(x, torch.full((30, 1, 1, 1), k, dtype=torch.long)).elbo for k in range(9)
        ]
        log_p = model.log_evidence(x)
        assert all((elbo <= log_p).all() for elbo in every)
        torch.testing.assert_close(torch.stack(every).amax(0), model.log_joint(x).amax(-1))
        assert (torch.stack(every).amax(0) >= model.bound(x).elbo).all()


@pytest.mark.parametrize("fields", [{}, {"levels": 2}])
def test_log_p_of_more_than_one_code_is_refused_in_a_sentence(fields):
    side = 1 if fields else 2
    config = config_of(map_side=side, **fields)
    with pytest.raises(ValueError, match=r"exact values need a map of 1 × 1 with one level\."):
        VQVAE(config).log_evidence(evaluate.examples(config, n=2))


@pytest.mark.parametrize("levels", [1, 3])
def test_the_rate_under_a_uniform_prior_is_that_of_naming_all_codes(levels):
    model = built(config := config_of(levels=levels))
    x = data_of(config)
    with torch.no_grad():
        bound = model.bound(x)
        expected = torch.full((30,), levels * 4 * math.log(9)).double()
        torch.testing.assert_close(bound.rate.double(), expected)
        assert model.uniform == pytest.approx(levels * 4 * math.log(9)) and model.n_latents == (
            levels * 4
        )
        distortion = -model.decode(model.encode(x)).log_prob(x)
        torch.testing.assert_close(bound.distortion, distortion)
        torch.testing.assert_close(bound.elbo, -(distortion + expected))


# Its objective


@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("codebook", ["ema", "loss"])
def test_the_objective_is_equation_3_and_teaches_the_codebook(codebook, levels):
    model = built(config := config_of(codebook=codebook, levels=levels, commitment=0.7))
    x = data_of(config)
    z = model.encoder(x).permute(0, 2, 3, 1)
    left, z_q = z, torch.zeros_like(z)
    first = second = 0
    for book in model.quantiser.codebook:
        e = book[(left.detach()[..., None, :] - book).square().sum(-1).argmin(-1)]
        first = first + (left.detach() - e).square().sum()
        second = second + (left - e.detach()).square().sum()
        left, z_q = left - e.detach(), z_q + e.detach()
    log_p = model.decode_vectors(z + (z_q - z).detach()).log_prob(x).mean()
    expected = log_p - (first + 0.7 * second) / 30
    weights = [w for w in model.parameters() if w.requires_grad]
    slopes = torch.autograd.grad(expected, weights)
    before = model.quantiser.uses.clone()
    found = model.objective(x)
    torch.testing.assert_close(found, expected)
    for mine, theirs in zip(torch.autograd.grad(found, weights), slopes, strict=True):
        torch.testing.assert_close(mine, theirs)
    assert not torch.equal(model.quantiser.uses, before)


def test_the_second_objective_teaches_the_prior_alone():
    model = built(config := config_of(prior_epochs=1))
    x, before = data_of(config), copy.deepcopy(model.state_dict())
    found = model.prior_objective(x)
    torch.testing.assert_close(found, -model.bound(x).rate.mean())
    found.backward()
    taught = {name for name, w in model.named_parameters() if w.grad is not None}
    assert taught == {name for name, _ in model.named_parameters() if name.startswith("prior.")}
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())


# Its sizes

CONV = [
    ("mnist-subset", (4, 6, 8), side, levels)
    for side, levels in zip(halvings(28)[1:], (1, 2, 3, 4, 1), strict=True)
] + [("digits", (4, 6, 8), side, 1) for side in halvings(8)[1:]]
SIZES = [
    *(
        {"dataset": d, "hidden": h, "map_side": s, "levels": n, "body": "conv"}
        for d, h, s, n in CONV
    ),
    *({"map_side": side, "levels": levels} for side, levels in ((1, 4), (3, 3), (5, 2), (8, 1))),
    {"quantiser": "fsq", "fsq_levels": (5, 4, 3), "n_codes": 60},
    {"codebook": "loss", "cosine": True, "through": "rotation", "prior_epochs": 3},
    {"dataset": "pinwheel", "likelihood": "gaussian", "map_side": 2, "prior_epochs": 1},
]


@pytest.mark.parametrize("fields", SIZES, ids=lambda f: "-".join(str(v) for v in f.values()))
def test_every_size_has_its_shapes_and_its_parameters_are_counted(fields):
    config = config_of(**fields)
    model, x = VQVAE(config), torch.rand(5, *config.shape).round()
    side, levels = config.map_side, config.levels
    assert model.latents(x).shape == (5, side, side, 3)
    codes = model.encode(x)
    assert codes.shape == (5, levels, side, side) and codes.dtype == torch.int64
    assert codes.ge(0).all() and codes.lt(config.n_codes).all()
    for n in range(1, levels + 1):
        assert model.vectors(codes[:, :n]).shape == (5, side, side, 3)
    p_x = model.decode(codes)
    assert (p_x.batch_shape, p_x.event_shape) == ((5,), config.shape)
    bound = model.bound(x)
    assert bound.elbo.shape == (5,) and bound.elbo.isfinite().all()
    assert isinstance(model.prior, UniformPrior)
    assert isinstance(model.prior, CodePrior) == bool(config.prior_epochs)
    n = sum(w.numel() for w in model.parameters())
    if config.quantiser == "vq" and config.codebook == "ema":
        n += model.quantiser.codebook.numel()
    assert count_parameters(config) == n and flops_per_datum(config) > 0
    assert model.objective(x).isfinite()
    again = VQVAE(config)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.encode(x), model.encode(x))


def test_operations_grow_with_codes_and_with_levels():
    flops = [flops_per_datum(config_of(n_codes=n, levels=k)) for n, k in ((9, 1), (10, 1), (9, 2))]
    one = 2 * 4 * 3  # a code more: a product of 3 numbers at each of 4 places
    assert flops[1] - flops[0] == one and flops[2] - flops[0] == 9 * one


# What is recorded


@pytest.mark.parametrize("fields", [{}, {"levels": 2, "prior_epochs": 1}, {"through": "rotation"}])
def test_what_is_recorded_is_what_one_computes_by_hand(fields):
    config = config_of(**fields)
    model = built(config)
    levels, n_codes = config.levels, 9
    sets = {"train": evaluate.examples(config, "train", 70).double(), "held_out": data_of(config)}
    model.before.sub_(torch.tensor([0.3, 0.0, 0.4]))  # every code moved by half
    model.quantiser.revived[:, 2] = 3
    before = copy.deepcopy(model.state_dict())
    found = code_record.record(model, sets, batch_size=20)
    for name, t in model.state_dict().items():
        expected = model.quantiser.codebook if name == "before" else before[name]
        assert torch.equal(t, expected), name
    assert found["moved"] == pytest.approx(0.5) and found["revived"] == 3 * levels
    with torch.no_grad():
        for split, x in sets.items():
            line, bound = found[split], model.bound(x)
            codes, z = model.encode(x), model.latents(x)
            assert line["elbo"] == pytest.approx(bound.elbo.mean().item())
            se = bound.elbo.std().item() / len(x) ** 0.5
            assert line["elbo_se"] == pytest.approx(se)
            assert line["rate"] == pytest.approx(bound.rate.mean().item())
            assert line["distortion"] == pytest.approx(bound.distortion.mean().item())
            uniform = levels * 4 * math.log(n_codes)
            assert line["rate_uniform"] == pytest.approx(uniform)
            assert line["elbo_uniform"] == pytest.approx(-line["distortion"] - uniform)
            bits = -line["elbo"] / 64 / math.log(2)
            assert line["bits_per_dim"] == pytest.approx(bits)
            error = (model.decode(codes).mean - x).square().mean().item()
            assert line["squared_error"] == pytest.approx(error)
            pulls = 0.0
            for level in range(levels):
                z_q = model.vectors(codes[:, : level + 1])
                pulls += (z - z_q).square().sum().item() / len(x)
            assert line["commitment"] == pytest.approx(pulls)
            assert line["codebook"] == pytest.approx(pulls)
            for level in range(levels):
                whole = by_hand(codes[:, level].flatten().tolist(), n_codes)
                parts = [
                    by_hand(codes[at : at + 20, level].flatten().tolist(), n_codes)
                    for at in range(0, len(x), 20)
                ]
                names = ("perplexity", "usage", "dead")
                for name, value in zip(names, whole, strict=True):
                    assert line[name][level] == pytest.approx(value, abs=6e-4)
                for at, name in enumerate(("batch_perplexity", "batch_usage")):
                    mean = sum(part[at] for part in parts) / len(parts)
                    assert line[name][level] == pytest.approx(mean, abs=6e-4)


def by_hand(codes: list[int], n_codes: int) -> tuple[float, float, int]:
    """Perplexity, the share of codes that are used, and how many are not."""
    shares = [codes.count(k) / len(codes) for k in range(n_codes)]
    entropy = -sum(p * math.log(p) for p in shares if p)
    return math.exp(entropy), sum(p > 0 for p in shares) / n_codes, shares.count(0)


def test_judging_in_parts_changes_nothing(monkeypatch):
    model = built(config := config_of(levels=2))
    whole = code_record.judge(model, data_of(config))
    monkeypatch.setattr(code_record, "ROWS", 7)
    parts = code_record.judge(model, data_of(config))
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other)


def test_perplexity_runs_from_one_to_all_codes():
    counts = torch.tensor([[8, 0, 0, 0], [2, 2, 2, 2], [3, 3, 0, 0]]).numpy()
    spent = code_record.Spending(counts)
    assert spent.perplexity.tolist() == pytest.approx([1, 4, 2])
    assert spent.dead.tolist() == [3, 0, 2] and spent.used.tolist() == [0.25, 1, 0.5]
    nothing = code_record.Spending(0 * counts)
    assert (nothing.share == 0).all() and nothing.dead.tolist() == [4, 4, 4]
