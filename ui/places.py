"""Places in a latent space: what is chosen, where it is kept, and how the plane is told.

The chosen place, the second one and the view live in the URL, so that a link shows the same.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from ui import cache, figures, widgets
from vae import runs
from vae.evaluate import Split
from vae.latent import Plane
from vae.runs import Run
from vae.snapshots import GRID_NODES, GRID_RADIUS

BACKDROP_NODES = 25


def shown(z: np.ndarray) -> str:
    """A latent as people write it; of a long one the six largest coordinates."""
    numbers = [f"{x:.2f}".replace("-", "−") for x in z]
    if len(z) <= 6:
        return f"z = ({', '.join(numbers)})"
    largest = sorted(np.argsort(np.abs(z))[-6:])
    return ", ".join(f"z{d + 1} = {numbers[d]}" for d in largest) + ", the others nearer to 0"


def written(z: np.ndarray) -> str:
    """A latent as text for a URL."""
    return ",".join(f"{x:.3f}".rstrip("0").rstrip(".") for x in z)


def current(run: Run) -> np.ndarray | None:
    """The chosen place, if one is chosen in this run's space."""
    return _from_url("z", run)


def second(run: Run) -> np.ndarray | None:
    """The place set with shift-click, if any."""
    return _from_url("to", run)


def _from_url(name: str, run: Run) -> np.ndarray | None:
    """A latent from the URL; one that does not fit the run is said and forgotten."""
    text = st.query_params.get(name)
    if not text:
        return None
    try:
        z = np.array([float(part) for part in text.split(",")])
    except ValueError:
        z = np.array([np.nan])
    if z.shape == (run.config.latent_dim,) and np.isfinite(z).all() and np.abs(z).max() <= 1e3:
        st.session_state["place-of"] = run.id
        return z
    del st.query_params[name]
    if st.session_state.get("place-of") in (None, run.id):
        st.info(
            f"The place {widgets.plain(text)} in the link is no point of this run's "
            f"{run.config.latent_dim}-dimensional latent space; click to choose another."
        )
    return None


def choose(run: Run, where: Plane, p: list[float], *, to: bool = False) -> None:
    """Makes a point of the plane the chosen place, or the second one."""
    st.query_params["to" if to else "z"] = written(where.to_latent(np.array(p)))
    st.session_state["place-of"] = run.id
    if not to:
        st.query_params.pop("datum", None)


def forget_second() -> None:
    """Takes the second place away."""
    st.query_params.pop("to", None)


def chosen_datum(run: Run, split: Split) -> int | None:
    """The datum that was clicked, as long as the chosen place is its mean in this run."""
    text, z = st.query_params.get("datum", ""), current(run)
    loc = cache.points(run.id, split).loc
    if z is None or not text.isdecimal() or int(text) >= len(loc):
        return None
    return int(text) if np.abs(loc[int(text)] - z).max() < 2e-3 else None


def take(run: Run, where: Plane, picked: Any, split: Split, *, second: bool) -> bool:
    """Keeps what was done in the plane; true if a place changed."""
    if picked.view:
        st.query_params["view"] = ",".join(f"{x:.2f}" for x in picked.view)
    if not picked.pick:
        return False
    index, to = picked.pick.get("index"), second or bool(picked.pick.get("shift"))
    choose(run, where, picked.pick["p"], to=to)
    if index is not None:
        loc = cache.points(run.id, split).loc[int(index)]
        st.query_params["to" if to else "z"] = written(loc)
        if not to:
            st.query_params["datum"] = str(int(index))
    return True


def pick_axes(run: Run) -> str:
    """Asks which plane to look at, where there is more than one: "0,1", or "pca"."""
    n = run.config.latent_dim
    if n <= 2:
        st.text_input("Plane", "z1, z2" if n == 2 else "z1", disabled=True)
        return "0,1"
    busiest = _busiest(run)
    options = ["pca", *(f"{a},{b}" for i, a in enumerate(busiest) for b in busiest[i + 1 :])]
    return st.selectbox(
        "Plane",
        options,
        key="axes",
        bind="query-params",
        format_func=lambda o: "principal axes (PCA)" if o == "pca" else _axis_names(o),
        help="Two latent dimensions, listed by how much they carry, or the plane along which the "
        "means vary most. The others are held at the chosen place.",
    )


def _busiest(run: Run) -> list[int]:
    """The (at most twelve) dimensions that carry most, judged by the spread of the means."""
    spread = cache.points(run.id, "held_out").loc.var(axis=0)
    return [int(d) for d in np.argsort(spread)[::-1][:12]]


def _plane_names(run: Run, axes: str) -> list[str]:
    """What the two axes of a plane are called."""
    if run.config.latent_dim == 1:
        return ["z1", "no second dimension"]
    return ["PC 1", "PC 2"] if axes == "pca" else _axis_names(axes).split(", ")


