"""Where the search for a geodesic begins in a plane: the shortest path over a decoded grid."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from vae.metric import embed
from vae.model import VAE

#: Nodes along each side of the grid.
SIDE = 64
#: Each node is joined with those so many rows down and columns on, and the other way round.
STEPS = ((0, 1), (1, 0), (1, 1), (1, -1), (1, 2), (2, 1), (1, -2), (2, -1))


@torch.no_grad()
def through_a_graph(model: VAE, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The shortest path over a decoded grid of a plane, from one place to another: (m, 2)."""
    reach = 0.75 * np.linalg.norm(b - a) + 0.5
    side = np.linspace(-reach, reach, SIDE)
    nodes = (a + b) / 2 + np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    phi = embed(model.decode(torch.as_tensor(nodes).to(model.zero)))
    phi = phi.view(SIDE, SIDE, -1)
    index = np.arange(SIDE**2).reshape(SIDE, SIDE)
    edges = []
    for down, right in STEPS:
        one, other = _apart(down, right)
        gap = (phi[other] - phi[one]).norm(dim=-1).numpy()
        edges.append((index[one].ravel(), index[other].ravel(), gap.ravel() + 1e-9))
    rows, columns, gaps = map(np.concatenate, zip(*edges, strict=True))
    graph = csr_array((gaps, (rows, columns)), shape=(SIDE**2, SIDE**2))
    start, end = (int(((nodes - place) ** 2).sum(1).argmin()) for place in (a, b))
    _, before = dijkstra(graph, directed=False, indices=start, return_predecessors=True)
    way = [end]
    while way[-1] != start:
        way.append(int(before[way[-1]]))
    return np.concatenate([a[None], nodes[way[::-1]][1:-1], b[None]])


def _apart(down: int, right: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices of a square grid that pair every node with that so many rows down and columns on."""
    n = SIDE
    columns = (
        (slice(0, n - right), slice(right, n))
        if right >= 0
        else (slice(-right, n), slice(0, n + right))
    )
    return (slice(0, n - down), columns[0]), (slice(down, n), columns[1])
