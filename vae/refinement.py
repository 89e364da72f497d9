r"""From a survey to lattices fine enough: what each posterior sums to.

A datum is summed on one lattice, over all blocks that hold any of its posterior's mass. The
rectangle rule converges fast on a lattice: exponentially where the posterior is smooth, and with
the square of the step at least where a decoder of linear pieces leaves it kinks. So the step is
halved, for the data that need it, until the error is small enough. Every block is decoded once for
all data that need it, and of a finer lattice only the nodes that the coarser one lacks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from vae.dense import dense
from vae.grid import Grid, tiles
from vae.joint import Joint
from vae.lattice import SIDE, distinct, layout
from vae.survey import CUT, ROWS, Surveyed

#: How often the step may be halved.
DEPTH = 8
#: Data are refined in groups whose values on the coarse lattice take so many bytes at most.
BYTES = 80_000_000
#: exp of numbers far below zero is slow, and adds nothing.
FLOOR = -60.0
#: Pairs that are summed at once.
PAIRS = 4096


class Settled(NamedTuple):
    """The M data that were settled on one lattice, with indices ``data``.

    ``log_evidence`` (M) lacks c(x); all in nats, float64. ``blocks`` (B, D), ``datum`` (P), an
    index into all data, ``block`` (P) and ``values`` (P, n), t·φ + b at the nodes of each block,
    are the lattice itself, of other data too.
    """

    step: float
    data: Tensor
    log_evidence: Tensor
    error: Tensor
    loc: Tensor
    covariance: Tensor
    blocks: Tensor
    datum: Tensor
    block: Tensor
    values: Tensor


def settle(
    joint: Joint, grid: Grid, t: Tensor, surveyed: Surveyed, tolerance: float, tail: float
) -> Iterator[Settled]:
    """Halves the step until the error of every datum is below the tolerance; see the top.

    A quarter of a block that holds less than the share ``tail`` of a datum's mass is not refined;
    its sum stays that of the last lattice. Data come out as they are settled, the last at ``DEPTH``
    whatever their error.
    """
    N, n = len(t), SIDE**joint.latent_dim
    n_groups = math.ceil(len(surveyed.datum) * n * t.itemsize / BYTES)
    size = math.ceil(N / max(1, n_groups))
    for first in range(0, N, max(1, size)):
        rows = slice(first, first + size)
        mine = (surveyed.datum >= first) & (surveyed.datum < first + size)
        group = surveyed._replace(
            best=surveyed.best[rows],
            lost=surveyed.lost[rows],
            datum=surveyed.datum[mine] - first,
            block=surveyed.block[mine],
        )
        for one in _settle(joint, grid, t[rows], group, tolerance, tail):
            yield one._replace(data=one.data + first, datum=one.datum + first)
            del one  # and with it the values of a lattice, before the next one needs the memory


def _settle(
    joint: Joint, grid: Grid, t: Tensor, surveyed: Surveyed, tolerance: float, tail: float
) -> Iterator[Settled]:
    """The data of one group."""
    best, lost, blocks, slack, datum, block = surveyed
    D, N = joint.latent_dim, len(t)
    plan = layout(D)
    statistics = plan.statistics().to(t.dtype)
    n_parts, n = len(plan.children), len(plan.offsets)
    reference, step = best.double(), grid.step
    kept = torch.zeros(N, 1 + D + D * D, dtype=torch.float64)  # what is not refined any more
    active = torch.ones(N, dtype=torch.bool)
    values = torch.empty(len(datum), n, dtype=t.dtype)
    for depth in range(DEPTH + 1):
        first = 0 if depth == 0 else plan.n_inherited
        _evaluate(joint, grid if depth == 0 else None, t, blocks, step, datum, block, values, first)
        cosets, sums, log_mass = _sums(values, blocks[block], step, statistics, reference[datum])
        total = kept.index_add(0, datum, sums.sum(1))
        shares = (kept[:, :1] / n_parts).repeat(1, n_parts).index_add(0, datum, cosets)
        error = _error(shares / total[:, :1]) + 2 * torch.finfo(t.dtype).eps * reference.abs()
        error[lost | error.isnan()] = torch.inf
        done = active & ((error <= tolerance) | lost if depth < DEPTH else True)
        data = done.nonzero().flatten()
        mass, loc = total[data, 0], total[data, 1 : 1 + D] / total[data, :1]
        square = (total[data, 1 + D :] / mass[:, None]).view(-1, D, D)
        covariance = square - loc[:, :, None] * loc[:, None]
        log_evidence = reference[data] + mass.log()
        yield Settled(
            step, data, log_evidence, error[data], loc, covariance, blocks, datum, block, values
        )
        active = active & ~done
        if not active.any():
            return
        most = log_mass + (slack[block, None] / 4**depth).double()  # with peaks between the nodes
        refine = (most > (tail * total[datum, :1]).log()) & (most > D * math.log(step) - CUT)
        refine &= active[datum, None]
        kept.index_add_(0, datum, torch.where(refine[..., None], 0.0, sums).sum(1))
        pair, part = refine.nonzero(as_tuple=True)
        children = 2 * blocks[block[pair]] + plan.children[part]
        above, (blocks, child) = slack[block[pair]], distinct(children)
        slack = slack.new_zeros(len(blocks)).scatter_reduce(0, child, above, "amax")
        order = child.argsort(stable=True)
        pair, part, block = pair[order], part[order], child[order]
        datum, coarser = datum[pair], values
        values = torch.empty(len(datum), n, dtype=t.dtype)
        for p, quarter in enumerate(plan.quarters):
            mine = (part == p).nonzero().flatten()
            values[mine, : plan.n_inherited] = coarser[pair[mine]][:, quarter]
        del coarser
        step /= 2


def _evaluate(
    joint: Joint,
    grid: Grid | None,
    t: Tensor,
    blocks: Tensor,
    step: float,
    datum: Tensor,
    block: Tensor,
    values: Tensor,
    first: int,
) -> None:
    """Fills in t·φ + b at the nodes of each pair, from the first that is not inherited."""
    places = layout(joint.latent_dim).offsets[first:]
    counts = block.bincount(minlength=len(blocks))
    needed = counts.nonzero().flatten()
    end = counts.cumsum(0).tolist()
    for index in tiles(needed[:, None], len(places)):
        index = index.flatten()
        if grid is not None and not grid.rough and int(index[-1]) < len(grid.blocks):
            phi, bias = grid.phi[index], grid.bias[index]
        else:
            phi, bias = joint.at(
                (SIDE * blocks[index][:, None] + places).double().flatten(0, 1) * step
            )
            phi, bias = phi.view(len(index), len(places), -1), bias.view(len(index), -1)
        for k, i in enumerate(index.tolist()):
            for a in range(end[i] - int(counts[i]), end[i], ROWS):
                rows = slice(a, min(a + ROWS, end[i]))
                values[rows, first:] = dense(t[datum[rows]], phi[k], bias[k])


def _sums(
    values: Tensor, blocks: Tensor, step: float, statistics: Tensor, reference: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Sums of exp(values - reference) over cells: of cosets (P, 2^D), over quarters of 1, z and
    z zᵀ (P, 2^D, 1 + D + D²), and the logarithm of the first of these (P, 2^D)."""
    D = blocks.shape[1]
    n_parts, width = statistics.shape[1:]
    parts = []
    for rows, corner, zero in zip(
        *(a.split(PAIRS) for a in (values, blocks, reference)), strict=True
    ):
        peak = rows.amax(1, keepdim=True)
        density = (rows - peak).clamp_(min=FLOOR).exp_()
        sums = (density @ statistics.flatten(1)).double().view(-1, n_parts, width)
        log_scale = peak.double() - zero[:, None] + D * math.log(step)
        log_mass = sums[..., : 2**D].sum(-1).log() + log_scale
        cosets, u, uu = (sums * log_scale.exp()[..., None]).split((2**D, D, D * D), dim=-1)
        mass, corner = cosets.sum(-1, keepdim=True), (SIDE * step * corner.double())[:, None]
        cross = step * corner[..., :, None] * u[..., None, :]
        square = corner[..., :, None] * corner[..., None, :] * mass[..., None]
        square += step**2 * uu.unflatten(-1, (D, D)) + cross + cross.mT
        moments = torch.cat((mass, corner * mass + step * u, square.flatten(-2)), -1)
        parts.append((cosets.sum(1), moments, log_mass))
    return tuple(map(torch.cat, zip(*parts, strict=True)))


def _error(shares: Tensor) -> Tensor:
    r"""The error of log p(x) in nats, from the shares (N, 2^D) of the interleaved coarser lattices.

    The spread of their sums, relative to the mean, is the error of a lattice of twice the step;
    half the step has a fourth of it at most, the rule being of second order or better. A spread
    near 1 says that the posterior falls through the lattice, and nothing about the error.
    """
    spread = (shares * shares.shape[1] - 1).square().mean(1).sqrt()
    return -torch.log1p(-spread.clamp(max=1.0)) / 4
