"""Blocks of nested lattices: every node is where it is said to be, once."""

from __future__ import annotations

import pytest
import torch

from vae.lattice import SIDE, cube, layout, on_border, shell


@pytest.mark.parametrize("D", [1, 2])
def test_blocks_cover_the_lattice_once(D):
    z = layout(D).nodes(cube(2, D), step=0.5).flatten(0, 1)
    axis = 0.5 * torch.arange(-2 * SIDE, 2 * SIDE, dtype=torch.float64)
    assert sorted(z.tolist()) == torch.cartesian_prod(*[axis] * D).view(-1, D).tolist()


@pytest.mark.parametrize("D", [1, 2])
def test_children_inherit_their_first_nodes_in_order(D):
    plan, block = layout(D), torch.tensor([[3, -2][:D]])
    parent = plan.nodes(block, step=1.0)[0]
    for quarter, child in zip(plan.quarters, plan.children, strict=True):
        nodes = plan.nodes(2 * block + child, step=0.5)[0]
        assert torch.equal(nodes[: plan.n_inherited], parent[quarter])


@pytest.mark.parametrize("D", [1, 2])
def test_statistics_sum_cosets_and_moments_of_each_quarter(D):
    plan = layout(D)
    weight = torch.rand(SIDE**D, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sums = torch.einsum("n,nqs->qs", weight, plan.statistics())
    for quarter, found in zip(plan.quarters, sums, strict=True):
        w, u = weight[quarter], plan.offsets[quarter].double()
        parity = (u % 2).long() @ torch.tensor([2, 1])[-D:]
        cosets = torch.stack([w[parity == c].sum() for c in range(2**D)])
        second = torch.einsum("n,ni,nj->ij", w, u, u).flatten()
        torch.testing.assert_close(found, torch.cat((cosets, w @ u, second)))


@pytest.mark.parametrize("D", [1, 2])
def test_shells_grow_a_cube(D):
    grown = torch.cat((cube(3, D), shell(4, D)))
    assert sorted(grown.tolist()) == cube(4, D).tolist()
    assert on_border(grown, 4).sum() == len(shell(4, D))
