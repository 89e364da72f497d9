"""Where the nodes of a decoded grid go. How near the mix then is: tests/ui/test_backdrop.py."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.vae.exact_models import steep_model
from vae import bent, latent
from vae.model import VAE

PLANE = latent.axes_plane(2, 0, 1)


class Edge(nn.Module):
    """All pixels turn from black to white where z_1 passes 1; z_2 fades them evenly."""

    def forward(self, z: Tensor) -> Tensor:
        """From latents (B, 2) to pictures (B, 1, 8, 8)."""
        grey = 0.8 * torch.sigmoid(12 * (z[:, 0] - 1)) + 0.1 + 0.02 * z[:, 1]
        return grey.view(-1, 1, 1, 1).expand(-1, 1, 8, 8)


def edge() -> VAE:
    model = steep_model("gaussian").float()
    model.decoder = Edge()
    return model


def test_nodes_gather_where_the_decoder_bends():
    columns, rows = bent.bent_nodes(edge(), PLANE, 21, 3.0)
    gaps = np.diff(columns)
    near = np.abs((columns[1:] + columns[:-1]) / 2 - 1) < 0.5
    assert gaps[near].max() < 0.2 < 0.4 < gaps[~near].max()
    np.testing.assert_allclose(np.diff(rows), 0.3, rtol=1e-3)


@pytest.mark.parametrize("n", [2, 5, 40])
def test_nodes_rise_from_end_to_end_without_a_wide_gap(n):
    widest = (1 + bent.FLOOR) / bent.FLOOR * 8.0 / (n - 1)
    for model in (edge(), steep_model("bernoulli").float()):
        for nodes in bent.bent_nodes(model, PLANE, n, 4.0):
            assert nodes.shape == (n,) and nodes[0] == -4 and nodes[-1] == 4
            assert np.diff(nodes).min() > 0 and np.diff(nodes).max() < widest + 1e-9


def test_where_nothing_bends_nodes_are_even():
    model = edge()
    model.decoder = nn.Sequential(nn.Linear(2, 64), nn.Unflatten(1, (1, 8, 8)))
    model.decoder[0].weight.data.zero_()
    for nodes in bent.bent_nodes(model, PLANE, 9, 2.0):
        np.testing.assert_allclose(nodes, np.linspace(-2, 2, 9), atol=1e-12)


def test_of_one_dimension_the_idle_axis_is_even():
    _, rows = bent.bent_nodes(
        steep_model("bernoulli", 1).float(), latent.axes_plane(1, 0, 1), 9, 2.0
    )
    np.testing.assert_allclose(rows, np.linspace(-2, 2, 9), atol=1e-12)


def test_the_plane_may_lie_anywhere():
    """Swapped axes swap columns and rows."""
    model = steep_model("bernoulli").float()
    one, other = (
        bent.bent_nodes(model, latent.axes_plane(2, *axes), 9, 3.0) for axes in ((0, 1), (1, 0))
    )
    np.testing.assert_allclose(one, other[::-1], atol=1e-6)


def test_one_node_is_no_grid():
    with pytest.raises(ValueError, match="2 nodes"):
        bent.bent_nodes(edge(), PLANE, 1, 3.0)