def _axis_names(axes: str) -> str:
    """ "0,1" as people count: z1, z2."""
    return ", ".join(f"z{int(a) + 1}" for a in axes.split(","))


def pick_epoch(run: Run) -> int | None:
    """A scrubber over the epochs that were kept; ``None`` for the newest."""
    kept = [e for e in runs.snapshots(run.id) if e < run.epoch]
    if not kept:
        return None
    options = [*kept, run.epoch]
    epoch = st.select_slider(
        "Epoch",
        options,
        value=run.epoch,
        key="epoch",
        bind="query-params",
        help="Drag to see the plane as it was; the last one is the model itself. The epochs that "
        "were kept lie closer together early on, where most happens.",
    )
    return None if epoch == run.epoch else int(epoch)


def plane_data(
    run: Run, split: Split, colour: str, axes: str, epoch: int | None, at: np.ndarray | None
) -> dict[str, Any]:
    """What the plane component shows; see ``ui.canvas.plane``."""
    where = cache.plane(run.id, axes, at)
    if epoch is not None and colour == "elbo":
        colour = "rate"
    ask = {"run": run.id, "stamp": runs.stamp(run.id), "axes": axes}
    if epoch is not None:
        ask["epoch"], split = epoch, "held_out"
    through = {"at": written(where.origin)} if run.config.latent_dim > 2 else {}
    shown = cache.points(run.id, split, epoch)
    values = shown.labels if colour == "labels" else getattr(shown, colour)
    limits = [float(v) for v in np.quantile(values, [0.02, 0.98])]
    radius = cache.extent(run.id)
    picks = [(z, name) for z, name in ((current(run), "A"), (second(run), "B")) if z is not None]
    at_plane = [(where.project(z).tolist(), name) for z, name in picks]
    return {
        "points": {
            "url": f"/api/points?{urlencode({**ask, 'split': split, 'colour': colour})}",
            "mode": "label" if colour == "labels" else "value",
            "labels": list(cache.label_names(run.id)),
            "title": {"labels": "Label", "rate": "Rate (nats)", "elbo": "ELBO (nats, 1 draw)"}[
                colour
            ],
            "range": limits,
        },
        "backdrop": _backdrop(run, ask | through, axes, epoch, radius),
        "decode": f"/api/decode?{urlencode({**ask, **through})}" if epoch is None else "",
        "axes": _plane_names(run, axes),
        "view": _view(radius),
        "view_key": f"{run.id}-{axes}",
        "picks": [{"p": p, "label": name} for p, name in at_plane],
        "path": [p for p, _ in at_plane] if len(at_plane) == 2 else None,
        "layers": {"points": True, "backdrop": True},
    }


def _backdrop(
    run: Run, ask: dict[str, Any], axes: str, epoch: int | None, radius: float
) -> dict[str, Any] | None:
    """The decoded plane behind the points: of now, or of an epoch that kept this plane."""
    n = BACKDROP_NODES
    if epoch is not None:
        if ",".join(map(str, cache.snapshot(run.id, epoch).axes)) != axes:
            return None
        n, radius = GRID_NODES, GRID_RADIUS
    height, width = run.config.shape[1:] if len(run.config.shape) == 3 else (32, 32)
    return {
        "url": f"/api/sprite?{urlencode({**ask, 'n': n, 'radius': radius})}",
        "rows": n,
        "cols": n,
        "extent": [-radius, radius, -radius, radius],
        "tile": [height, width],
    }


def _view(radius: float) -> list[float]:
    """The view from the URL, or one that shows almost all points."""
    try:
        view = [float(part) for part in st.query_params.get("view", "").split(",")]
    except ValueError:
        view = []
    if len(view) == 4 and np.isfinite(view).all() and view[0] < view[1] and view[2] < view[3]:
        return view
    return [-radius, radius, -radius, radius]


def sheet_url(run: Run, axes: str, spacing: str, n: int) -> str:
    """Where the decoded sheet is."""
    where = cache.plane(run.id, axes, current(run))
    ask = {"run": run.id, "stamp": runs.stamp(run.id), "axes": axes, "n": n, "spacing": spacing}
    if run.config.latent_dim > 2:
        ask["at"] = written(where.origin)
    return f"/api/sprite?{urlencode({**ask, 'radius': cache.RADIUS})}"


def marginal_figure(run: Run, split: Split, axes: str, epoch: int | None) -> go.Figure:
    """The aggregate posterior along the two axes of the plane, against the prior."""
    shown, where = cache.points(run.id, split, epoch), cache.plane(run.id, axes)
    xx, _, yy = where.covariance(shown.scale, shown.covariance).T
    names = _plane_names(run, axes)
    loc, scale = where.project(shown.loc), np.sqrt(np.stack([xx, yy], axis=1))
    n_axes = min(2, run.config.latent_dim)
    return figures.marginals(loc[:, :n_axes], scale[:, :n_axes], names[:n_axes])
