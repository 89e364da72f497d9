"""The gaps against closed forms, and what is said when they cannot be believed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from vae import evaluate, gaps, linear, quadrature, runs, svi
from vae.gaps import Gaps, summary
from vae.model import VAE
from vae.presets import PRESETS


@pytest.fixture(scope="module")
def linear_pair() -> tuple[VAE, torch.Tensor]:
    """A linear model with a leaning posterior and a diagonal encoder that knows nothing; data."""
    torch.manual_seed(0)
    config = PRESETS["digits-linear-2d"].model_copy(update={"latent_dim": 3, "family": "diagonal"})
    model = VAE(config).double().requires_grad_(False)
    weight = torch.randn(64, 3, dtype=torch.float64)
    weight[:, 1:] += 0.7 * weight[:, :1]
    model.decoder[0][0].weight.copy_(weight)
    return model, torch.randn(6, 1, 8, 8, dtype=torch.float64)


def test_on_the_linear_model_they_are_the_closed_forms(linear_pair):
    model, x = linear_pair
    found = gaps.gaps(model, x, ["full"])
    assert found.families == ("diagonal", "full") and found.sources == ("closed form",)
    assert found.converged.all() and found.trusted.all() and (found.log_evidence_error == 0).all()
    truth = linear.posterior(model, x).expand([6])
    variance = 1 / truth.precision_matrix.diagonal(dim1=-2, dim2=-1)
    best = MultivariateNormal(truth.loc, torch.diag_embed(variance))
    approximation = kl_divergence(best, truth).numpy()
    q = model.encode(x)
    whole = kl_divergence(MultivariateNormal(q.mean, torch.diag_embed(q.variance)), truth).numpy()
    error = 4 * found.approximation_error + 0.02
    assert (np.abs(found.approximation[0] - approximation) < error[0]).all()
    assert (np.abs(found.approximation[1]) < 1e-3).all()
    error = 4 * found.amortization_error + 0.02
    assert (np.abs(found.amortization - (whole - approximation)) < error).all()
    np.testing.assert_allclose(found.log_evidence, linear.log_evidence(model, x))


def test_on_a_trained_model_the_grid_is_the_truth(trained):
    run = runs.load(trained[2])
    x = evaluate.examples(run.config, n=12)
    told = []
    found = gaps.gaps(run.model, x, max_steps=50, progress=lambda what, share: told.append(share))
    assert found.sources == ("grid",) and found.family == "diagonal"
    np.testing.assert_allclose(found.log_evidence, quadrature.evidence(run.model, x).log_evidence)
    assert found.converged[:2].all()
    assert (found.approximation >= -3 * found.approximation_error - 1e-3).all()
    assert (found.amortization >= -1e-3).all()
    assert (np.diff(found.best, axis=0) > -4 * found.best_error.max() - 2e-3).all()
    whole = found.approximation[0] + found.amortization
    np.testing.assert_allclose(whole, found.log_evidence - found.elbo, rtol=0, atol=1e-9)
    assert told == sorted(told) and told[-1] == 1
    alone = gaps.gaps(run.model, x[5:6], ["diagonal"], first=5)
    np.testing.assert_allclose(alone.amortization, found.amortization[5:6], rtol=0, atol=2e-3)


def test_in_more_dimensions_the_best_q_samples_the_evidence(trained):
    run = runs.load(trained[5])
    x = evaluate.examples(run.config, n=6)
    found = gaps.gaps(run.model, x, ["full"], samples=5_000)
    assert found.sources[1] == "importance sampling, full q*"
    assert found.trusted.mean() > 0.8 and set(found.source) <= {0, 1}
    assert found.log_evidence_error.max() < 0.1
    assert (found.approximation > -4 * found.approximation_error).all()
    better = (found.log_evidence + 1.0).copy()
    given = gaps.gaps(
        run.model, x, ["diagonal"], truth=(torch.from_numpy(better), torch.zeros(6)), samples=50
    )
    assert given.sources == ("given",)
    np.testing.assert_allclose(given.approximation[0], better - given.best[0])


def test_the_table_holds_means_errors_and_medians(linear_pair):
    found = gaps.gaps(*linear_pair, ["diagonal", "full"])
    diagonal, full = summary(found)
    values = found.amortization
    expected = (values.mean(), values.std(ddof=1) / 6**0.5, np.median(values))
    np.testing.assert_allclose(diagonal.amortization, expected)
    assert diagonal.n == 6 and diagonal.not_converged == diagonal.untrusted == 0
    assert np.isnan(full.amortization).all() and full.log_evidence == diagonal.log_evidence
    assert np.isnan(summary(one_of(found))[0].best[1])


def one_of(found: Gaps) -> Gaps:
    """The gaps of the first datum alone."""
    return Gaps(*(f if isinstance(f, str | tuple) else f[..., :1] for f in found))


def test_a_gap_below_zero_is_said_and_kept(linear_pair, monkeypatch):
    model, x = linear_pair
    fit = svi.fit

    def lazy(*args, **options):
        fitted = fit(*args, **options)
        fitted.elbo[2] -= 2_000.0
        return fitted

    monkeypatch.setattr(svi, "fit", lazy)
    found = gaps.gaps(model, x, ["diagonal"])
    assert found.amortization[2] < -200
    assert not found.converged[0, 2] and found.converged[0, [0, 1, 3, 4, 5]].all()
    assert summary(found)[0].not_converged == 1
    monkeypatch.undo()
    assert not gaps.gaps(model, x, ["diagonal"], max_steps=1).converged.any()


def test_families_are_the_three_there_are(linear_pair):
    with pytest.raises(ValueError, match="not banana"):
        gaps.gaps(*linear_pair, ["banana"])
