"""Directions: against hand-computed values, scikit-learn, and what chance makes."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from vae import directions


def two_groups(seed: int = 0, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Normal groups in five dimensions, the first shifted, with unlike spreads and sizes."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 5)) * [1, 2, 1, 0.5, 1] + [1, 0, 0, 0, 2], rng.normal(
        size=(n // 2, 5)
    )


def test_the_difference_and_its_error_are_those_computed_by_hand():
    first = np.array([[1.0, 2.0], [3.0, 2.0], [5.0, 8.0]])
    second = np.array([[0.0, 0.0], [0.0, 2.0]])
    found = directions.mean_difference(first, second)
    np.testing.assert_allclose(found.vector, [3, 3])
    # Variances 4 and 12 over three data, 0 and 2 over two.
    np.testing.assert_allclose(found.standard_error, np.sqrt([4 / 3, 4 + 1]))
    assert found.length == pytest.approx(np.sqrt(18))
    assert found.by_chance == pytest.approx(np.sqrt(4 / 3 + 5))
    # Along (1, 1)/√2 the first group lies at 3, 5 and 13 over √2: variance 28/2; the second 0, √2.
    assert found.length_se == pytest.approx(np.sqrt(14 / 3 + 1 / 2))


def test_the_standard_errors_are_the_spread_over_many_data_sets():
    found = [directions.mean_difference(*two_groups(seed)) for seed in range(400)]
    spread = np.std([one.vector for one in found], axis=0, ddof=1)
    stated = np.mean([one.standard_error for one in found], axis=0)
    # A standard deviation of 400 normal values is known to 1/√800 = 3.5 %; four times that.
    np.testing.assert_allclose(stated, spread, rtol=0.15)
    lengths = np.array([one.length for one in found])
    assert np.mean([one.length_se for one in found]) == pytest.approx(lengths.std(ddof=1), rel=0.15)


def test_groups_with_equal_means_are_as_far_apart_as_chance_says():
    rng = np.random.default_rng(1)
    found = [
        directions.mean_difference(rng.normal(size=(20, 8)), rng.normal(size=(30, 8)))
        for _ in range(400)
    ]
    squared = np.array([one.length**2 for one in found])
    stated = np.mean([one.by_chance**2 for one in found])
    assert abs(squared.mean() - stated) < 4 * squared.std() / 20


def test_the_area_is_scikit_learns_with_ties_too():
    rng = np.random.default_rng(2)
    for high, low in (
        (rng.normal(size=40) + 1, rng.normal(size=70)),
        (rng.integers(0, 5, 50).astype(float), rng.integers(0, 4, 30).astype(float)),
    ):
        truth = np.repeat([1, 0], [len(high), len(low)])
        oracle = roc_auc_score(truth, np.concatenate([high, low]))
        assert directions.auc(high, low).auc == pytest.approx(oracle, abs=1e-12)
        assert directions.auc(low, high).auc == pytest.approx(1 - oracle, abs=1e-12)


def test_delongs_error_is_the_spread_over_many_data_sets():
    rng = np.random.default_rng(3)
    found = [directions.auc(rng.normal(size=40) + 1, rng.normal(size=60)) for _ in range(400)]
    spread = np.std([one.auc for one in found], ddof=1)
    assert np.mean([one.standard_error for one in found]) == pytest.approx(spread, rel=0.15)


def test_separation_averages_two_halves_judged_by_each_other():
    first, second = two_groups()
    areas = []
    for seen, judged in ((0, 1), (1, 0)):
        v = first[seen::2].mean(0) - second[seen::2].mean(0)
        truth = np.repeat([1, 0], [len(first[judged::2]), len(second[judged::2])])
        areas.append(
            roc_auc_score(truth, np.concatenate([first[judged::2], second[judged::2]]) @ v)
        )
    assert directions.separation(first, second).auc == pytest.approx(np.mean(areas), abs=1e-12)


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
def test_the_error_of_a_separation_is_its_spread_over_many_data_sets(shift):
    rng = np.random.default_rng(7)
    pairs = rng.normal(size=(400, 2, 30, 3))
    pairs[:, 0, :, 0] += shift
    found = [directions.separation(*pair) for pair in pairs]
    spread = np.std([one.auc for one in found], ddof=1)
    # As above 15 %; errors added as if the halves were fully correlated: up to a tenth too much.
    stated = np.mean([one.standard_error for one in found])
    assert 0.85 < stated / spread < 1.25


def test_groups_that_are_alike_separate_at_chance_even_in_many_dimensions():
    rng = np.random.default_rng(4)
    found = [
        directions.separation(rng.normal(size=(20, 50)), rng.normal(size=(20, 50))).auc
        for _ in range(200)
    ]
    assert abs(np.mean(found) - 0.5) < 4 * np.std(found) / 200**0.5
    v = rng.normal(size=(12, 50)), rng.normal(size=(12, 50))
    fitted = v[0].mean(0) - v[1].mean(0)
    assert directions.auc(v[0] @ fitted, v[1] @ fitted).auc > 0.9  # judged by its own data


@pytest.mark.parametrize("turn", [1, -1])
def test_inside_a_convex_outline_is_inside_all_its_edges(turn):
    corners = np.array([[0, 0], [3, -1], [4, 2], [1, 3]], float)[::turn]
    points = np.random.default_rng(5).uniform(-2, 5, size=(2000, 2))
    edges = np.roll(corners, -1, axis=0) - corners
    to = points[:, None] - corners
    cross = edges[:, 0] * to[..., 1] - edges[:, 1] * to[..., 0]
    np.testing.assert_array_equal(directions.inside(points, corners), (turn * cross > 0).all(1))


def test_what_is_encircled_twice_is_outside():
    turn = 4 * np.pi * np.arange(5) / 5
    star = np.stack([np.sin(turn), np.cos(turn)], axis=1)
    points = np.array([[0.0, 0.0], [0.0, 0.8], [0.9, 0.0]])
    assert directions.inside(points, star).tolist() == [False, True, False]
    assert not directions.inside(points, star[:2]).any()
    assert not directions.inside(points, np.zeros((0, 2))).any()


def test_an_analogy_undone_is_where_it_began():
    a, b, c = np.random.default_rng(6).normal(size=(3, 7))
    np.testing.assert_allclose(directions.analogy(a, b, a), b)
    np.testing.assert_allclose(directions.analogy(b, a, directions.analogy(a, b, c)), c)


def test_groups_that_are_too_small_are_refused():
    with pytest.raises(ValueError, match="two data"):
        directions.mean_difference(np.zeros((1, 2)), np.zeros((5, 2)))
    with pytest.raises(ValueError, match="20 data"):
        directions.separation(np.zeros((19, 2)), np.zeros((50, 2)))
    with pytest.raises(ValueError, match="two scores"):
        directions.auc(np.zeros(1), np.zeros(5))
