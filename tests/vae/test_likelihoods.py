"""The continuous Bernoulli against quadrature and against PyTorch where PyTorch is right."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, ContinuousBernoulli, Independent, Normal

from vae.likelihoods import StableContinuousBernoulli, log_base, natural

NODES, WEIGHTS = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(200))
X, W = (NODES + 1) / 2, WEIGHTS / 2
LOGITS = [0.0, 1e-6, -1e-3, 0.1, 0.4999, 0.5001, -2.0, 10.0, -17.0, 30.0, -60.0]


@pytest.mark.parametrize("logit", LOGITS)
def test_it_integrates_to_one_and_has_the_mean_it_says(logit):
    p = StableContinuousBernoulli(logits=torch.tensor(logit, dtype=torch.float64))
    density = p.log_prob(X).exp()
    assert (W * density).sum().item() == pytest.approx(1, abs=1e-12)
    assert (W * density * X).sum().item() == pytest.approx(p.mean.item(), abs=1e-12)
    variance = (W * density * (X - p.mean) ** 2).sum().item()
    assert variance == pytest.approx(p.variance.item(), abs=1e-11)  # a series of five terms


@pytest.mark.parametrize("logit", [-60.0, -16.0, -1.0, -1e-4, 0.0, 1e-4, 1.0, 16.0, 60.0])
def test_its_draws_have_its_mean_and_variance(logit):
    n = 100_000
    p = StableContinuousBernoulli(logits=torch.tensor(logit))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        x = p.sample((n,)).double()
    assert x.min() >= 0 and x.max() <= 1
    mean, variance = p.mean.double(), p.variance.double()
    assert abs(x.mean() - mean) < 4 * (variance / n).sqrt()
    squares = (x - mean) ** 2
    assert abs(squares.mean() - variance) < 4 * squares.std() / n**0.5


@pytest.mark.parametrize("logit", [-300.0, -17.0, -1e-3, -9e-5, 0.0, 1.1e-4, 0.7, 30.0, 300.0])
def test_its_quantiles_undo_its_distribution_function(logit):
    """Against expm1(l x) / expm1(l), turned over so that nothing overflows."""
    x = torch.linspace(0, 1, 41, dtype=torch.float64)
    size = abs(logit)
    below = torch.expm1(-size * x) / np.expm1(-size) if logit else x  # of the mirrored, falling one
    u = below if logit <= 0 else (1 - below).flip(0)
    found = StableContinuousBernoulli(logits=torch.tensor(logit, dtype=torch.float64)).icdf(u)
    kept = (below < 1 - 1e-6) if logit <= 0 else (below < 1 - 1e-6).flip(0)  # u has digits there
    torch.testing.assert_close(found[kept], x[kept], rtol=0, atol=2e-9)
    ends = StableContinuousBernoulli(logits=torch.tensor(logit)).icdf(torch.tensor([0.0, 1.0]))
    assert ends.tolist() == [0, 1]


@pytest.mark.parametrize("logit", LOGITS)
def test_float32_is_as_good_as_its_digits(logit):
    x = X.float()
    single = StableContinuousBernoulli(logits=torch.tensor(logit)).log_prob(x)
    double = StableContinuousBernoulli(logits=torch.tensor(logit).double()).log_prob(x.double())
    torch.testing.assert_close(single.double(), double, atol=1e-5, rtol=1e-6)


@pytest.mark.parametrize("logit", [-5.0, -1.0, 2.0, 8.0])
def test_it_agrees_with_pytorch_where_pytorch_is_right(logit):
    logits = torch.tensor(logit, dtype=torch.float64)
    ours, theirs = StableContinuousBernoulli(logits=logits), ContinuousBernoulli(logits=logits)
    torch.testing.assert_close(ours.log_prob(X), theirs.log_prob(X))
    torch.testing.assert_close(ours.mean, theirs.mean)


@pytest.mark.parametrize("logit", [0.0, 0.3, -0.7, 25.0])
def test_its_gradient_is_that_of_its_formula(logit):
    logits = torch.tensor([logit], dtype=torch.float64, requires_grad=True)
    x = torch.tensor([0.3], dtype=torch.float64)

    def log_prob(logits: torch.Tensor) -> torch.Tensor:
        return StableContinuousBernoulli(logits=logits, validate_args=False).log_prob(x)

    assert torch.autograd.gradcheck(log_prob, logits)


PARAMETERS = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
FAMILIES = [
    Bernoulli(logits=3 * PARAMETERS),
    StableContinuousBernoulli(logits=3 * PARAMETERS),
    Normal(PARAMETERS, torch.full_like(PARAMETERS, 0.3)),
]


@pytest.mark.parametrize("base", FAMILIES, ids=lambda base: type(base).__name__)
@pytest.mark.parametrize("observed", [None, torch.tensor([1, 0, 0, 1, 1, 0]).bool()])
def test_natural_form_gives_the_log_likelihood_of_what_is_observed(base, observed):
    p_x = Independent(base, 2)
    x = (torch.rand(5, 2, 3, generator=torch.Generator().manual_seed(1)) > 0.5).double()
    eta, log_partition = natural(p_x, observed)
    flat = x.flatten(1) if observed is None else x.flatten(1)[:, observed]
    found = eta @ flat.T - log_partition[:, None] + log_base(p_x, x, observed)
    each = base.log_prob(x[:, None]).flatten(2)
    expected = (each if observed is None else each[..., observed]).sum(-1).T
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_natural_form_refuses_another_family():
    with pytest.raises(TypeError, match="not one of the likelihoods"):
        natural(Independent(torch.distributions.Laplace(PARAMETERS, 1.0), 2))
