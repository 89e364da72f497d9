"""The decoded grid of a checkpoint: one lattice over the prior, shared by all data."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Independent

from vae.joint import Joint, QuadratureError
from vae.lattice import SIDE, cube, layout
from vae.likelihoods import natural
from vae.model import VAE

#: Step of the grid, and how far it reaches at first, in standard deviations of the prior.
STEP, RADIUS = 1 / 16, 6.0
#: A grid that would need more memory than this is refused, in bytes.
MAX_BYTES = 600_000_000
#: Nodes decoded at once.
NODES = 1024


class Grid(NamedTuple):
    """A decoded lattice in B blocks of n nodes, for a model and what is observed of a datum.

    ``blocks`` (B, D) are named as in ``lattice``; ``phi`` (B, n, F) and ``bias`` (B, n) are the
    terms of log p(x, z), see ``joint``, in nats; ``slack`` (B) is by how many nats a peak between
    the nodes of a block may exceed them. ``partition`` (B n, d) is the share of each coordinate in
    the log-partition, float16, from which other masks are surveyed; nothing where that is too
    coarse. ``observed`` (d) is the mask, nothing if all coordinates count. A ``rough`` grid is for
    the survey alone.
    """

    blocks: Tensor
    phi: Tensor
    bias: Tensor
    slack: Tensor
    partition: Tensor | None
    observed: Tensor | None
    step: float
    rough: bool = False

    @property
    def reach(self) -> int:
        """How many blocks lie between the origin and the border."""
        return -int(self.blocks.min())

    @property
    def radius(self) -> float:
        """How far the grid reaches from the origin along each axis."""
        return self.reach * SIDE * self.step

    @property
    def z(self) -> Tensor:
        """The nodes, with shape (B n, D), float64."""
        return layout(self.blocks.shape[1]).nodes(self.blocks, self.step).flatten(0, 1)

    def seen_by(self, joint: Joint) -> Grid:
        """The grid for what a ``Joint`` observes: other masks change the log-partition alone."""
        ours, theirs = self.observed, joint.observed
        if ours is theirs or (ours is not None and theirs is not None and ours.equal(theirs)):
            return self
        if theirs is None or self.partition is None:
            return _decode(joint, self.step, self.reach)
        mask = theirs.float()
        log_partition = torch.cat([tile.float() @ mask for tile in self.partition.split(4096)])
        bias = joint.prior.log_prob(self.z.to(joint.dtype)) - log_partition.to(joint.dtype)
        return self._replace(
            bias=bias.view_as(self.bias), partition=None, observed=theirs, rough=True
        )


@torch.no_grad()
def decode_grid(
    model: VAE, *, step: float = STEP, radius: float = RADIUS, observed: Tensor | None = None
) -> Grid:
    r"""Decodes the lattice on which the latent space of a model is surveyed.

    It need not resolve the posteriors, which are refined where they lie, only not miss them. By how
    much a peak less than a step away along each axis may exceed a node follows from the decoder's
    Fisher information G, and is the slack of a block:

    .. math:: \log p(x \mid z) - \log p(x \mid z_0) \lesssim h^2 (G_{11} + G_{22}), \qquad
        h^2 G_{dd} \approx (\eta' - \eta) \cdot (\mu' - \mu)

    where η, μ and η', μ' are natural parameters and means at neighbouring nodes.

    Arguments:
        model: A model with one or two latent dimensions.
        step: Distance of neighbouring nodes.
        radius: How far the grid reaches along each axis, rounded up to whole blocks; data whose
            posterior touches the border are followed beyond it.
        observed: Which of the d coordinates of a datum count; all if not given.

    Returns:
        The grid; for 784 pixels, 400 hidden units and the default step about 120 MB.

    Raises:
        QuadratureError: If the model has more latent dimensions, weights that are not finite, or a
            decoder for which the grid would not fit in memory; if step or radius is not positive.

    Source:
        Burda et al. 2016, appendix C, show posteriors on such a grid; Amari 2016, Information
        Geometry, for the metric.

    Example:
        >>> from vae.config import RunConfig
        >>> grid = decode_grid(VAE(RunConfig(dataset="digits", hidden=(16,))), step=1 / 4)
        >>> grid.radius, len(grid.z)
        (8.0, 4096)
    """
    if not (step > 0 and radius > 0):
        raise QuadratureError("A grid needs a step and a radius above zero.")
    joint = Joint(model, observed)
    reach = math.ceil(radius / (SIDE * step))
    width = joint.features(torch.zeros(1, joint.latent_dim)).shape[1]
    bytes_per_node = width * torch.finfo(joint.dtype).bits // 8 + 2 * math.prod(joint.shape)
    size = (2 * reach * SIDE) ** joint.latent_dim * bytes_per_node
    if size > MAX_BYTES:
        raise QuadratureError(
            f"A grid with step {step:g} and radius {radius:g} would take {size / 1e6:,.0f} MB, "
            f"and the limit is {MAX_BYTES / 1e6:,.0f} MB: choose a larger step."
        )
    return _decode(joint, step, reach)


def _decode(joint: Joint, step: float, reach: int) -> Grid:
    """The grid that reaches so many blocks from the origin."""
    blocks, whole, start = cube(reach, joint.latent_dim), [], 0
    for tile in tiles(blocks):
        *terms, p_x = decode_blocks(joint, tile, step)
        if joint.likelihood != "gaussian" and joint.observed is None:
            each = natural(Independent(p_x.base_dist, 0)).log_partition
            terms.append(each.half().view(*terms[1].shape, -1))
        whole = whole or [term.new_empty(len(blocks), *term.shape[1:]) for term in terms]
        for all_blocks, some in zip(whole, terms, strict=True):
            all_blocks[start : start + len(tile)] = some
        start += len(tile)
    phi, bias, slack, *partition = whole
    shares = partition[0].flatten(0, 1) if partition else None
    return Grid(blocks, phi, bias, slack, shares, joint.observed, step)


def tiles(blocks: Tensor, n_new: int | None = None) -> tuple[Tensor, ...]:
    """Blocks (B, D) in portions to be decoded at once, n_new nodes of each."""
    n = n_new or SIDE ** blocks.shape[1]
    return blocks.split(max(1, NODES // n)) if len(blocks) else ()


def decode_blocks(
    joint: Joint, blocks: Tensor, step: float
) -> tuple[Tensor, Tensor, Tensor, Independent]:
    """φ (B, n, F), b (B, n) and slack (B) of whole blocks, and p(x given z) of their nodes."""
    D = blocks.shape[1]
    z = layout(D).nodes(blocks, step).flatten(0, 1)
    phi, bias = joint.at(z)
    p_x = joint.answer(z, phi)
    eta, mean = natural(p_x).eta, p_x.mean.flatten(1)
    order = layout(D).offsets @ torch.tensor([SIDE**k for k in reversed(range(D))])
    square = (len(blocks), *(SIDE,) * D, -1)
    eta, mean = (
        t.view(len(blocks), SIDE**D, -1)[:, order.argsort()].view(square) for t in (eta, mean)
    )
    slack = sum(
        (eta.diff(dim=axis) * mean.diff(dim=axis)).sum(-1).flatten(1).amax(1)
        for axis in range(1, D + 1)
    )
    return phi.view(len(blocks), SIDE**D, -1), bias.view(len(blocks), -1), slack, p_x
