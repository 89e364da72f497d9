"""Finite scalar quantisation: all of its lattice, there and back, and beside a peer."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from vector_quantize_pytorch import FSQ

from vae.fsq import FiniteScalarQuantizer

LATTICES = [(3,), (4,), (8, 5, 5), (8, 6, 5), (7, 5, 5, 5), (3, 4, 64)]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def towards(model: FiniteScalarQuantizer, codes: Tensor) -> Tensor:
    """Vectors that the box's own curve takes to these codes: the inverse of ``bounded``."""
    return torch.atanh((codes * model.width + model.offset) / model.bound) - model.shift


@pytest.mark.parametrize("levels", LATTICES)
def test_every_code_is_reached_and_read_back(levels):
    model, n = FiniteScalarQuantizer(levels).double(), math.prod(levels)
    everything = torch.arange(n)[None]
    codes = model.lookup(everything)
    assert codes.shape == (n, len(levels)) and len(codes.unique(dim=0)) == n
    q = model(towards(model, codes))
    assert torch.equal(q.code_indices, everything) and q.usage.tolist() == [[1] * n]
    torch.testing.assert_close(q.quantised, codes)
    for d, values in enumerate(levels):  # evenly, 1 / width apart, from −1 on
        found = codes[:, d].unique()
        expected = -1 + torch.arange(values).double() / (values // 2)
        torch.testing.assert_close(found, expected, check_dtype=False)


@pytest.mark.parametrize("levels", LATTICES)
def test_rounding_is_to_the_nearest_code_in_the_box(levels):
    model, z = FiniteScalarQuantizer(levels).double(), 4 * torch.randn(7, 6, len(levels)).double()
    q, distances = model(z), model.distances(z)
    assert distances.shape == (1, 7, 6, math.prod(levels))
    assert torch.equal(distances.argmin(-1), q.code_indices)
    gap = (model.bounded(z) - model.lookup(q.code_indices)).square().sum(-1)
    torch.testing.assert_close(distances.amin(-1)[0], gap)
    assert q.code_indices.shape == (1, 7, 6) and q.usage.sum() == 42
    assert (q.commitment == 0).all() and (q.codebook == 0).all()
    middle = model(torch.zeros(1, len(levels)).double()).quantised
    assert middle.abs().max() < 1e-12, "nothing is at 0 of every dimension"


@pytest.mark.parametrize("levels", LATTICES)
def test_codes_indices_and_gradients_are_those_of_vector_quantize_pytorch(levels):
    ours, theirs = FiniteScalarQuantizer(levels), FSQ(list(levels))
    z = (3 * torch.randn(5, 40, len(levels))).requires_grad_()
    same = z.detach().clone().requires_grad_()
    q, (codes, indices) = ours(z), theirs(same)
    assert torch.equal(q.code_indices[0], indices.long())
    torch.testing.assert_close(q.quantised, codes)
    every = torch.arange(math.prod(levels))
    torch.testing.assert_close(ours.lookup(every[None]), theirs.indices_to_codes(every))
    gradient = torch.randn_like(codes)
    for answer in (q.quantised, codes):
        (answer * gradient).sum().backward()
    torch.testing.assert_close(z.grad, same.grad)


def test_the_gradient_passes_the_rounding():
    model, z = FiniteScalarQuantizer((8, 5)).double(), torch.randn(9, 2).double().requires_grad_()
    gradient = torch.randn(9, 2).double()
    (model(z).quantised * gradient).sum().backward()
    with torch.no_grad():
        h = 1e-6
        slope = (model.bounded(z + h) - model.bounded(z - h)) / (2 * h)
    torch.testing.assert_close(z.grad, slope * gradient, rtol=1e-7, atol=1e-8)


def test_a_lattice_never_changes_and_keeps_nothing():
    model, z = FiniteScalarQuantizer((8, 5)), torch.randn(20, 2)
    before = model.codebook.clone()
    model.learn(z, model(z))
    assert (
        torch.equal(model.codebook, before) and not model.state_dict() and not model.revived.any()
    )
