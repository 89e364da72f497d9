"""t-SNE of latent means: groups stay apart, all comes out the same twice, and what is placed."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.manifold import trustworthiness

from vae import analysis, embedding, evaluate, latent, results, runs
from vae.embedded_plane import Embedded, EmbeddedPlane
from vae.embedding import Layout, embed
from vae.neighbourhood import neighbourhood
from vae.requests import Embedding

GROUPS, EACH, D = 3, 100, 6


def groups(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Means around four corners, ten deviations apart, and which corner each is of."""
    noise = np.random.default_rng(seed).standard_normal((GROUPS, EACH, D))
    corners = 10 * np.eye(GROUPS, D)
    return (corners[:, None] + noise).reshape(-1, D), np.repeat(np.arange(GROUPS), EACH)


@pytest.fixture(scope="module")
def laid_out() -> Layout:
    return embed(groups()[0])


def nearest_other(at: np.ndarray) -> np.ndarray:
    distances = np.linalg.norm(at[:, None] - at, axis=2)
    np.fill_diagonal(distances, np.inf)
    return distances.argmin(1)


def test_what_belongs_together_stays_together(laid_out: Layout) -> None:
    _, group = groups()
    assert (group[nearest_other(laid_out.at)] == group).all()
    assert laid_out.perplexity == embedding.PERPLEXITY and laid_out.divergence > 0
    np.testing.assert_allclose(laid_out.at.max(0), -laid_out.at.min(0))  # centred on 0


def test_the_same_means_are_laid_out_the_same_twice(laid_out: Layout) -> None:
    np.testing.assert_array_equal(embed(groups()[0]).at, laid_out.at)


def test_new_latents_land_in_their_group_and_the_embedded_in_their_own_place(
    laid_out: Layout,
) -> None:
    loc, group = groups()
    embedded = Embedded(loc, laid_out.at)
    new, of = groups(seed=1)
    assert (group[embedded.below(embedded.place(new))] == of).all()
    members = laid_out.at.reshape(GROUPS, EACH, 1, 2)
    within = np.median(np.linalg.norm(members - members.swapaxes(1, 2), axis=3))
    moved = np.linalg.norm(embedded.place(loc) - laid_out.at, axis=1)
    assert np.median(moved) < within / 3 and moved.max() < within
    assert (group[embedded.below(embedded.place(loc))] == group).all()
    # alone or with others, in this object or another one
    again = Embedded(loc, laid_out.at.astype(np.float32))
    np.testing.assert_allclose(again.place(new[7]), embedded.place(new)[7], atol=1e-3)
    np.testing.assert_array_equal(embedded.at, laid_out.at)


def test_a_plane_of_it_keeps_the_chosen_latent_and_snaps_to_data_elsewhere(
    laid_out: Layout,
) -> None:
    loc, _ = groups()
    embedded, chosen = Embedded(loc, laid_out.at), np.full(D, 0.5)
    plane = EmbeddedPlane(embedded, chosen)
    np.testing.assert_array_equal(plane.to_latent(plane.project(chosen)), chosen)
    np.testing.assert_array_equal(plane.to_latent(laid_out.at[5] + 1e-3), loc[5])
    np.testing.assert_array_equal(plane.project(loc), laid_out.at)
    np.testing.assert_array_equal(plane.project(loc[3].round(3)), laid_out.at[3])  # as in a link
    mixed = np.stack([loc[3], chosen])[:, None]
    assert plane.project(mixed).shape == (2, 1, 2)
    np.testing.assert_allclose(plane.project(mixed)[1, 0], embedded.place(chosen))
    assert plane.to_latent(np.zeros((5, 4, 2))).shape == (5, 4, D)
    assert not plane.covariance(np.ones((7, D))).any()


@pytest.mark.parametrize(
    ("loc", "sentence"),
    [
        (np.random.default_rng(0).standard_normal((50, 2)), "already two-dimensional"),
        (np.ones((50, 3)), "not all the same"),
        (np.eye(5), "ten means"),
    ],
)
def test_what_cannot_be_laid_out_is_said(loc: np.ndarray, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        embed(loc)


@pytest.mark.parametrize("k", [1, 5, 12])
def test_trustworthiness_is_that_of_scikit_learn(laid_out: Layout, k: int, monkeypatch) -> None:
    monkeypatch.setattr("vae.neighbourhood.TILE", 50)
    loc, _ = groups()
    found = neighbourhood(loc, laid_out.at, k)
    expected = trustworthiness(loc, laid_out.at, n_neighbors=k)
    assert found.trust.mean() == pytest.approx(expected, abs=1e-12)


def test_the_kept_neighbours_are_those_in_both(laid_out: Layout) -> None:
    loc, _ = groups()
    found = neighbourhood(loc, laid_out.at, 10).kept
    for i in range(0, len(loc), 17):
        near = [set(np.argsort(np.linalg.norm(p - p[i], axis=1))[1:11]) for p in (loc, laid_out.at)]
        assert found[i] == pytest.approx(len(near[0] & near[1]) / 10)
    with pytest.raises(ValueError, match="too many"):
        neighbourhood(loc, laid_out.at, 150)


def test_a_layout_that_knows_nothing_keeps_what_chance_keeps() -> None:
    rng = np.random.default_rng(0)
    found = neighbourhood(rng.standard_normal((600, 5)), rng.standard_normal((600, 2)))
    error = found.kept.std() / 600**0.5
    assert abs(found.kept.mean() - 10 / 599) < 4 * error
    assert abs(found.trust.mean() - 0.5) < 0.03


def test_the_answer_of_a_run_is_kept_and_counts_up(trained) -> None:
    ask = Embedding(n=60)
    analysis.perform(trained[5], ask.model_dump_json())
    found, run = results.read(trained[5], ask), runs.load(trained[5])
    loc = latent.encode_set(run.model, evaluate.examples(run.config, n=60)).loc
    assert found["at"].shape == (60, 2) and found["epoch"] == run.epoch
    judged = neighbourhood(loc, found["at"])
    assert found["kept"][0] == pytest.approx(judged.kept.mean())
    assert found["trust"][0] == pytest.approx(judged.trust.mean(), abs=1e-3)
    told: list[float] = []
    embedding.compute(run, ask, lambda what, share: told.append(share))
    assert told == sorted(told) and len(told) > 50 and told[-1] == 0.95


def test_a_run_of_two_dimensions_is_refused_with_the_reason(trained) -> None:
    analysis.perform(trained[2], Embedding().model_dump_json())
    assert "already two-dimensional" in results.progress(trained[2], Embedding()).reason
