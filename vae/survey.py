"""The coarse survey: in which blocks of the grid, and beyond it, each posterior lies."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from vae.dense import dense
from vae.grid import Grid, decode_blocks, tiles
from vae.joint import Joint
from vae.lattice import SIDE, layout, on_border, shell

#: A block whose best node lies so many nats below the best of all holds none of a posterior.
CUT = 24.0
#: A posterior is followed outwards to at most so many times the grid's radius.
REACH = 4
#: A datum that seems to need more blocks than this has a peak between the nodes: it is climbed, in
#: portions of so many data, with so many halvings of the step.
MANY, CLIMBERS, HALVINGS = 16, 64, 8
#: Data and nodes in one matrix product: what the caches hold.
ROWS, COLUMNS = 250, 512


class Surveyed(NamedTuple):
    """Which blocks each datum needs: P pairs (datum, block), rising in block.

    ``best`` (N) is the highest t·φ + b that was met, in nats; ``lost`` (N) tells whose posterior
    goes on beyond where it was followed.
    """

    best: Tensor
    lost: Tensor
    blocks: Tensor
    slack: Tensor
    datum: Tensor
    block: Tensor


def survey(
    joint: Joint, grid: Grid, t: Tensor, progress: Callable[[float], object] = lambda share: None
) -> Surveyed:
    """Finds the blocks of the coarse grid, and beyond it where needed, that each datum needs."""
    highest = _highest(t, grid.phi, grid.bias, progress)
    best, block = highest.max(1)
    near = highest + grid.slack >= best[:, None] - CUT
    many = (near.sum(1) > MANY).nonzero().flatten()
    for tile in many.split(CLIMBERS) if len(many) else ():
        best[tile] = _climb(joint, grid, t[tile], block[tile])
    near = highest + grid.slack >= best[:, None] - CUT
    far = (near & on_border(grid.blocks, grid.reach)).any(1).nonzero().flatten()
    found = [(grid.blocks, grid.slack, *near.nonzero(as_tuple=True))]
    n_blocks, reach = len(grid.blocks), grid.reach
    while len(far) and reach < REACH * grid.reach:
        reach += 1
        blocks = shell(reach, joint.latent_dim)
        parts = []
        for tile in tiles(blocks):
            phi, bias, slack, _ = decode_blocks(joint, tile, grid.step)
            parts.append((_highest(t[far], phi, bias), slack))
        highest, slack = (torch.cat(p, -1) for p in zip(*parts, strict=True))
        best[far] = torch.maximum(best[far], highest.amax(1))
        near = highest + slack >= best[far, None] - CUT
        row, block = near.nonzero(as_tuple=True)
        found.append((blocks, slack, far[row], block + n_blocks))
        n_blocks += len(blocks)
        far = far[near.any(1)]
    lost = torch.zeros(len(t), dtype=torch.bool)
    lost[far] = True
    blocks, slack, datum, block = (torch.cat(p) for p in zip(*found, strict=True))
    return Surveyed(best, lost, blocks, slack, *_by_block(datum, block))


def _highest(
    t: Tensor, phi: Tensor, bias: Tensor, progress: Callable[[float], object] = lambda share: None
) -> Tensor:
    """The best node of every block for every datum, (N, B): the one large matrix product."""
    n_blocks, n = bias.shape
    out = torch.empty(len(t), n_blocks, dtype=t.dtype)
    size = max(1, COLUMNS // n)
    for j in range(0, n_blocks, size):
        nodes, offset = phi[j : j + size].flatten(0, 1), bias[j : j + size].flatten()
        for i in range(0, len(t), ROWS):
            scores = dense(t[i : i + ROWS], nodes, offset)
            out[i : i + ROWS, j : j + size] = scores.view(len(scores), -1, n).amax(-1)
        progress(min(1.0, (j + size) / n_blocks))
    return out


def _climb(joint: Joint, grid: Grid, t: Tensor, block: Tensor) -> Tensor:
    """A higher value of t·φ + b for each datum, from the best node of a block by pattern search."""
    D, plan, step = joint.latent_dim, layout(joint.latent_dim), grid.step
    scores = (grid.phi[block] @ t[:, :, None]).squeeze(-1) + grid.bias[block]
    best, node = scores.max(1)
    z = (SIDE * grid.blocks[block] + plan.offsets[node]).double() * step
    around = torch.cartesian_prod(*[torch.arange(-1, 2)] * D).view(-1, D)
    for _ in range(HALVINGS):
        step /= 2
        for _ in range(2):
            places = z[:, None] + around * step
            phi, bias = joint.at(places.flatten(0, 1))
            scores = (phi.view(len(t), len(around), -1) @ t[:, :, None]).squeeze(-1)
            best, move = (scores + bias.view(len(t), -1)).max(1)
            z = places[torch.arange(len(t)), move]
    return best


def _by_block(datum: Tensor, block: Tensor) -> tuple[Tensor, Tensor]:
    """Pairs in the order of their blocks."""
    order = block.argsort(stable=True)
    return datum[order], block[order]
