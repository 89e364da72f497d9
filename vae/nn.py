"""Bodies: what stands between data and the parameters of a distribution."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}


def mlp(sizes: Sequence[int], activation: str = "relu") -> nn.Sequential:
    """Fully connected layers, an activation between each two and none after the last.

    Arguments:
        sizes: Width of the input, of each hidden layer, and of the output.
        activation: ``"relu"`` or ``"tanh"``.

    Returns:
        A module from (*, sizes[0]) to (*, sizes[-1]).

    Raises:
        KeyError: If the activation has another name.

    Source:
        The encoder and decoder of Kingma & Welling 2014, appendix C.

    Example:
        >>> mlp([784, 400, 4])(torch.zeros(3, 784)).shape
        torch.Size([3, 4])
    """
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])


def mlp_encoder(
    shape: Sequence[int], hidden: Sequence[int], n_out: int, activation: str
) -> nn.Module:
    """From (B, *shape) to (B, n_out) through fully connected layers."""
    return nn.Sequential(nn.Flatten(), mlp([prod(shape), *hidden, n_out], activation))


def mlp_decoder(
    n_in: int, hidden: Sequence[int], shape: Sequence[int], activation: str
) -> nn.Module:
    """From (B, n_in) to (B, *shape), the mirror of ``mlp_encoder``."""
    body = mlp([n_in, *reversed(hidden), prod(shape)], activation)
    return nn.Sequential(body, nn.Unflatten(1, tuple(shape)))


def conv_encoder(
    shape: Sequence[int], hidden: Sequence[int], n_out: int, activation: str
) -> nn.Module:
    """From (B, C, H, W) to (B, n_out): two convolutions that halve the sides, one dense layer."""
    (channels, height, width), (first, second, dense) = shape, hidden
    act = ACTIVATIONS[activation]
    return nn.Sequential(
        nn.Conv2d(channels, first, 4, stride=2, padding=1),
        act(),
        nn.Conv2d(first, second, 4, stride=2, padding=1),
        act(),
        nn.Flatten(),
        nn.Linear(second * (height // 4) * (width // 4), dense),
        act(),
        nn.Linear(dense, n_out),
    )


def conv_decoder(
    n_in: int, hidden: Sequence[int], shape: Sequence[int], activation: str
) -> nn.Module:
    """From (B, n_in) to (B, C, H, W), the mirror of ``conv_encoder``."""
    (channels, height, width), (first, second, dense) = shape, hidden
    act = ACTIVATIONS[activation]
    return nn.Sequential(
        nn.Linear(n_in, dense),
        act(),
        nn.Linear(dense, second * (height // 4) * (width // 4)),
        act(),
        nn.Unflatten(1, (second, height // 4, width // 4)),
        nn.ConvTranspose2d(second, first, 4, stride=2, padding=1),
        act(),
        nn.ConvTranspose2d(first, channels, 4, stride=2, padding=1),
    )


def map_encoder(
    shape: Sequence[int], hidden: Sequence[int], side: int, n_out: int, activation: str
) -> nn.Sequential:
    """From (B, C, H, W) to a map (B, n_out, side, side): convolutions that halve, then a place-wise
    mix of neighbours; ``hidden`` are the channels of the first, of the others, and of the mix."""
    (n_in, here, _), (first, others, dense) = shape, hidden
    act = ACTIVATIONS[activation]
    layers: list[nn.Module] = []
    while here > side:
        n_next = others if layers else first
        layers += [nn.Conv2d(n_in, n_next, 4 - here % 2, stride=2, padding=1), act()]
        n_in, here = n_next, (here + 1) // 2
    layers += [nn.Conv2d(n_in, dense, 3, padding=1), act(), nn.Conv2d(dense, n_out, 1)]
    return nn.Sequential(*layers)


def map_decoder(
    n_in: int, hidden: Sequence[int], side: int, shape: Sequence[int], activation: str
) -> nn.Sequential:
    """From a map (B, n_in, side, side) to (B, C, H, W), the mirror of ``map_encoder``."""
    (channels, there, _), (first, others, dense) = shape, hidden
    act = ACTIVATIONS[activation]
    sides = [there]
    while sides[-1] > side:
        sides.append((sides[-1] + 1) // 2)
    widths = [channels, first, *[others] * (len(sides) - 2)]
    layers: list[nn.Module] = [nn.Conv2d(n_in, dense, 3, padding=1), act()]
    layers += [nn.Conv2d(dense, widths[-1], 3, padding=1)]
    for n_out, n_before, target in zip(widths[-2::-1], widths[:0:-1], sides[-2::-1], strict=True):
        kernel = 4 - target % 2
        layers += [act(), nn.ConvTranspose2d(n_before, n_out, kernel, stride=2, padding=1)]
    return nn.Sequential(*layers)


class AffineEncoder(nn.Module):
    """From (B, *shape) to (B, n_out): the first outputs are affine in x, the others constants.

    That is what the exact posterior of a linear-Gaussian model asks for: its mean moves with x,
    its shape does not.

    Arguments:
        shape: Event shape of the data.
        n_affine: How many outputs depend on x.
        n_out: How many outputs there are.

    Source:
        Lucas et al. 2019, Don't Blame the ELBO! A Linear VAE Perspective on Posterior Collapse.

    Example:
        >>> AffineEncoder((1, 8, 8), 2, 4)(torch.zeros(3, 1, 8, 8)).shape
        torch.Size([3, 4])
    """

    def __init__(self, shape: Sequence[int], n_affine: int, n_out: int) -> None:
        super().__init__()
        self.affine = nn.Linear(prod(shape), n_affine)
        self.constant = nn.Parameter(torch.zeros(n_out - n_affine))

    def forward(self, x: Tensor) -> Tensor:
        """From data (B, *shape) to (B, n_out)."""
        moving = self.affine(x.flatten(1))
        return torch.cat((moving, self.constant.expand(len(x), -1)), dim=1)


def apply_to_events(body: nn.Module, x: Tensor, event_dims: int) -> Tensor:
    """Runs a body that takes one batch axis on data with any number of leading axes."""
    lead = x.shape[: x.dim() - event_dims]
    if len(lead) == 1:
        return body(x)
    out = body(x.reshape(-1, *x.shape[x.dim() - event_dims :]))
    return out.reshape(*lead, *out.shape[1:])
