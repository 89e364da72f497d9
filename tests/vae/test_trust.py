"""Errors, tails and trust, against weights whose distribution is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from vae import bounds, trust
from vae.trust import judge_weights, pareto_k, pareto_threshold, trustworthy


def gaussian_log_w(s: float, K: int, n: int, seed: int = 0) -> Tensor:
    """Weights of p = N(0, 1) under q = N(0, s²), whose evidence is 1, with shape (K, n)."""
    generator = torch.Generator().manual_seed(seed)
    z = s * torch.randn(K, n, generator=generator, dtype=torch.float64)
    one = torch.ones((), dtype=torch.float64)
    return Normal(0 * one, one).log_prob(z) - Normal(0 * one, s * one).log_prob(z)


@pytest.mark.parametrize("s", [0.5, 0.707, 0.8])
def test_the_shape_of_gaussian_weights_is_one_minus_the_variance(s):
    shapes = pareto_k(gaussian_log_w(s, K=10_000, n=20))
    # 0.1 is the spread of one, hence 0.022 that of the mean; the estimator leans to 1/2 and the
    # tail is not yet its limit, which together take off up to 0.08 (measured at s = 0.5)
    assert abs(shapes.mean() - (1 - s**2)) < 0.1
    assert shapes.std() < 0.2


def test_the_shape_sees_the_upper_tail():
    log_w = gaussian_log_w(0.5, K=2_000, n=1)
    assert pareto_k(log_w) > 0.5 > 0.2 > pareto_k(-log_w)  # the sign trap: psislw negates


def test_the_shape_minds_neither_scale_nor_axes():
    log_w = gaussian_log_w(0.6, K=500, n=6)
    shapes = pareto_k(log_w)
    torch.testing.assert_close(pareto_k(log_w - 5_000), shapes, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(pareto_k(log_w.view(500, 2, 3)), shapes.view(2, 3))
    assert pareto_k(log_w[:, 0]).shape == ()


def test_the_shape_where_there_is_no_tail():
    few = torch.zeros(trust.MIN_SAMPLES - 1, 2)
    assert pareto_k(few).isnan().all()
    assert (pareto_k(torch.zeros(100, 2)) == 0).all()
    one = torch.zeros(100, 1, dtype=torch.float64)
    for height in (40.0, 900.0):
        one[3] = height  # beside it all others vanish
        assert pareto_k(one).item() == math.inf
    assert pareto_k(torch.randn(trust.MIN_SAMPLES, 2).double()).isfinite().all()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_the_shape_of_no_numbers_is_refused(value):
    with pytest.raises(ValueError, match="not finite"):
        pareto_k(torch.tensor([[0.0], [value]]))


def test_the_threshold():
    assert pareto_threshold(1) == -math.inf
    assert pareto_threshold(100) == pytest.approx(0.5)
    assert pareto_threshold(2_200) == pytest.approx(0.7, abs=1e-3)
    assert pareto_threshold(10**9) == 0.7
    with pytest.raises(ValueError, match="at least 1"):
        pareto_threshold(0)


def test_trust_needs_both():
    shape = torch.tensor([0.3, 0.75, 0.3, math.nan, math.inf]).double()
    effective = torch.tensor([60.0, 60.0, 40.0, 60.0, 60.0]).double()
    assert trustworthy(shape, effective, 5_000).tolist() == [True, False, False, False, False]


def test_what_judged_holds_is_what_the_bounds_say():
    log_w = gaussian_log_w(0.8, K=60, n=4)
    judged = judge_weights(log_w)
    assert judged.ladder.tolist() == [1, 2, 5, 10, 20, 50, 60]
    assert judged.iwae.shape == judged.iwae_se.shape == (4, 7)
    for name, value in (
        ("elbo", bounds.elbo(log_w)),
        ("elbo_se", bounds.error_of_mean(log_w)),
        ("log_evidence", bounds.iwae(log_w)),
        ("se", bounds.log_mean_exp_error(log_w)),
        ("ess", bounds.effective_sample_size(log_w)),
        ("pareto_k", pareto_k(log_w)),
    ):
        np.testing.assert_allclose(getattr(judged, name), value, rtol=1e-12)
    assert judged.trusted.dtype == bool
    np.testing.assert_allclose(judged.iwae[:, 0], judged.elbo)
    np.testing.assert_allclose(judged.iwae[:, -1], judged.log_evidence)
    np.testing.assert_allclose(judged.iwae_se[:, -1], judged.se)
    groups = torch.stack([bounds.iwae(log_w[5 * i : 5 * i + 5]) for i in range(12)])
    np.testing.assert_allclose(judged.iwae[:, 2], groups.mean(0))
    np.testing.assert_allclose(judged.iwae_se[:, 2], groups.std(0) / 12**0.5)


def test_the_ladder_rises_draw_by_draw_where_rungs_share_groups():
    judged = judge_weights(gaussian_log_w(0.5, K=1_000, n=8), ladder=(1, 2, 10, 100, 1_000))
    assert (np.diff(judged.iwae, axis=1) >= 0).all()  # Jensen: every group is a union of groups


def test_errors_are_calibrated():
    # Evidence 1 and s = 0.9: light tails, so that 400 repeats of 200 samples are nearly normal.
    judged = judge_weights(gaussian_log_w(0.9, K=200, n=400))
    for value, error in (
        (judged.log_evidence, judged.se),
        (judged.log_evidence, judged.se_bootstrap),
        (judged.iwae[:, 5], judged.iwae_se[:, 5]),  # four groups of 50: the delta method
    ):
        scores = value / error
        # the spread of 400 normal scores is 1 within 0.035, and tails and bias cost a little more
        assert 0.85 < scores.std(ddof=1) < 1.2


def test_where_one_weight_counts_the_bootstrap_says_so():
    log_w = torch.zeros(500, 2, dtype=torch.float64)
    log_w[7, 0], log_w[7, 1] = 50.0, 1_000.0
    judged = judge_weights(log_w)
    # the slope of the logarithm cannot say more than 1: a third of the resamples miss the weight
    np.testing.assert_allclose(judged.se, 1.0, rtol=1e-6)
    assert judged.se_bootstrap[0] > 10 and judged.se_bootstrap[1] > 100
    assert not judged.trusted.any() and np.isfinite(judged.se_bootstrap).all()


def test_equal_weights_have_no_error():
    judged = judge_weights(torch.full((1_503, 2), -136.25))
    for name in ("elbo_se", "se", "se_bootstrap", "pareto_k"):
        assert (getattr(judged, name) == 0).all(), name
    assert (judged.iwae_se == 0).all() and judged.trusted.all()
    np.testing.assert_allclose(judged.ess, 1_503)


def test_one_sample_has_a_value_and_no_error():
    judged = judge_weights(torch.tensor([[2.0, 3.0]]))
    assert judged.log_evidence.tolist() == judged.elbo.tolist() == [2.0, 3.0]
    for name in ("elbo_se", "se", "se_bootstrap", "pareto_k"):
        assert np.isnan(getattr(judged, name)).all(), name
    assert not judged.trusted.any()


def test_no_samples_no_judgement():
    with pytest.raises(ValueError, match="K >= 1"):
        judge_weights(torch.zeros(0, 3))
