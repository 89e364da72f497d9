r"""Nested lattices in blocks: where the integrals over one or two latent dimensions are sampled.

A lattice holds all multiples of its step. It is cut into blocks of ``SIDE`` nodes a side, named by
whole numbers: block i begins at i · SIDE · step. The lattice of half the step contains it, and each
quarter of a block (each half, in one dimension) covers the same place as one block of that finer
lattice, its child. So a child inherits a share of its nodes and their values.
"""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

#: Nodes along each side of a block.
SIDE = 16


class Layout(NamedTuple):
    """The n = SIDE^D nodes of a block, in an order that puts the inherited ones first.

    ``offsets`` (n, D) are their places, in steps from the corner of the block, coset by coset: the
    2^D lattices of twice the step that interleave to this one. The first coset holds the nodes
    inherited from the coarser lattice. ``quarters`` (2^D, n / 2^D) are the nodes of each child, in
    the order in which the child inherits them, and ``children`` (2^D, D) where the children lie.
    """

    offsets: Tensor
    quarters: Tensor
    children: Tensor

    @property
    def n_inherited(self) -> int:
        """How many nodes come from the coarser lattice."""
        return self.quarters.shape[1]

    def nodes(self, blocks: Tensor, step: float) -> Tensor:
        """Latents of blocks (B, D): (B, n, D), float64."""
        return (SIDE * blocks[:, None] + self.offsets).double() * step

    def statistics(self) -> Tensor:
        """What is summed over each quarter of a block, per node: (n, 2^D, 2^D + D + D²), float64.

        The mass of each coset, the offsets, and their products.
        """
        n = len(self.offsets)
        parts = len(self.children)
        u = self.offsets.double()
        coset = torch.arange(n) // (n // parts)
        each = (
            torch.nn.functional.one_hot(coset, parts).double(),
            u,
            (u[:, :, None] * u[:, None]).flatten(1),
        )
        quarter = torch.zeros(n, parts, 1, dtype=torch.float64)
        quarter[self.quarters, torch.arange(parts)[:, None]] = 1
        return quarter * torch.cat(each, 1)[:, None]


@lru_cache
def layout(D: int) -> Layout:
    """The layout of a block in D dimensions.

    Example:
        >>> layout(1).offsets.flatten().tolist()
        [0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15]
        >>> layout(1).quarters.tolist()  # the places 0 to 7, and 8 to 15
        [[0, 8, 1, 9, 2, 10, 3, 11], [4, 12, 5, 13, 6, 14, 7, 15]]
    """
    children = _product(range(2), D)
    inside = _product(range(SIDE // 2), D)
    offsets = (2 * inside + children[:, None]).flatten(0, 1)
    index = torch.empty((SIDE,) * D, dtype=torch.long)
    index[tuple(offsets.T)] = torch.arange(len(offsets))
    places = SIDE // 2 * children[:, None] + inside
    return Layout(offsets, index[tuple(places.movedim(-1, 0))], children)


def cube(reach: int, D: int) -> Tensor:
    """All blocks within so many blocks of the origin, in each dimension: ((2 reach)^D, D).

    Example:
        >>> cube(1, 2).tolist()
        [[-1, -1], [-1, 0], [0, -1], [0, 0]]
    """
    return _product(range(-reach, reach), D)


def shell(reach: int, D: int) -> Tensor:
    """The outermost blocks of a cube.

    Example:
        >>> shell(2, 1).tolist()
        [[-2], [1]]
    """
    blocks = cube(reach, D)
    return blocks[on_border(blocks, reach)]


def on_border(blocks: Tensor, reach: int) -> Tensor:
    """Which blocks (B, D) are outermost in the cube of this reach: (B), bool."""
    return ((blocks == -reach) | (blocks == reach - 1)).any(-1)


def distinct(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """The different ones among blocks (P, D), and which of them each is (P).

    Example:
        >>> distinct(torch.tensor([[5, 1], [2, 3], [5, 1]]))
        (tensor([[2, 3],
                [5, 1]]), tensor([1, 0, 1]))
    """
    stride = 2**31 if blocks.shape[1] > 1 else 1  # a number for each block, faster than its rows
    names, which = (blocks[:, 0] * stride + blocks[:, -1]).unique(return_inverse=True)
    first = torch.full((len(names),), len(blocks)).scatter_reduce(
        0, which, torch.arange(len(blocks)), "amin"
    )
    return blocks[first], which


def _product(numbers: range, D: int) -> Tensor:
    """All D-tuples of numbers, the last running fastest."""
    return torch.tensor(list(itertools.product(numbers, repeat=D)))
