"""Places in a latent space: what is chosen, where it is kept, and how the plane is told.

The chosen place, the second one and the view live in the URL, so that a link shows the same.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from ui import cache, colours, fields, figures, layouts, tsne_view, widgets
from ui.tools.view import View
from vae import runs
from vae.evaluate import Split
from vae.latent import Plane
from vae.runs import Run

#: Decoded pictures along each side of the plane; where it goes through the chosen place, and
#: changes with every click, fewer.
BACKDROP_NODES, MOVING_NODES = 33, 25


#: How far a plane through a rounded place may be from the one through the place itself.
ROUNDING = 2e-3


def view(run: Run, split: Split, colour: str, axes: str, label: int | None) -> View:
    """What the latent page looks at, with the places that the URL names."""
    at = current(run)
    if axes == "tsne" and layouts.kept(run) is None:
        axes = "pca"  # its weights changed a moment ago
    where = _steady(run, axes, cache.plane(run.id, axes, at))
    colour = colours.settle(run, split, colour)
    return View(run, split, colour, axes, label, where, at, second(run))


def _steady(run: Run, axes: str, where: Plane) -> Plane:
    """The plane as it was, if the chosen place was moved within it: a link keeps three decimals,
    and for what they leave out the decoded pictures need not be made and fetched anew."""
    name, (of, origin) = (run.id, axes), st.session_state.get("plane-of", (None, None))
    if axes != "tsne" and of == name and np.abs(where.origin - origin).max() < ROUNDING:
        return where._replace(origin=origin)
    st.session_state["plane-of"] = name, where.origin
    return where


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
    set_place(run, where.to_latent(np.array(p)), to=to)


def set_place(run: Run, z: np.ndarray, *, to: bool = False) -> None:
    """Makes a latent the chosen place, or the second one."""
    st.query_params["to" if to else "z"] = written(z)
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


def pick(view: View) -> None:
    """Keeps the place that was just chosen in the plane, before the page runs again."""
    chosen = st.session_state["plane"].get("pick")
    if not chosen or view.run.id not in runs.ids():  # deleted meanwhile: the page will say so
        return
    to = bool(chosen.get("shift") or st.session_state.get("second"))
    index = chosen.get("index")
    if index is None:
        choose(view.run, view.where, chosen["p"], to=to)
        return
    z = cache.points(view.run.id, view.split).loc[int(index)]
    st.session_state["place-of"] = view.run.id
    st.query_params.update({"to": written(z)} if to else {"z": written(z), "datum": str(index)})


def keep_view(picked: Any) -> None:
    """Puts what was panned to in the URL; the component goes on saying it in another plane."""
    seen = picked.view
    if seen and st.session_state.get("view-kept") != seen:
        st.session_state["view-kept"] = seen
        st.query_params["view"] = ",".join(f"{x:.2f}" for x in seen)


def pick_axes(run: Run) -> str:
    """Asks which plane to look at, where there is more than one: "0,1", "pca" or "tsne"."""
    n = run.config.latent_dim
    if n <= 2:
        st.text_input("Plane", "z1, z2" if n == 2 else "z1", disabled=True)
        return "0,1"
    busiest = _busiest(run)
    pairs = [f"{a},{b}" for i, a in enumerate(busiest) for b in busiest[i + 1 :]]
    names = {"pca": "principal axes (PCA)", "tsne": "neighbours (t-SNE)"}
    return st.selectbox(
        "Plane",
        [*names, *pairs],
        key="axes",
        bind="query-params",
        format_func=lambda o: names.get(o) or _axis_names(o),
        help="The plane along which the means vary most, a picture that keeps neighbours together "
        "but is no plane, or two latent dimensions, listed by how much they carry. What a plane "
        "does not show is held at the chosen place.",
    )


def settle(run: Run, axes: str) -> str:
    """The plane that can be shown by now; the view of another one is forgotten."""
    axes = tsne_view.settle(run, axes)
    if st.session_state.setdefault("view-of", (run.id, axes)) != (run.id, axes):
        st.session_state["view-of"] = run.id, axes
        st.query_params.pop("view", None)
    return axes


def _busiest(run: Run) -> list[int]:
    """The (at most twelve) dimensions that carry most, judged by the spread of the means."""
    spread = cache.points(run.id, "held_out").loc.var(axis=0)
    return [int(d) for d in np.argsort(spread)[::-1][:12]]


def plane_names(run: Run, axes: str) -> list[str]:
    """What the two axes of a plane are called."""
    if run.config.latent_dim == 1:
        return ["z1", "no second dimension"]
    named = {"pca": ["PC 1", "PC 2"], "tsne": ["t-SNE 1", "t-SNE 2"]}
    return named.get(axes) or _axis_names(axes).split(", ")


def _axis_names(axes: str) -> str:
    """ "0,1" as people count: z1, z2."""
    return ", ".join(f"z{int(a) + 1}" for a in axes.split(","))


def pick_label(run: Run) -> int | None:
    """Asks what a conditional model is told; ``None`` for all others."""
    if not run.config.conditional:
        return None
    names = cache.label_names(run.id)
    name = st.segmented_control(
        "Told the label y",
        names,
        default=names[0],
        required=True,
        key="y",
        bind="query-params",
        help="What the decoder is told beside z. The plane, and every place in it, is decoded "
        "under this label; the points are data, each encoded with its own label.",
    )
    return names.index(name)


def plane_data(view: View) -> dict[str, Any]:
    """What the plane component shows; see ``ui.canvas.plane``."""
    run, where = view.run, view.where
    ask: dict[str, Any] = {"run": run.id, "stamp": runs.stamp(run.id), "axes": view.axes}
    moves = run.config.latent_dim > 2 and (view.axes != "tsne" or tsne_view.itself(view))
    through = {"at": written(where.origin)} if moves else {}
    if view.label is not None:
        through["y"] = str(view.label)
    values = colours.values(run.id, view.split, view.colour)
    limits = [float(v) for v in np.quantile(values, [0.02, 0.98])]
    radius = cache.extent(run.id)
    flat = view.axes != "tsne" and run.config.latent_dim > 1  # a plane through latent space
    points = {"split": view.split, "colour": view.colour}
    picks = [(z, name) for z, name in ((view.at, "A"), (view.second, "B")) if z is not None]
    data = {
        "points": {
            "url": f"/api/points?{urlencode({**ask, **points, 'n': len(values)})}",
            "mode": "label" if view.colour == "labels" else "value",
            "labels": list(cache.label_names(run.id)),
            "title": colours.TITLES[view.colour],
            "range": limits,
            "note": colours.note(run, view.split, view.colour)
            + (tsne_view.note(view) if view.axes == "tsne" else "")
            + ("" if view.label is None else _told(view)),
        },
        "backdrop": _backdrop(view, ask | through, radius),
        "fields": fields.offered(ask | through, view.split, radius) if flat else [],
        "density": {"dim": len(where.origin), "rest": float(where.origin @ where.origin)},
        "decode": f"/api/decode?{urlencode({**ask, **through})}",
        "axes": plane_names(run, view.axes),
        "view": _view([-radius, radius, -radius, radius]),
        "view_key": f"{run.id}-{view.axes}",
        "picks": [{"p": where.project(z).tolist(), "label": name} for z, name in picks],
        "paths": [],
        "layers": {"points": True, "backdrop": True},
    }
    return data | tsne_view.changes(view, _view) if view.axes == "tsne" else data


def _told(view: View) -> str:
    """What every picture of a conditional model depends on."""
    name = cache.label_names(view.run.id)[view.label or 0]
    return f"Every picture is decoded under y = {name}, whatever the label of a point."


def _backdrop(view: View, ask: dict[str, Any], radius: float) -> dict[str, Any] | None:
    """The decoded plane behind the points."""
    run, shape = view.run, view.run.config.shape
    if view.axes == "tsne":
        return None
    n = BACKDROP_NODES if run.config.latent_dim <= 2 else MOVING_NODES
    at = np.array([float(x) for x in ask["at"].split(",")]) if "at" in ask else None
    columns, rows = cache.nodes(run.id, view.axes, at, n, radius, view.label)
    return {
        "url": f"/api/sprite?{urlencode({**ask, 'n': n, 'radius': radius, 'spacing': 'bent'})}",
        "xs": columns.tolist(),
        "ys": rows.tolist(),
        "tile": list(shape[1:]) if len(shape) == 3 else [32, 32],
    }


def _view(all_of_it: list[float]) -> list[float]:
    """The view from the URL, or one that shows almost all points."""
    try:
        view = [float(part) for part in st.query_params.get("view", "").split(",")]
    except ValueError:
        view = []
    if len(view) == 4 and np.isfinite(view).all() and view[0] < view[1] and view[2] < view[3]:
        return view
    return all_of_it


def marginal_figure(run: Run, split: Split, axes: str) -> go.Figure:
    """The aggregate posterior along the two axes of the plane, against the prior; a picture by
    t-SNE has no such axes, and the principal ones stand in."""
    return _marginal_figure(run.id, runs.stamp(run.id), split, "pca" if axes == "tsne" else axes)


@st.cache_resource(max_entries=20, show_spinner=False)
def _marginal_figure(run_id: str, stamp: int, split: Split, axes: str) -> go.Figure:
    """Kept, for 60,000 data take half a second."""
    run = cache.run(run_id)
    shown, where = cache.points(run_id, split), cache.plane(run_id, axes)
    xx, _, yy = where.covariance(shown.scale, shown.covariance).T
    names = plane_names(run, axes)
    loc, scale = where.project(shown.loc), np.sqrt(np.stack([xx, yy], axis=1))
    n_axes = min(2, run.config.latent_dim)
    return figures.marginals(loc[:, :n_axes], scale[:, :n_axes], names[:n_axes])
