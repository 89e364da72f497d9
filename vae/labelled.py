r"""The conditional VAE: encoder and decoder are told the label y of a datum.

.. math:: p(x \mid y) = \int p(x \mid z, y)\, p(z)\, \mathrm{d}z, \qquad q(z \mid x, y)

What the label says need not be encoded any more, so z is free to carry the rest, such as how a
digit is written. The label enters as a bias of the first layer. For fully connected layers that is
the same as one more input for each label, which is 1 for the datum's own and 0 for all others; and
told one label, the model is an ordinary VAE with another bias.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class Labelled(nn.Module):
    r"""A body whose first layer is told a label: W x + b becomes W x + b + shift[y].

    After a convolution the shift is one number a channel. It begins at zero: a fresh conditional
    model is, under every label, the unconditional one of the same seed.

    Arguments:
        body: Layers one after the other, the first one that computes dense or convolutional.
        n_labels: The number of labels.

    Source:
        Sohn, Lee & Yan 2015, Learning Structured Output Representation using Deep Conditional
        Generative Models; Kingma et al. 2014, Semi-supervised Learning with Deep Generative
        Models, model M2, whose label is given here.

    Example:
        >>> body = Labelled(nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 4)), n_labels=10)
        >>> body.told(torch.zeros(6, 5, 3), torch.tensor([0, 1, 2, 3, 9]), event_dims=1).shape
        torch.Size([6, 5, 4])
    """

    def __init__(self, body: nn.Module, n_labels: int) -> None:
        super().__init__()
        self.body = body
        self.shift = nn.Parameter(torch.zeros(n_labels, len(_first(body).bias)))

    def forward(self, x: Tensor) -> Tensor:
        """Nothing without a label.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            "this model is conditional and was told no label: ask model.given(label), with one "
            "label for all data or one for each"
        )

    def told(self, x: Tensor, labels: Tensor | None, event_dims: int) -> Tensor:
        """What the body answers to data (*, B, *event) of which row b has the label b."""
        if labels is None:
            return self(x)
        lead = x.shape[: x.dim() - event_dims]
        if lead[-1:] != labels.shape:
            raise ValueError(f"{len(labels)} labels were given for data of shape {tuple(x.shape)}")
        first, shift = _first(self.body), self.shift.index_select(0, labels)
        out = x.reshape(-1, *x.shape[x.dim() - event_dims :])
        for layer in (m for m in self.body.modules() if not isinstance(m, nn.Sequential)):
            out = layer(out)
            if layer is first:
                shift = shift.view(*shift.shape, *(1,) * (out.dim() - 2))
                out = (out.unflatten(0, (-1, labels.shape[0])) + shift).flatten(0, 1)
        return out.reshape(*lead, *out.shape[1:])

    @torch.no_grad()
    def folded(self, label: int) -> nn.Module:
        """A copy of the body that takes every datum for one of this label."""
        body = copy.deepcopy(self.body)
        _first(body).bias += self.shift[label]
        return body


def _first(body: nn.Module) -> nn.Linear | nn.Conv2d:
    """The first layer that computes something."""
    return next(m for m in body.modules() if isinstance(m, nn.Linear | nn.Conv2d))
