"""What is on a poster: the decoded plane, node by node, and the words below it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import streamlit as st

from ui import cache
from vae import latent, runs
from vae.latent import Spacing

#: Pictures a side at most.
MOST = 60


class Layout(NamedTuple):
    """Rows and columns of pictures, how they are spaced, and where the longer side ends."""

    rows: int
    columns: int
    spacing: Spacing
    radius: float

    def nodes(self) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates of the columns and of the rows, both rising: evenly in z with the same step
        both ways, the longer side from −radius to radius; or each evenly in probability."""
        sides = (self.columns, self.rows)
        if self.spacing == "quantile":
            return tuple(latent.nodes(n, 0, "quantile") if n > 1 else np.zeros(1) for n in sides)
        step = 2 * self.radius / max(1, max(sides) - 1)
        return tuple((np.arange(n) - (n - 1) / 2) * step for n in sides)

    def words(self, names: list[str]) -> str:
        """The layout in plain words: ASCII, for the letters on paper have no others."""
        how = "evenly spaced"
        if self.spacing == "quantile":
            how = "each for the same share of the prior"
        ends = [
            f"{name} from {side[0]:.2g} to {side[-1]:.2g}"
            for name, side in zip(names, self.nodes(), strict=True)
        ]
        return f"{', '.join(ends)}, {self.columns} by {self.rows} pictures, {how}"


def pictures(
    run_id: str, axes: str, at: np.ndarray | None, label: int | None, layout: Layout
) -> np.ndarray:
    """The decoded plane, bright on black, the largest y first: uint8 (rows, columns, H, W)."""
    key = None if at is None else tuple(np.round(at, 4).tolist())
    return _pictures(run_id, runs.stamp(run_id), axes, key, label, layout)


@st.cache_resource(max_entries=16, show_spinner=False)
def _pictures(
    run_id: str,
    stamp: int,
    axes: str,
    at: tuple[float, ...] | None,
    label: int | None,
    layout: Layout,
) -> np.ndarray:
    where = cache.plane(run_id, axes, None if at is None else np.array(at))
    x, y = layout.nodes()
    points = np.stack(np.meshgrid(x, y[::-1]), axis=-1)
    # row by row: a convolution of all at once would need half a gigabyte
    return np.stack([cache.decode(run_id, where.to_latent(row), label) for row in points])
