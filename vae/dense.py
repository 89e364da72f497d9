"""Dense layers as fast as the processor allows, and decoders taken apart into them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

#: What can follow a dense layer, without a copy.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda h: h,
    "relu": Tensor.relu_,
    "tanh": Tensor.tanh_,
    "sigmoid": Tensor.sigmoid_,
}
NAMES = {nn.ReLU: "relu", nn.Tanh: "tanh"}


def dense(h: Tensor, weight: Tensor, bias: Tensor, activation: str = "none") -> Tensor:
    """A dense layer and what follows it; by oneDNN, twice as fast as MKL on AMD processors.

    Arguments:
        h: Inputs, with shape (B, n_in).
        weight: With shape (n_out, n_in).
        bias: With shape (n_out).
        activation: ``"none"``, ``"relu"``, ``"tanh"`` or ``"sigmoid"``.

    Returns:
        Outputs, with shape (B, n_out); without gradients.

    Raises:
        KeyError: If the activation has another name.

    Source:
        The operator that PyTorch's own compiler puts in the place of a dense layer.

    Example:
        >>> dense(torch.ones(1, 2), torch.tensor([[1.0, 2.0]]), torch.zeros(1))
        tensor([[3.]])
    """
    if h.dtype == torch.float32 and h.is_cpu and torch.backends.mkldnn.is_available():
        return torch.ops.mkldnn._linear_pointwise(h, weight, bias, activation, [], "")
    return ACTIVATIONS[activation](torch.addmm(bias, h, weight.T))


def split(decoder: nn.Module) -> tuple[Callable[[Tensor], Tensor], nn.Linear | None]:
    """A decoder as all but its last layer and that layer, or as outputs (B, d) and nothing.

    Example:
        >>> body, last = split(nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 9)))
        >>> body(torch.zeros(3, 2)).shape, last.out_features
        (torch.Size([3, 5]), 9)
    """
    layers = [m for m in decoder.modules() if not isinstance(m, nn.Sequential | nn.Unflatten)]
    linear, activations = layers[::2], layers[1::2]
    if not all(isinstance(m, nn.Linear) for m in linear) or not all(
        type(m) in NAMES for m in activations
    ):
        return lambda z: decoder(z).flatten(1), None
    hidden = [
        (layer.weight.detach(), layer.bias.detach(), NAMES[type(activation)])
        for layer, activation in zip(linear, activations, strict=False)
    ]

    def body(h: Tensor) -> Tensor:
        for layer in hidden:
            h = dense(h, *layer)
        return h

    return body, linear[-1]
