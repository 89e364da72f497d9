"""Vector quantisation against brute force, hand-made numbers, finite differences, and a peer."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from sklearn.cluster import KMeans
from torch import Tensor
from torch.nn import functional
from vector_quantize_pytorch import VectorQuantize

from vae import vq
from vae.config import ConfigError
from vae.vq import REVIVE_BELOW, VectorQuantizer, nearest

THROUGH = ["straight-through", "rotation"]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def quantizer(n_codes: int = 7, dim: int = 3, **fields: Any) -> VectorQuantizer:
    """One in float64 whose codes are spread as the vectors of the tests are."""
    found = VectorQuantizer(n_codes, dim, **{"revival": False, **fields}).double()
    found.vectors.data.normal_()
    found.sums.copy_(found.vectors.data)
    return found


def vectors(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def squares(z: Tensor, codes: Tensor) -> Tensor:
    """Squared distances of (N, D) to (n, D), number by number."""
    return (z[:, None] - codes).square().sum(-1)


def unit(v: Tensor) -> Tensor:
    return v / v.norm(dim=-1, keepdim=True)


def slopes(of: Callable[[Tensor], Tensor], at: Tensor, h: float = 1e-5) -> Tensor:
    """A gradient by central differences: its error is of the order h² = 1e-10."""
    found = torch.zeros_like(at)
    for i in range(at.numel()):
        step = torch.zeros_like(at)
        step.view(-1)[i] = h
        found.view(-1)[i] = (of(at + step) - of(at - step)) / (2 * h)
    return found


# Neighbours


@pytest.mark.parametrize("n", [1, 5, 2_048, 2_500])  # parts that come out even, and that do not
@pytest.mark.parametrize("n_codes", [7, 64, 128, 130])
@pytest.mark.parametrize("cosine", [False, True])
def test_the_chosen_code_is_the_nearest_one(n, n_codes, cosine):
    model, z = quantizer(n_codes, cosine=cosine), vectors(n, 3)
    q = model(z)
    inside = unit(z) if cosine else z
    expected = squares(inside, model.codebook[0]).min(-1)
    assert torch.equal(q.code_indices[0], expected.indices)
    torch.testing.assert_close(q.commitment, expected.values)
    assert torch.equal(q.quantised, model.codebook[0][expected.indices])
    if cosine:  # the nearest on a sphere is that of the smallest angle
        torch.testing.assert_close(model.codebook.norm(dim=-1), torch.ones(1, n_codes).double())
        assert torch.equal((inside @ model.codebook[0].T).argmax(-1), expected.indices)


def test_of_equally_near_codes_the_first_is_chosen():
    codes = torch.tensor([[4.0, 4.0], [0.0, 0.0], [2.0, 0.0], [0.0, 0.0], [2.0, 0.0]])
    z = torch.tensor([[1.0, 0.0], [1.0, 7.0], [3.0, 2.0], [2.0, 0.0]])
    expected = squares(z, codes).argmin(-1)
    assert expected.tolist() == [1, 0, 0, 2]
    assert torch.equal(nearest(z, codes), expected)
    assert torch.equal(nearest(z.repeat(999, 1), codes), expected.repeat(999))
    twice = torch.cat((codes, 9 + torch.rand(59, 2), codes))  # the same ones again, far behind
    assert torch.equal(nearest(z, twice), expected)


@pytest.mark.parametrize("levels", [1, 3])
def test_distances_are_those_of_what_is_left_over(levels):
    model, z = quantizer(levels=levels), vectors(2, 4, 5, 3)
    q, found = model(z), model.distances(z)
    assert found.shape == (levels, 2, 4, 5, 7)
    assert torch.equal(found.argmin(-1), q.code_indices)
    left, total = z.reshape(-1, 3), 0
    for level in range(levels):
        expected = squares(left, model.codebook[level]).view(2, 4, 5, 7)
        torch.testing.assert_close(found[level], expected)
        total = total + expected.amin(-1)
        left = left - model.codebook[level][q.code_indices[level].flatten()]
    torch.testing.assert_close(q.commitment, total)


def test_vectors_that_are_no_numbers_still_get_a_code():
    q = quantizer()(torch.full((4, 3), torch.nan, dtype=torch.float64))
    assert q.code_indices.ge(0).all() and q.code_indices.lt(7).all() and q.usage.sum() == 4


# What is answered


@pytest.mark.parametrize("levels", [1, 2, 4])
@pytest.mark.parametrize("lead", [(6,), (2, 5), (2, 4, 3)])
def test_shapes_and_counts(lead, levels):
    q = quantizer(levels=levels)(vectors(*lead, 3))
    assert q.quantised.shape == (*lead, 3) and q.commitment.shape == q.codebook.shape == lead
    assert q.code_indices.shape == (levels, *lead) and q.code_indices.dtype == torch.int64
    counts = [[int((codes == k).sum()) for k in range(7)] for codes in q.code_indices]
    assert q.usage.tolist() == counts


@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize("through", THROUGH)
def test_levels_add_up_and_each_leaves_less_over(levels, through):
    model, z = quantizer(levels=levels, through=through), vectors(200, 3)
    model.start(z, seed=0, batch=200)
    q = model(z)
    torch.testing.assert_close(q.quantised, model.lookup(q.code_indices))
    errors = [
        (z - model.lookup(q.code_indices[: level + 1])).square().sum(-1) for level in range(levels)
    ]
    means = [z.square().sum(-1).mean(), *(error.mean() for error in errors)]
    assert all(later < 0.7 * earlier for earlier, later in pairwise(means))
    torch.testing.assert_close(q.commitment, sum(errors))
    first = model.codebook[0][q.code_indices[0]]
    assert torch.equal(model.lookup(q.code_indices[:1]), first)


@pytest.mark.parametrize("fields", [{}, {"cosine": True}, {"levels": 3}, {"revival": True}])
@pytest.mark.parametrize("learning", ["ema", "loss"])
@pytest.mark.parametrize("through", THROUGH)
def test_looking_never_changes_a_codebook(learning, through, fields):
    model = quantizer(learning=learning, through=through, **fields)
    before, noise = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    z = vectors(50, 3)
    torch.set_rng_state(noise)
    for mode in (True, False):
        model.train(mode)
        codes = model(z.requires_grad_(mode)).code_indices
        with torch.no_grad():
            assert torch.equal(model(z).code_indices, codes)
        model.lookup(codes)
        model.distances(z)
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), noise)


# Gradients


def test_straight_through_hands_the_gradient_on():
    model, z = quantizer(), vectors(20, 3).requires_grad_()
    gradient = vectors(20, 3)
    (model(z).quantised * gradient).sum().backward()
    assert torch.equal(z.grad, gradient)


@pytest.mark.parametrize("levels", [1, 2])
def test_a_rotation_keeps_angles_and_scales_lengths(levels):
    model, z = quantizer(levels=levels, through="rotation"), vectors(50, 3).requires_grad_()
    q, gradient = model(z), vectors(50, 3)
    e = model.lookup(q.code_indices)
    torch.testing.assert_close(q.quantised, e)  # rounding apart
    (q.quantised * gradient).sum().backward()
    scale = e.norm(dim=-1) / z.detach().norm(dim=-1)
    torch.testing.assert_close(z.grad.norm(dim=-1), scale * gradient.norm(dim=-1))
    torch.testing.assert_close(
        functional.cosine_similarity(z.grad, z.detach()), functional.cosine_similarity(gradient, e)
    )


def test_a_rotation_to_the_opposite_side_keeps_lengths_too():
    model = quantizer(n_codes=2, through="rotation")
    model.vectors.copy_(torch.tensor([[[-1.0, 0, 0], [-9.0, 0, 0]]]))
    z = torch.tensor([[2.0, 0, 0]], dtype=torch.float64, requires_grad=True)
    gradient = vectors(1, 3)
    quantised = model(z).quantised
    torch.testing.assert_close(quantised, model.codebook[:, 0])
    (quantised * gradient).sum().backward()
    torch.testing.assert_close(z.grad.norm(), gradient.norm() / 2)


def test_a_vector_of_zeros_is_rotated_to_its_code_all_the_same():
    model = quantizer(through="rotation")
    z = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    q = model(z)
    torch.testing.assert_close(q.quantised, model.lookup(q.code_indices))
    q.quantised.sum().backward()
    assert z.grad.isfinite().all()


def bent(v: Tensor) -> Tensor:
    """Something that a decoder might make of vectors."""
    return (v.sin() * torch.arange(1.0, v.shape[-1] + 1)).sum() + 0.3 * v.prod(-1).sum()


@pytest.mark.parametrize("learning", ["ema", "loss"])
@pytest.mark.parametrize("through", THROUGH)
@pytest.mark.parametrize("levels", [1, 2])
def test_gradients_are_those_of_the_surrogate_with_its_stops_held(learning, through, levels):
    """Everything under a stop-gradient is a number; what is left is differentiated."""
    model = quantizer(learning=learning, through=through, levels=levels)
    start = vectors(6, 3)
    z = start.clone().requires_grad_()
    q = model(z)
    (bent(q.quantised) + (q.codebook + 0.25 * q.commitment).sum()).backward()

    fixed = model.codebook.detach().clone()
    codes = [fixed[level][chosen] for level, chosen in enumerate(q.code_indices)]
    total = sum(codes)
    if through == "rotation":
        e, a = unit(total), unit(start)
        r = unit(e + a)
        eye = torch.eye(3).double()
        turn = eye - 2 * r[:, :, None] * r[:, None] + 2 * e[:, :, None] * a[:, None]
        turn = turn * (total.norm(dim=-1) / start.norm(dim=-1))[:, None, None]

    def surrogate(z: Tensor, book: Tensor) -> Tensor:
        through_z = (turn @ z[..., None])[..., 0] if through == "rotation" else z + (total - start)
        value, left, left_fixed = bent(through_z), z, start
        for level, chosen in enumerate(q.code_indices):
            value = value + 0.25 * (left - codes[level]).square().sum()
            value = value + (left_fixed - book[level][chosen]).square().sum()
            left, left_fixed = left - codes[level], left_fixed - codes[level]
        return value

    torch.testing.assert_close(
        z.grad, slopes(lambda z: surrogate(z, fixed), start), rtol=1e-7, atol=1e-8
    )
    if learning == "ema":
        assert not model.codebook.requires_grad and not q.codebook.requires_grad
    else:
        expected = slopes(lambda book: surrogate(start, book), fixed)
        torch.testing.assert_close(model.vectors.grad, expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("cosine", [False, True])
def test_each_term_pulls_one_side_only(cosine):
    model, z = quantizer(learning="loss", cosine=cosine), vectors(40, 3).requires_grad_()
    q = model(z)
    torch.testing.assert_close(q.commitment, q.codebook)
    q.commitment.sum().backward(retain_graph=True)
    assert z.grad.abs().sum() > 0 and model.vectors.grad is None
    z.grad = None
    q.codebook.sum().backward()
    assert z.grad is None
    used = q.usage[0] > 0
    assert torch.equal(model.vectors.grad[0].abs().sum(-1) > 0, used) and used.any()


# Moving averages


def test_one_step_of_the_averages_by_hand():
    model = quantizer(2, 2, decay=0.5)
    model.vectors.copy_(torch.tensor([[[0.0, 0.0], [10.0, 0.0]]]))
    model.sums.copy_(model.vectors)  # N = 1, 1
    z = torch.tensor([[1.0, 0.0], [3.0, 0.0], [8.0, 2.0]], dtype=torch.float64)
    q = model(z)
    assert q.code_indices.tolist() == [[0, 0, 1]] and q.commitment.tolist() == [1, 9, 8]
    model.learn(z, q)
    assert model.uses.tolist() == [[1.5, 1.0]]  # (1 + 2) / 2 and (1 + 1) / 2
    assert model.sums.tolist() == [[[2.0, 0.0], [9.0, 1.0]]]  # (0 + 4) / 2 and (10 + 8) / 2, 2 / 2
    smooth = 1.50001 / 2.50002 * 2.5, 1.00001 / 2.50002 * 2.5
    expected = [[2 / smooth[0], 0.0], [9 / smooth[1], 1 / smooth[1]]]
    torch.testing.assert_close(model.codebook[0], torch.tensor(expected).double())
    assert q.quantised.tolist() == [[0, 0], [0, 0], [10, 0]], "those from before"


def test_later_levels_learn_from_what_was_left_over():
    model, z = quantizer(levels=2, decay=0.0), vectors(60, 3)
    q, before = model(z), model.codebook.clone()
    model.learn(z, q)
    left = z - before[0][q.code_indices[0]]
    for level, data in enumerate((z, left)):
        for k in range(7):
            mine = data[q.code_indices[level] == k]
            if len(mine):  # γ = 0: the mean, but for a smoothing of about 1e-5 / n
                error = (model.codebook[level, k] - mine.mean(0)).abs().max()
                assert error < 2e-5 * mine.mean(0).abs().max()


# Against a peer


def peer(model: VectorQuantizer, through: str, **fields: Any) -> VectorQuantize:
    """Theirs with our settings and codes: it computes in float32."""
    found = VectorQuantize(
        dim=model.codebook.shape[-1],
        codebook_size=model.codebook.shape[1],
        decay=model.decay,
        eps=vq.EPSILON,
        use_cosine_sim=model.cosine,
        rotation_trick=through == "rotation",
        threshold_ema_dead_code=0,
        **{"commitment_weight": 0.25, **fields},
    ).train()
    found._codebook.embed.data.copy_(model.codebook)
    found._codebook.embed_avg.copy_(model.sums)
    return found


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("through", THROUGH)
def test_forward_and_averages_are_those_of_vector_quantize_pytorch(cosine, through):
    model = quantizer(16, 8, decay=0.9, through=through, cosine=cosine).float()
    theirs = peer(model, through)
    for step in range(20):
        z = torch.randn(4, 25, 8).requires_grad_()
        same = z.detach().clone().requires_grad_()
        gradient = torch.randn(4, 25, 8)
        q = model(z)
        quantised, indices, loss = theirs(same)
        assert torch.equal(q.code_indices[0], indices)
        torch.testing.assert_close(q.quantised, quantised, rtol=1e-4, atol=1e-5)
        ours = 0.25 * q.commitment.mean() / 8  # theirs is a mean over the dimensions too
        torch.testing.assert_close(ours, loss)
        for answer, value in ((q.quantised, ours), (quantised, loss)):
            ((answer * gradient).sum() + 100 * value).backward()
        torch.testing.assert_close(z.grad, same.grad, rtol=1e-4, atol=1e-5)
        model.learn(z, q)
        torch.testing.assert_close(model.uses, theirs._codebook.cluster_size)
        torch.testing.assert_close(model.sums, theirs._codebook.embed_avg, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            model.codebook, theirs._codebook.embed, rtol=1e-4, atol=1e-5, msg=f"step {step}"
        )
    theirs.eval()
    before = theirs.codebook.clone()
    quantised, indices, loss = theirs(z.detach())
    assert loss == 0 and torch.equal(theirs.codebook, before)
    q = model(z.detach())
    assert torch.equal(q.code_indices[0], indices)
    torch.testing.assert_close(q.quantised, quantised, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("through", THROUGH)
def test_both_terms_of_a_loss_are_those_of_vector_quantize_pytorch(through):
    model = quantizer(16, 8, learning="loss", through=through).float()
    theirs = peer(model, through, ema_update=False, learnable_codebook=True, commitment_weight=1.0)
    z = torch.randn(4, 25, 8).requires_grad_()
    same = z.detach().clone().requires_grad_()
    q, (_, _, loss) = model(z), theirs(same)
    ours = (q.codebook + q.commitment).mean() / 8  # as one loss: equal values, both gradients
    torch.testing.assert_close(ours, 2 * loss)
    ours.backward()
    loss.backward()
    torch.testing.assert_close(z.grad, same.grad)
    torch.testing.assert_close(model.vectors.grad, theirs._codebook.embed.grad)


# Beginning and reviving


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("levels", [1, 2])
def test_the_start_is_that_of_scikit_learn(cosine, levels):
    model, z = quantizer(8, 3, cosine=cosine, levels=levels), vectors(300, 3)
    model.start(z, seed=3, batch=60)
    left = unit(z) if cosine else z
    for level in range(levels):
        found = KMeans(8, n_init=1, max_iter=30, random_state=3).fit(left)
        centres = torch.from_numpy(found.cluster_centers_)
        torch.testing.assert_close(model.codebook[level], unit(centres) if cosine else centres)
        counts = torch.bincount(torch.from_numpy(found.labels_).long(), minlength=8)
        torch.testing.assert_close(model.uses[level], counts * (60 / 300), check_dtype=False)
        torch.testing.assert_close(model.sums[level] / model.uses[level, :, None], centres)
        left = left - model.codebook[level][squares(left, model.codebook[level]).argmin(-1)]


def test_fewer_different_vectors_than_codes_are_refused_in_a_sentence():
    z = vectors(6, 3).repeat(50, 1)
    quantizer(6, 3).start(z, seed=0, batch=10)
    with pytest.raises(ConfigError, match=r"fewer different vectors than the 7 codes .*n_codes"):
        quantizer(7, 3).start(z, seed=0, batch=10)


def lonely(**fields: Any) -> VectorQuantizer:
    """Eight codes, the last three of them far from everything and long unused."""
    model = quantizer(8, 3, **fields)
    model.vectors.data[0, 5:] = 100 + torch.arange(3.0)[:, None]
    model.uses.copy_(torch.tensor([[9.0] * 5 + [1e-3] * 3]))
    model.sums.copy_(model.vectors.data * model.uses[..., None])
    return model


@pytest.mark.parametrize("learning", ["ema", "loss"])
def test_dead_codes_move_to_where_vectors_are_and_the_living_stay(learning):
    model, z = lonely(revival=True, learning=learning), vectors(80, 3)
    without = copy.deepcopy(model)
    without.revival = False
    for each in (model, without):
        each.learn(z, each(z))
    moved, still = model.codebook[0].detach(), without.codebook[0].detach()
    assert torch.equal(moved[:5], still[:5])
    assert model.revived.tolist() == [[0] * 5 + [1] * 3] and without.revived.sum() == 0
    assert (still[5:] > 50).all(), "off, they stay where nobody is"
    assert all((z == code).all(-1).any() for code in moved[5:])
    enough = REVIVE_BELOW * 80 / 8
    torch.testing.assert_close(model.uses[0, 5:], torch.full((3,), enough).double())
    torch.testing.assert_close(model.sums[0, 5:], moved[5:] * enough)
    assert model(z).usage[0, 5:].sum() > 0


def test_what_is_revived_on_a_later_level_is_what_was_left_over():
    model, z = quantizer(4, 3, levels=2, revival=True), vectors(80, 3)
    model.uses[1] = 0
    model.vectors[1] += 100
    q, first = model(z), model.codebook[0].clone()
    model.uses[0] = 99
    model.learn(z, q)
    left = z - first[q.code_indices[0]]
    revived = model.revived[1] > 0
    assert revived.any() and not model.revived[0].any()
    assert all((left == code).all(-1).any() for code in model.codebook[1][revived])


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("learning", ["ema", "loss"])
def test_a_collapsed_codebook_comes_apart_where_the_dead_are_revived(cosine, learning):
    model = quantizer(16, 3, cosine=cosine, learning=learning, decay=0.5)
    model.vectors.data[:] = torch.tensor([1.0, 2.0, 3.0])
    model.sums.copy_(model.vectors.data)
    assert torch.equal(model(vectors(9, 3)).quantised, model.codebook[0, :9])
    alive = copy.deepcopy(model)
    alive.revival = True
    for _ in range(8):
        z = vectors(160, 3)
        for each in (model, alive):
            each.learn(z, each(z))
            assert all(t.isfinite().all() for t in each.state_dict().values())
    assert (alive(vectors(500, 3)).usage > 0).sum() > 12
    if learning == "loss":  # nothing but a gradient moves them, and there was none
        assert (model.vectors == model.vectors[0, 0]).all() and model.revived.sum() == 0
    if cosine:
        torch.testing.assert_close(alive.codebook.norm(dim=-1), torch.ones(1, 16).double())
