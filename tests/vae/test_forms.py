"""The three forms of the ELBO against the closed form of a linear-Gaussian model."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal, StudentT

import vae.families  # noqa: F401  (registers the divergence of a full Gaussian)
from vae.forms import three_forms

N, D, SIGMAS = 6, 2, 4
PRIOR = Independent(Normal(torch.zeros(D).double(), torch.ones(D).double()), 1)
GENERATOR = torch.Generator().manual_seed(0)
WEIGHT, X = (
    torch.randn(4, D, generator=GENERATOR).double(),
    torch.randn(N, 4, generator=GENERATOR).double(),
)
PRECISION = torch.eye(D).double() + WEIGHT.T @ WEIGHT
POSTERIOR = MultivariateNormal(
    torch.linalg.solve(PRECISION, WEIGHT.T @ X.T).T, precision_matrix=PRECISION
)
EVIDENCE = MultivariateNormal(
    torch.zeros(4).double(), WEIGHT @ WEIGHT.T + torch.eye(4).double()
).log_prob(X)


def drawn(q: Distribution, K: int) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    z = q.sample((K,))
    log_likelihood = Independent(Normal(z @ WEIGHT.T, 1.0), 1).log_prob(X)
    return log_likelihood, PRIOR.log_prob(z), q.log_prob(z)


def full() -> MultivariateNormal:
    return MultivariateNormal(POSTERIOR.mean + 0.3, scale_tril=1.2 * POSTERIOR.scale_tril)


def factorised() -> Independent:
    return Independent(Normal(POSTERIOR.mean - 0.2, POSTERIOR.stddev), 1)


@pytest.mark.parametrize("make", [full, factorised])
def test_each_form_is_the_elbo_within_its_error(make):
    q = make()
    forms = three_forms(*drawn(q, 2_000), q, PRIOR)
    as_full = MultivariateNormal(q.mean, q.covariance_matrix if make is full else _matrix(q))
    elbo = EVIDENCE - torch.distributions.kl_divergence(as_full, POSTERIOR)
    assert forms.values.shape == forms.errors.shape == (3, N)
    assert ((forms.values - elbo).abs() < SIGMAS * forms.errors).all()
    assert (forms.errors > 0).all()
    torch.testing.assert_close(forms.means, forms.values.mean(1))
    torch.testing.assert_close(forms.standard_errors, forms.values.std(1) / N**0.5)
    assert (forms.differences.abs() < SIGMAS * forms.difference_errors).all()
    # paired: the spread between data drops out
    assert (forms.difference_errors < 0.1 * forms.standard_errors).all()
    assert abs(forms.differences.sum()) < 1e-12


def _matrix(q: Independent) -> Tensor:
    return torch.diag_embed(q.variance)


def test_at_the_exact_posterior_the_second_form_has_no_noise():
    forms = three_forms(*drawn(POSTERIOR, 100), POSTERIOR, PRIOR)
    torch.testing.assert_close(forms.values[1], EVIDENCE, rtol=0, atol=1e-10)
    assert (forms.errors[1] < 1e-10).all() and (forms.errors[0] > 1e-3).all()


def test_errors_are_calibrated():
    q, scores = full(), []
    truth = EVIDENCE - torch.distributions.kl_divergence(q, POSTERIOR)
    log_likelihood, log_prior, log_q = drawn(q, 100 * 200)
    for i in range(200):
        part = slice(100 * i, 100 * i + 100)
        forms = three_forms(log_likelihood[part], log_prior[part], log_q[part], q, PRIOR)
        scores.append((forms.values - truth) / forms.errors)
    spread = torch.stack(scores).std(0)  # of 200 scores: 1 within 0.05, one standard error
    assert (spread > 0.8).all() and (spread < 1.2).all()


def test_one_datum_and_one_sample():
    q = full()
    parts = drawn(q, 50)
    single = MultivariateNormal(q.mean[:1], scale_tril=q.scale_tril[:1])
    one = three_forms(*(p[:, :1] for p in parts), single, PRIOR)
    torch.testing.assert_close(one.standard_errors, one.errors[:, 0])
    forms = three_forms(*(p[:1] for p in parts), q, PRIOR)
    assert forms.errors.isnan().all() and forms.standard_errors.isfinite().all()


def test_what_pytorch_does_not_know_is_sampled():
    q = Independent(StudentT(5.0, POSTERIOR.mean, POSTERIOR.stddev), 1)
    parts = drawn(q, 3_000)
    forms = three_forms(*parts, q, PRIOR)
    torch.testing.assert_close(forms.values[0], forms.values[1])  # no divergence: the same draws
    assert forms.differences[0].abs() < 1e-12
    assert (forms.values[2] - forms.values[1]).abs().max() > 0  # its entropy is known


def test_it_needs_a_sample():
    empty = torch.zeros(0, N)
    with pytest.raises(ValueError, match="K >= 1"):
        three_forms(empty, empty, empty, full(), PRIOR)
