"""Priors over code maps: every probability of tiny ones, counted, and draws against them."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor

from vae.code_prior import CodePrior, UniformPrior

#: Shape (L, H, W) and codes of maps that can be counted: 16, 256 and 81 of them.
TINY = [((1, 2, 2), 2), ((2, 2, 2), 2), ((2, 1, 2), 3)]
N = 1_000  # draws


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def every_map(shape: tuple[int, int, int], n_codes: int) -> Tensor:
    """All maps (n, L, H, W)."""
    n = shape[0] * shape[1] * shape[2]
    return torch.tensor(list(product(range(n_codes), repeat=n))).view(-1, *shape)


def lively(shape: tuple[int, int, int], n_codes: int) -> CodePrior:
    """One whose codes depend on those before, in float64."""
    prior = CodePrior(shape, n_codes).double().requires_grad_(False)
    prior.head.weight.normal_(std=0.3)
    prior.head.bias.normal_(std=0.5)
    prior.tokens.weight.normal_()
    return prior


@pytest.mark.parametrize(("shape", "n_codes"), [*TINY, ((1, 1, 1), 5), ((1, 7, 7), 128)])
def test_an_untrained_prior_is_the_uniform_one_exactly(shape, n_codes):
    codes = torch.randint(n_codes, (20, *shape))
    prior, uniform = CodePrior(shape, n_codes).double(), UniformPrior(shape, n_codes)
    line = prior.in_line(codes)
    assert (prior.logits(line[:, :-1]) == 0).all()
    expected = -torch.tensor(float(n_codes)).double().log() * line.shape[1]
    torch.testing.assert_close(prior.log_prob(codes), expected.expand(20))
    torch.testing.assert_close(uniform.log_prob(codes).double(), expected.expand(20))
    assert uniform.nats == pytest.approx(-expected.item())


@pytest.mark.parametrize(("shape", "n_codes"), [*TINY, ((1, 1, 1), 5)])
def test_probabilities_of_all_maps_add_up_to_one(shape, n_codes):
    prior, maps = lively(shape, n_codes), every_map(shape, n_codes)
    log_p = prior.log_prob(maps)
    assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-12)
    assert log_p.std() > 0.1, "all the same, they would show nothing"
    assert UniformPrior(shape, n_codes).log_prob(maps).exp().sum().item() == pytest.approx(1)
    torch.testing.assert_close(prior.log_probs(maps).sum(-1), log_p)


def test_no_code_depends_on_a_later_one():
    prior = lively((2, 3, 3), 5)
    line = torch.randint(5, (1, 18))
    before = prior.log_probs(prior.as_maps(line))[0]
    for place in range(18):
        other = line.clone()
        other[0, place] = (other[0, place] + 1) % 5
        after = prior.log_probs(prior.as_maps(other))[0]
        torch.testing.assert_close(after[:place], before[:place], rtol=0, atol=1e-12)
        assert ((after[place:] - before[place:]).abs() > 1e-6).all(), "each later one hears of it"


def test_all_terms_at_once_are_those_of_code_after_code():
    prior = lively((2, 2, 3), 4)
    line = torch.randint(4, (3, 12))
    logits = prior.logits(line[:, :-1])
    for place in range(12):
        torch.testing.assert_close(prior.logits(line[:, :place])[:, -1], logits[:, place])
    terms = logits.log_softmax(-1).gather(-1, line[..., None])[..., 0]
    torch.testing.assert_close(prior.log_probs(prior.as_maps(line)), terms)


def test_the_line_goes_row_by_row_with_the_levels_of_a_place_together():
    prior = CodePrior((2, 2, 3), 100)
    codes = torch.arange(12).view(1, 2, 2, 3)  # the first level 0 to 5, the second 6 to 11
    line = prior.in_line(codes)
    assert line.tolist() == [[0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11]]
    assert torch.equal(prior.as_maps(line), codes)
    many = torch.randint(100, (7, 2, 2, 3))
    assert torch.equal(prior.as_maps(prior.in_line(many)), many)


def frequencies(maps: Tensor, of: Tensor) -> Tensor:
    """How often each map occurs among draws, as a share."""
    return (of.flatten(1)[:, None] == maps.flatten(1)).all(-1).double().mean(0)


@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
def test_draws_come_as_often_as_they_are_likely(temperature):
    shape, n_codes = (2, 1, 1), 4
    prior, maps = lively(shape, n_codes), every_map(shape, n_codes)
    drawn = prior.sample(N, torch.Generator().manual_seed(1), temperature=temperature)
    assert drawn.shape == (N, *shape) and drawn.dtype == torch.int64
    line = prior.in_line(maps)
    terms = (prior.logits(line[:, :-1]) / temperature).log_softmax(-1)
    p = terms.gather(-1, line[..., None]).sum((1, 2)).exp()
    error = (p * (1 - p) / N).sqrt()
    assert ((frequencies(maps, drawn) - p).abs() < 4 * error + 1 / N).all()
    if temperature == 1:
        torch.testing.assert_close(p, prior.log_prob(maps).exp())


def test_draws_of_the_uniform_prior_are_even_and_the_same_again():
    prior, maps = UniformPrior((1, 1, 2), 3), every_map((1, 1, 2), 3)
    drawn = prior.sample(N, torch.Generator().manual_seed(0))
    assert drawn.shape == (N, 1, 1, 2) and drawn.dtype == torch.int64
    p = 1 / 9
    assert ((frequencies(maps, drawn) - p).abs() < 4 * (p * (1 - p) / N) ** 0.5).all()
    assert torch.equal(drawn, prior.sample(N, torch.Generator().manual_seed(0)))


def test_a_cold_prior_draws_the_likeliest_codes():
    prior = lively((1, 2, 2), 4)
    drawn = prior.sample(30, torch.Generator().manual_seed(0), temperature=1e-4)
    line = torch.empty(1, 0, dtype=torch.long)
    for _ in range(4):
        line = torch.cat((line, prior.logits(line)[:, -1:].argmax(-1)), 1)
    assert torch.equal(drawn, prior.as_maps(line).expand(30, -1, -1, -1))


@pytest.mark.parametrize("given", [0, 1, 4])
def test_the_beginning_that_is_given_is_kept_and_the_rest_follows_on_it(given):
    shape, n_codes = (2, 2, 1), 2
    prior = lively(shape, n_codes)
    codes = torch.randint(n_codes, shape)
    drawn = prior.sample(N, torch.Generator().manual_seed(2), given=given, codes=codes)
    start = prior.in_line(codes[None])[0, :given]
    assert (prior.in_line(drawn)[:, :given] == start).all()
    maps = every_map(shape, n_codes)
    maps = maps[(prior.in_line(maps)[:, :given] == start).all(-1)]
    p = prior.log_prob(maps).softmax(-1)  # p(rest given beginning), by Bayes
    error = (p * (1 - p) / N).sqrt()
    assert ((frequencies(maps, drawn) - p).abs() < 4 * error + 1 / N).all()
    assert frequencies(maps, drawn).sum().item() == pytest.approx(1)


def test_gradients_reach_every_weight():
    prior = CodePrior((2, 2, 2), 3)
    torch.nn.init.normal_(prior.head.weight)
    prior.log_prob(torch.randint(3, (50, 2, 2, 2))).mean().backward()
    for name, weight in prior.named_parameters():
        assert weight.grad.isfinite().all() and weight.grad.abs().sum() > 0, name


def test_drawing_code_by_code_agrees_with_the_whole_sequence() -> None:
    """What is kept of earlier places gives the logits that all of them together give."""
    torch.manual_seed(0)
    prior = CodePrior((2, 2, 2), 5)
    torch.nn.init.normal_(prior.head.weight)
    drawn = prior.sample(64, torch.Generator().manual_seed(3))
    line, generator = prior.in_line(drawn), torch.Generator().manual_seed(3)
    with torch.no_grad():
        for i in range(prior.n):
            logits = prior.logits(line[:, :i])[:, -1]
            expected = torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]
            assert torch.equal(line[:, i], expected)
