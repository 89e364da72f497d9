"""What each kind of analysis computes: against closed forms, and against what it is made of."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vae import (
    analysis,
    annealing,
    evaluate,
    evidence,
    exact,
    gap_table,
    gaps,
    history,
    importance,
    linear,
    results,
    runs,
)
from vae.config import RunConfig
from vae.model import VAE
from vae.presets import PRESETS
from vae.requests import Annealing, Evidence, Gaps, History
from vae.runs import Run

PPCA = PRESETS["digits-linear-2d"]


class Told:
    """Remembers what was reported."""

    def __init__(self) -> None:
        self.whats: list[str] = []
        self.shares: list[float] = []

    def __call__(self, what: str, share: float) -> None:
        self.whats.append(what)
        self.shares.append(share)


def ppca(latent_dim: int, widening: float = 1.3) -> Run:
    """A linear model at its optimum, with a q that is wider than its posterior."""
    torch.manual_seed(0)
    config = PPCA.model_copy(update={"latent_dim": latent_dim, "family": "diagonal"})
    model = VAE(config)
    x = evaluate.examples(config, n=200)
    linear.set_parameters(model, *linear.optimum(x, latent_dim))
    with torch.no_grad():
        log_scale = model.encoder.constant
        log_scale += np.log(widening)
    return Run("ppca", config, model.requires_grad_(False).eval(), 7)


def within(value: np.ndarray, truth: np.ndarray, error: np.ndarray, times: float = 4.5) -> bool:
    """Whether estimates are as far from the truth as their standard errors allow."""
    return bool((np.abs(value - truth) <= times * error + 1e-9).all())


@pytest.mark.parametrize("latent_dim", [1, 2, 5])
def test_evidence_of_a_linear_model(latent_dim):
    run, told = ppca(latent_dim), Told()
    found = evidence.compute(run, Evidence(n=30, k=400), told)
    truth = linear.log_evidence(run.model, evaluate.examples(run.config, n=30)).numpy()
    np.testing.assert_allclose(found["exact"], truth, atol=1e-9)
    np.testing.assert_allclose(found["elbo_exact"] + found["kl"], truth, atol=1e-6)
    # the divergence of q from the posterior: q is its s-fold in every dimension
    np.testing.assert_allclose(
        found["kl"], latent_dim * 0.5 * (1.3**2 - 1 - np.log(1.3**2)), atol=1e-4
    )
    assert within(found["elbo"], found["elbo_exact"], found["elbo_se"])
    assert within(found["forms"], found["elbo_exact"][:, None], found["forms_se"])
    assert within(found["log_evidence_is"], truth, found["is_se"] + 1 / 400)
    np.testing.assert_allclose(found["forms"][:, 0], -found["rate"] - found["distortion"])
    np.testing.assert_allclose(found["forms_mean"], found["forms"].mean(0))
    assert within(found["forms_difference"], np.zeros(3), found["forms_difference_se"])
    assert (found["n_modes"] == 1).all() and found["posterior_cov"].shape[1:] == 2 * (latent_dim,)
    total = found["mutual_information"] + found["marginal_kl"]
    error = found["mutual_information_error"] + found["marginal_kl_error"]
    assert within(total, found["rate_mean"], error)
    np.testing.assert_allclose(found["rate"].mean(), found["rate_mean"], rtol=1e-6)
    assert found["iwae"].shape == (30, len(found["ladder"])) and found["ladder"][-1] == 400
    assert told.shares == sorted(told.shares) and told.shares[-1] == pytest.approx(1)


def test_evidence_is_what_judge_says_whatever_the_tiles(trained, monkeypatch):
    run = runs.load(trained[5])
    ask = Evidence(n=25, k=40, seed=3)
    judged = importance.judge(run.model, evaluate.examples(run.config, n=25), 40, seed=3)
    for samples in (importance.SAMPLES, 200):  # all at once, and five data at a time
        monkeypatch.setattr(importance, "SAMPLES", samples)
        found = evidence.compute(run, ask, Told())
        for name, value in judged._asdict().items():
            kept = found[evidence.NAMES.get(name, name)]
            if name not in ("trusted", "ess", "pareto_k"):
                np.testing.assert_allclose(kept, value, rtol=0, atol=1e-4)
    assert not {"exact", "kl", "n_modes", "elbo_exact"} & found.keys()


def test_evidence_of_two_dimensions_orders_the_bounds(trained):
    found = evidence.compute(runs.load(trained[2]), Evidence(n=40, k=200, split="train"), Told())
    assert (found["kl"] > -3 * found["kl_error"]).all() and (found["exact_error"] < 0.01).all()
    assert within(found["elbo"], found["elbo_exact"], found["elbo_se"])
    means = [found["elbo"].mean(), *found["iwae"][:, 1:].mean(0), found["exact"].mean()]
    assert (np.diff(means) > -0.05).all() and means[-1] > means[0]
    residual = found["elbo_exact"] + found["kl"] - found["exact"]
    error = found["elbo_exact_error"] + found["kl_error"] + found["exact_error"]
    assert (np.abs(residual) < 3 * error + 1e-3).all()
    np.testing.assert_array_equal(found["index"], np.arange(40))


def test_evidence_of_a_flow(monkeypatch):
    monkeypatch.setattr(evidence, "FLOW_DATA", 6)
    torch.manual_seed(0)
    config = RunConfig(dataset="digits", hidden=(16,), latent_dim=3, family="flow")
    run = Run("flow", config, VAE(config).eval().requires_grad_(False), 1)
    found = evidence.compute(run, Evidence(n=8, k=50), Told())
    assert found["surgery_n"] == 6 and found["loc"].shape == (8, 3)
    assert all(np.isfinite(found[name]).all() for name in ("rate", "forms", "mutual_information"))


def test_one_datum_has_errors_of_its_samples():
    found = evidence.compute(ppca(2), Evidence(n=1, k=50), Told())
    assert np.isfinite(found["forms_mean_se"]).all() and (found["forms_difference_se"] > 0).any()


@pytest.mark.parametrize("latent_dim", [2, 5])
def test_history_follows_the_kept_epochs(trained, latent_dim):
    run, told = runs.load(trained[latent_dim]), Told()
    found = history.compute(run, History(n=100, k=30), told)
    assert found["epochs"].tolist() == [*runs.past(run.id), run.epoch]
    assert found["exact"] == (latent_dim == 2)
    for split in ("train", "held_out"):
        x = evaluate.examples(run.config, split, 100)
        if latent_dim == 2:
            truth = exact.truth(run.model, x).log_evidence.numpy()
            assert found[f"{split}_log_evidence_mean"][-1] == pytest.approx(truth.mean())
            assert found[f"{split}_log_evidence_median"][-1] == pytest.approx(np.median(truth))
        assert found[f"{split}_elbo_mean"][-1] > found[f"{split}_elbo_mean"][0]  # it learned
        assert (found[f"{split}_gap_mean"] > 0).all() and (found[f"{split}_gap_se"] > 0).all()
        assert ((found[f"{split}_trusted"] >= 0) & (found[f"{split}_trusted"] <= 1)).all()
    assert told.shares == sorted(told.shares) and told.shares[-1] == pytest.approx(1)


def test_history_of_a_linear_model_with_a_flow_has_the_exact_log_p(monkeypatch):
    torch.manual_seed(0)
    config = PPCA.model_copy(update={"latent_dim": 3, "family": "flow"})
    run = Run("flow", config, VAE(config).eval().requires_grad_(False), 0)
    monkeypatch.setattr(runs, "past", lambda run_id: [])
    found = history.compute(run, History(n=100, k=2), Told())
    truth = linear.log_evidence(run.model, evaluate.examples(config, n=100)).numpy()
    assert found["exact"] and found["held_out_trusted"] == 1
    assert found["held_out_log_evidence_mean"][0] == pytest.approx(truth.mean())


def test_gaps_come_back_as_they_were(trained):
    ask = Gaps(n=3, families=("full",))
    analysis.perform(trained[2], ask.model_dump_json())
    found = gap_table.restore(results.read(trained[2], ask))
    assert found.families == ("diagonal", "full") and found.family == "diagonal"
    assert found.sources == ("grid",) and found.best.shape == (2, 3)
    assert [row.family for row in gaps.summary(found)] == ["diagonal", "full"]


def test_annealing_of_a_linear_model():
    run, told = ppca(5), Told()
    found = annealing.compute(run, Annealing(n=4, chains=8, temperatures=60), told)
    truth = linear.log_evidence(run.model, evaluate.examples(run.config, n=4)).numpy()
    assert within(found["log_evidence"], truth, found["log_evidence_se"] + 1e-3)
    gap = found["bdmc_upper"] - found["bdmc_lower"]
    error = np.hypot(found["bdmc_lower_se"], found["bdmc_upper_se"])
    assert gap.mean() > -4 * (error**2).sum() ** 0.5 / len(gap) and (gap < 1).all()
    assert told.shares == sorted(told.shares) and told.shares[-1] == pytest.approx(1)


@pytest.mark.parametrize("ask", [Evidence(n=3, k=5), History(), Gaps(n=3), Annealing(n=2)])
def test_weights_that_are_not_finite_are_said(trained, ask, monkeypatch):
    load = runs.load

    def broken(run_id, epoch=None):
        run = load(run_id, epoch)
        with torch.no_grad():
            run.model.decoder[0][0].bias[0] = torch.nan
        return run

    monkeypatch.setattr(runs, "load", broken)
    analysis.perform(trained[2], ask.model_dump_json())
    assert "not finite" in results.progress(trained[2], ask).reason
