"""k-means, VQ and EM: each against what is known of it, and all three against one another."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from vae import hard_em, toys
from vae.mixture import FLOOR, em_init, em_step, free_energy, responsibilities, start

X = toys.sample(toys.GAUSSIAN_MIXTURE, 300, seed=0)[0].astype(np.float64)
BENT = toys.sample(toys.PINWHEEL, 300, seed=0)[0].astype(np.float64)
FAR = np.array([[50.0, 50.0]])  # a centre that no datum chooses


def kmeans(x: np.ndarray, centres: np.ndarray, steps: int) -> tuple[np.ndarray, list[float]]:
    state, distortions = hard_em.kmeans_init(centres), []
    for _ in range(steps):
        state, info = hard_em.kmeans_step(state, x)
        distortions.append(info.distortion)
    return state.centres, distortions


@pytest.mark.parametrize("steps", [1, 2, 5, 30])
@pytest.mark.parametrize("seed", [0, 1])
def test_kmeans_is_that_of_scikit_learn_after_every_number_of_steps(steps, seed):
    centres = start(X, 6, seed=seed)
    ours, _ = kmeans(X, centres, steps)
    theirs = KMeans(6, init=centres, n_init=1, max_iter=steps, tol=0, algorithm="lloyd").fit(X)
    assert np.abs(ours - theirs.cluster_centers_).max() < 1e-10
    assert (hard_em.nearest(X, ours) == theirs.labels_).all()
    found = hard_em.kmeans_step(hard_em.kmeans_init(ours), X)[1].distortion
    assert found == pytest.approx(theirs.inertia_ / len(X), rel=1e-12)


def test_kmeans_never_raises_the_distortion_and_says_how_far_centres_moved():
    state = hard_em.kmeans_init(start(BENT, 7, seed=3))
    before = np.inf
    for _ in range(40):
        after, info = hard_em.kmeans_step(state, BENT)
        assert info.distortion <= before + 1e-12
        assert info.moved == pytest.approx(np.hypot(*(after.centres - state.centres).T))
        state, before = after, info.distortion
    assert info.moved.max() == 0  # it has converged


def test_a_centre_that_nobody_chose_keeps_its_place():
    centres = np.concatenate([start(X, 3), FAR])
    for after, info in (
        hard_em.kmeans_step(hard_em.kmeans_init(centres), X),
        hard_em.vq_step(hard_em.vq_init(centres), X, decay=0, epsilon=0),
        hard_em.vq_step(hard_em.vq_init(centres), X, decay=0.9, epsilon=0),
        hard_em.vq_step(hard_em.vq_init(centres, count=0), X, decay=0.9),
    ):
        assert info.empty.tolist() == [False, False, False, True]
        assert after.centres[3] == pytest.approx(FAR[0], abs=1e-12) and info.share[3] == 0
    after, info = em_step(em_init(centres, 0.1), X, learn_weights=True)
    assert (after.centres[3] == FAR[0]).all() and after.weights[3] == 0
    again, info = em_step(after, X, learn_weights=True, learn_variance=True)
    assert np.isfinite(info.log_likelihood) and np.isfinite(again.centres).all()


@pytest.mark.parametrize("far", [False, True])
def test_vq_without_memory_on_all_data_is_kmeans(far):
    centres = np.concatenate([start(X, 5, seed=2), FAR]) if far else start(X, 5)
    means, codes = hard_em.kmeans_init(centres), hard_em.vq_init(centres, count=7)
    for _ in range(20):
        means, expected = hard_em.kmeans_step(means, X)
        codes, info = hard_em.vq_step(codes, X, decay=0, epsilon=0)
        assert codes.centres == pytest.approx(means.centres, abs=1e-13)
        assert (info.assignments == expected.assignments).all()
        assert info.distortion == pytest.approx(expected.distortion, rel=1e-13)
        assert (info.share == expected.share).all()


def test_an_average_that_begins_empty_makes_the_first_step_that_of_kmeans():
    centres = start(X, 5)
    expected = hard_em.kmeans_step(hard_em.kmeans_init(centres), X)[0].centres
    found = hard_em.vq_step(hard_em.vq_init(centres, 0), X, decay=0.99, epsilon=0)[0].centres
    assert found == pytest.approx(expected, abs=1e-12)


def test_vq_follows_sonnets_formulas_by_hand():
    x = np.array([[1.0, 0.0], [3.0, 0.0], [10.0, 2.0]])
    state = hard_em.Codebook(
        np.array([[2.0, 1.0], [9.0, 0.0]]), np.array([4.0, 2.0]), np.ones((2, 2))
    )
    after, info = hard_em.vq_step(state, x, decay=0.75, epsilon=0.1)
    assert info.assignments.tolist() == [0, 0, 1]
    assert info.distortion == pytest.approx((2 + 2 + 5) / 3)
    assert after.counts == pytest.approx([3.5, 1.75])
    assert after.sums == pytest.approx(np.array([[1.75, 0.75], [3.25, 1.25]]))
    smooth = np.array([3.6, 1.85]) / (5.25 + 0.2) * 5.25
    assert after.centres == pytest.approx(after.sums / smooth[:, None])
    assert info.share == pytest.approx([0.25 * 2 / 3.5, 0.25 / 1.75])


def test_the_share_is_how_far_a_code_goes_to_the_mean_and_that_of_a_step_of_sgd():
    centres = start(X, 5)
    after, info = hard_em.vq_step(hard_em.vq_init(centres, count=40), X[:64], 0.9, epsilon=0)
    means = hard_em.kmeans_step(hard_em.kmeans_init(centres), X[:64])[0].centres
    assert after.centres == pytest.approx(centres + info.share[:, None] * (means - centres))
    one_hot = np.eye(5)[info.assignments]
    n = one_hot.sum(axis=0)
    gradient = -2 * (one_hot.T @ X[:64] - n[:, None] * centres) / 64  # of mean ‖sg[x] − e‖²
    rates = info.share * 64 / (2 * n)
    assert after.centres == pytest.approx(centres - rates[:, None] * gradient)


def test_a_batch_may_be_smaller_than_the_codebook():
    state = hard_em.vq_init(start(X, 10))
    after, info = hard_em.vq_step(state, X[:3], decay=0.9)
    assert info.empty.sum() >= 7 and np.isfinite(after.centres).all()


@pytest.mark.parametrize("seed", range(3))
def test_em_is_that_of_scikit_learn_one_step_after_another(seed):
    """Its spherical components have a variance each; weighed, they are the shared one."""
    state = em_init(start(BENT, 4, seed=seed), 0.7)
    for _ in range(10):
        theirs = GaussianMixture(
            4,
            covariance_type="spherical",
            reg_covar=0,
            max_iter=1,
            init_params="random_from_data",
            weights_init=state.weights,
            means_init=state.centres,
            precisions_init=np.full(4, 1 / state.variance),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # one step is what we want
            theirs.fit(BENT)
        state, info = em_step(state, BENT, learn_weights=True, learn_variance=True)
        assert np.abs(state.centres - theirs.means_).max() < 1e-10
        assert np.abs(state.weights - theirs.weights_).max() < 1e-10
        assert state.variance == pytest.approx(theirs.weights_ @ theirs.covariances_, rel=1e-10)
        assert info.log_likelihood == pytest.approx(theirs.lower_bound_, rel=1e-10)


def test_em_by_brute_force():
    x, centres, sigma, weights = X[:9], X[9:12], 0.8, np.array([0.2, 0.3, 0.5])
    density = np.empty((9, 3))
    for n in range(9):
        for k in range(3):
            square = sum((x[n, d] - centres[k, d]) ** 2 for d in range(2))
            density[n, k] = weights[k] * np.exp(-square / (2 * sigma**2)) / (2 * np.pi * sigma**2)
    r = density / density.sum(axis=1, keepdims=True)
    state = em_init(centres, sigma, weights)
    after, info = em_step(state, x)
    assert info.responsibilities == pytest.approx(r, abs=1e-12)
    assert responsibilities(x, state) == pytest.approx(r, abs=1e-12)
    assert info.log_likelihood == pytest.approx(np.log(density.sum(axis=1)).mean(), rel=1e-12)
    for k in range(3):
        assert after.centres[k] == pytest.approx(np.average(x, axis=0, weights=r[:, k]))
    assert after.variance == state.variance and after.weights is state.weights


@pytest.mark.parametrize("learn", [False, True])
@pytest.mark.parametrize("kind", ["data", "corner", "same"])
@pytest.mark.parametrize("sigma", [0.05, 0.5, 2.0])
def test_the_likelihood_never_falls_and_the_bound_lies_between(learn, kind, sigma):
    state = em_init(start(BENT, 6, kind), sigma)
    for _ in range(60):
        after, info = em_step(state, BENT, learn_weights=learn, learn_variance=learn)
        following = em_step(after, BENT)[1].log_likelihood
        same = free_energy(BENT, state, info.responsibilities)
        assert same == pytest.approx(info.log_likelihood, abs=1e-9)
        assert info.log_likelihood <= info.free_energy + 1e-9
        assert info.free_energy <= following + 1e-9
        state = after


def test_with_a_small_sigma_em_is_kmeans():
    centres = start(X, 6, seed=1)
    means, mixture = hard_em.kmeans_init(centres), em_init(centres, 1e-5)
    for _ in range(20):
        means, hard = hard_em.kmeans_step(means, X)
        mixture, soft = em_step(mixture, X)
        assert soft.responsibilities.max(axis=1).min() > 1 - 1e-9
        assert (soft.responsibilities.argmax(axis=1) == hard.assignments).all()
        assert mixture.centres == pytest.approx(means.centres, abs=1e-9)


@pytest.mark.parametrize("sigma", [1e-3, 0.3, 5.0])
@pytest.mark.parametrize("x", [X, BENT])
def test_the_bound_lies_below_the_likelihood_by_the_kl_of_a_one_hot_q(sigma, x):
    centres = start(x, 5, seed=4)
    found, mixture = hard_em.hard_bound(x, centres, sigma), em_init(centres, sigma)
    chosen = hard_em.nearest(x, centres)
    r = responsibilities(x, mixture)[np.arange(len(x)), chosen]
    scale = 1e-12 * max(1.0, abs(found.bound))
    assert found.gap >= 0 and found.bound <= found.log_likelihood + scale
    assert found.gap == pytest.approx(-np.log(r).mean(), abs=1e-12)
    assert found.log_likelihood - found.bound == pytest.approx(found.gap, abs=scale)
    q = np.eye(5)[chosen]
    assert found.bound == pytest.approx(free_energy(x, mixture, q), rel=1e-12)
    distortion = hard_em.kmeans_step(hard_em.kmeans_init(centres), x)[1].distortion
    constant = -np.log(2 * np.pi * sigma**2) - np.log(5)
    assert found.bound == pytest.approx(-distortion / (2 * sigma**2) + constant, rel=1e-12)


def test_no_one_hot_q_has_a_better_bound_than_the_nearest_centre():
    mixture = em_init(start(X, 4), 0.4)
    best = hard_em.hard_bound(X, mixture.centres, 0.4).bound
    for other in np.random.default_rng(0).integers(4, size=(20, len(X))):
        assert free_energy(X, mixture, np.eye(4)[other]) < best


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.95])
@pytest.mark.parametrize("kind", ["data", "corner"])
def test_every_step_of_kmeans_and_of_vq_on_all_data_raises_the_bound(decay, kind):
    centres = start(BENT, 6, kind, seed=5)
    means, codes = hard_em.kmeans_init(centres), hard_em.vq_init(centres, len(BENT) / 6)
    before = [-np.inf, -np.inf]
    for _ in range(40):
        now = [hard_em.hard_bound(BENT, s.centres, 0.3).bound for s in (means, codes)]
        assert np.all(np.array(now) >= np.array(before) - 1e-12)
        means, codes = (
            hard_em.kmeans_step(means, BENT)[0],
            hard_em.vq_step(codes, BENT, decay, 0)[0],
        )
        before = now


def test_equal_centres_stay_equal_under_em_and_leave_all_but_one_empty_under_the_others():
    centres = start(X, 4, "same")
    state = em_init(centres, 0.5)
    for _ in range(5):
        state, info = em_step(state, X, learn_weights=True)
    assert info.responsibilities == pytest.approx(np.full((len(X), 4), 0.25))
    assert np.ptp(state.centres, axis=0) == pytest.approx([0, 0], abs=1e-12)
    assert hard_em.kmeans_step(hard_em.kmeans_init(centres), X)[1].empty.sum() == 3
    assert hard_em.vq_step(hard_em.vq_init(centres), X)[1].empty.sum() == 3


def test_starts_are_the_same_for_a_seed_and_lie_where_they_should():
    assert (start(X, 5, seed=1) == start(X, 5, seed=1)).all()
    assert (start(X, 5, seed=1) != start(X, 5, seed=2)).any()
    assert len(np.unique(start(X, len(X)), axis=0)) == len(X)
    corner = start(X, 8, "corner")
    assert np.linalg.norm(corner - X.min(axis=0), axis=1).max() < 0.25 * np.ptp(X, axis=0).max()


def test_a_variance_that_is_learnt_does_not_fall_to_nothing():
    state = em_init(X[:3], 0.1)
    for _ in range(5):
        state, info = em_step(state, X[:3], learn_variance=True)
    assert state.variance == FLOOR and np.isfinite(info.log_likelihood)


def holed(value: float) -> np.ndarray:
    x = X[:20].copy()
    x[3, 1] = value
    return x


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: start(X[:5], 6), "5 data cannot fill 6 centres"),
        (lambda: start(X, 0), "choose K between 1 and 300"),
        (lambda: start(holed(np.nan), 3), "the data must be finite"),
        (lambda: start(X[:0], 1), "the data must be finite"),
        (lambda: hard_em.kmeans_init(holed(np.inf)), "the centres must be finite"),
        (lambda: hard_em.kmeans_step(hard_em.kmeans_init(X[:4]), X[:3]), "3 data cannot fill 4"),
        (lambda: hard_em.kmeans_step(hard_em.kmeans_init(X[:4]), holed(np.nan)), "data must be"),
        (lambda: hard_em.kmeans_step(hard_em.kmeans_init(X[:4]), np.ones((9, 3))), "do not fit"),
        (lambda: hard_em.vq_init(X[:2], -1), "at least 0"),
        (lambda: hard_em.vq_step(hard_em.vq_init(X[:2]), X, decay=1), "decay 1 must lie"),
        (lambda: hard_em.vq_step(hard_em.vq_init(X[:2]), X, epsilon=-1), "epsilon -1"),
        (lambda: hard_em.vq_step(hard_em.vq_init(X[:2]), holed(np.nan)), "data must be finite"),
        (lambda: em_init(X[:2], 0.0), "sigma 0.0 is no width"),
        (lambda: em_init(X[:2], np.nan), "sigma nan is no width"),
        (lambda: em_step(em_init(X[:4], 1.0), X[:3]), "3 data cannot fill 4"),
        (lambda: hard_em.hard_bound(holed(np.inf), X[:2], 1.0), "data must be finite"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_sentence(call, complaint):
    with pytest.raises(ValueError, match=complaint) as refusal:
        call()
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 120
