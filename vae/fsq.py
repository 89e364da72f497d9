"""Finite scalar quantisation: codes on a fixed lattice: nothing to learn, nothing to die."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vae.vq import Quantised


class FiniteScalarQuantizer(nn.Module):
    r"""Rounds each of D bounded numbers to one of a few values.

    .. math:: z_q = \mathrm{round}\left(\tfrac{(l - 1)(1 + \epsilon)}{2}
        \tanh(z + s) - o\right) \big/ \lfloor l / 2 \rfloor

    The offset o (½ for even l) makes l values of the rounding, the shift s takes 0 to the one at 0;
    of an even number one more lies below it than above. The codebook is all combinations; the
    gradient passes the rounding unchanged.

    Arguments:
        levels: The number of values of each dimension.

    Source:
        Mentzer et al. 2023, Finite Scalar Quantization: VQ-VAE Made Simple, section 3.1 and
        appendix A.1; with +ε and an inverse tanh for s as in ``vector-quantize-pytorch``, where the
        authors' code has −ε and a tangent.

    Example:
        >>> q = FiniteScalarQuantizer((8, 5, 5))(torch.randn(4, 3))
        >>> q.quantised.shape, q.code_indices.shape, q.usage.shape
        (torch.Size([4, 3]), torch.Size([1, 4]), torch.Size([1, 200]))
    """

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        steps = torch.tensor(levels)
        half = (steps - 1) * (1 + 1e-3) / 2
        offset = torch.where(steps % 2 == 0, 0.5, 0.0)
        strides = torch.tensor([1, *levels[:-1]]).cumprod(0)
        values = torch.arange(math.prod(levels))[:, None] // strides % steps
        width = steps // 2
        for name, t in (
            ("bound", half),
            ("offset", offset),
            ("shift", torch.atanh(offset / half)),
            ("width", width),
            ("strides", strides),
            ("codebook", ((values - width) / width)[None]),
            ("revived", torch.zeros(1, math.prod(levels))),
        ):
            self.register_buffer(name, t, persistent=False)

    def bounded(self, z: Tensor) -> Tensor:
        """Vectors (*, D) squeezed into the lattice's box, where codes lie ``1 / width`` apart."""
        return (torch.tanh(z + self.shift) * self.bound - self.offset) / self.width

    def forward(self, z: Tensor) -> Quantised:
        """Quantises vectors (*, D); both squared distances are 0, for nothing is pulled."""
        inside = self.bounded(z)
        rounded = torch.round(inside.detach() * self.width)
        whole = torch.nan_to_num(rounded + self.width).long()  # a loss that diverged is said later
        chosen = (whole * self.strides).sum(-1).clamp(0, self.codebook.shape[1] - 1)
        quantised = inside + (rounded / self.width - inside).detach()
        usage = torch.bincount(chosen.flatten(), minlength=self.codebook.shape[1])
        nothing = torch.zeros_like(chosen, dtype=z.dtype)
        return Quantised(quantised, chosen[None], nothing, nothing, usage[None])

    def lookup(self, code_indices: Tensor) -> Tensor:
        """The vectors that codes (1, *) stand for, with shape (*, D)."""
        return self.codebook[0][code_indices[0]]

    def distances(self, z: Tensor) -> Tensor:
        """Squared distances, inside the box, of vectors (*, D) to all codes: (1, *, n_codes)."""
        inside = self.bounded(z).reshape(-1, z.shape[-1])
        return torch.cdist(inside, self.codebook[0]).square().view(1, *z.shape[:-1], -1)

    def learn(self, z: Tensor, q: Quantised) -> None:
        """Nothing: the lattice is fixed."""
