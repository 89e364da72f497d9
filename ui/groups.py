"""Two groups of data, each named by a label or by a loop in the plane, and what lies between them.

Both are in the URL: the label as its widget keeps it, the loop as run, plane and corners.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import streamlit as st

from ui import cache
from ui.tools.view import View
from vae import directions, runs
from vae.directions import Direction, Separation
from vae.evaluate import Split

#: What a group is called when a loop names its data.
DRAWN = "drawn in the plane"
COLOURS = ("#009E73", "#CC79A7")
#: Corners of a loop that a URL keeps.
MOST_CORNERS = 24


class Between(NamedTuple):
    """What lies between two groups: the data of each (rows, the shared ones left out), how many
    they share, the direction, and how well it separates them; None where data are too few. Groups
    that a loop names were chosen because they lie apart: no separation is judged there."""

    members: tuple[np.ndarray, np.ndarray]
    shared: int
    direction: Direction | None
    separation: Separation | None
    means: np.ndarray | None
    looped: bool


def choose(view: View, i: int) -> str:
    """Asks what group i (0 or 1) is."""
    key = _key(i)
    st.session_state[key] = chosen(view, i)
    st.query_params[key] = st.selectbox(
        f"Group {i + 1}",
        [*cache.label_names(view.run.id), DRAWN],
        key=key,
        on_change=_forget_loop,
        args=(i,),
        help="A label, or the data inside a loop: press the group's button at the top of the "
        "plane and drag round them.",
    )
    return st.query_params[key]


def chosen(view: View, i: int) -> str:
    """What group i is, also before its widget stands there in this run of the script."""
    names, key = [*cache.label_names(view.run.id), DRAWN], _key(i)
    for name in (st.session_state.get(key), st.query_params.get(key)):
        if name in names:
            return name
    return names[_default(names, i)]


def take(view: View, lasso: dict[str, Any]) -> None:
    """Keeps a loop that was drawn, and makes it the group's choice."""
    i, corners = int(lasso["group"]), thinned(np.array(lasso["points"], float))
    digits = max(0, 2 - int(np.floor(np.log10(max(1e-3, np.ptp(corners, axis=0).max())))))
    pairs = [f"{x:.{digits}f}_{y:.{digits}f}" for x, y in corners]  # no sign that a URL escapes
    st.query_params[f"loop{i + 1}"] = "~".join([view.run.id, view.axes, *pairs])
    st.session_state[_key(i)] = DRAWN


def loop(view: View, i: int) -> np.ndarray | None:
    """The loop of group i, with shape (n, 2), if one was drawn in this very plane."""
    *of, pairs = st.query_params.get(f"loop{i + 1}", "").split("~", 2)
    if of != [view.run.id, view.axes] or chosen(view, i) != DRAWN:
        return None
    try:
        corners = np.array([[float(v) for v in pair.split("_")] for pair in pairs.split("~")])
    except ValueError:
        return None
    fits = corners.ndim == 2 and corners.shape[1] == 2 and 3 <= len(corners) <= MOST_CORNERS
    return corners if fits and np.isfinite(corners).all() else None


def between(view: View) -> Between:
    """The two groups and the direction from the second to the first."""
    names = cache.label_names(view.run.id)
    asked = []
    for i in (0, 1):
        corners, name = loop(view, i), chosen(view, i)
        if corners is not None:
            asked.append(tuple(map(tuple, corners.tolist())))
        else:
            asked.append(names.index(name) if name in names else None)
    return _between(view.run.id, runs.stamp(view.run.id), view.split, view.axes, *asked)


@st.cache_resource(max_entries=64, show_spinner=False)
def _between(
    run_id: str,
    stamp: int,
    split: Split,
    axes: str,
    first: int | tuple[tuple[float, float], ...] | None,
    second: int | tuple[tuple[float, float], ...] | None,
) -> Between:
    shown = cache.points(run_id, split)
    held = []
    for asked in (first, second):
        rows = np.zeros(len(shown.loc), bool)
        if isinstance(asked, int):
            rows = shown.labels == asked
        elif asked is not None:
            at = cache.seen(run_id, split, axes)  # maybe of the first data only
            rows[: len(at)] = directions.inside(at, np.array(asked))
        held.append(rows)
    both = held[0] & held[1]
    members = tuple(np.flatnonzero(one & ~both) for one in held)
    groups = [shown.loc[rows].astype(float) for rows in members]
    fewest, looped = min(map(len, groups)), not all(isinstance(a, int) for a in (first, second))
    return Between(
        members,
        int(both.sum()),
        directions.mean_difference(*groups) if fewest >= 2 else None,
        directions.separation(*groups) if fewest >= directions.FEWEST and not looped else None,
        np.stack([group.mean(axis=0) for group in groups]) if fewest >= 2 else None,
        looped,
    )


def thinned(corners: np.ndarray, most: int = MOST_CORNERS) -> np.ndarray:
    """A loop with at most so many corners: the one that spans the least area goes first
    (Visvalingam & Whyatt 1993).

    Example:
        >>> thinned(np.array([[0, 0], [1, 0.01], [2, 0], [2, 2], [0, 2.0]]), 4).tolist()
        [[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]]
    """
    while len(corners) > most:
        to, on = corners - np.roll(corners, 1, axis=0), np.roll(corners, -1, axis=0) - corners
        area = np.abs(to[:, 0] * on[:, 1] - to[:, 1] * on[:, 0])
        corners = np.delete(corners, area.argmin(), axis=0)
    return corners


def _key(i: int) -> str:
    """The widget of a group, and its parameter in the URL."""
    return f"group{i + 1}"


def _default(names: list[str], i: int) -> int:
    """The second label against the first; a loop where there is only one label."""
    return 1 - i if len(names) > 2 else len(names) - 1


def _forget_loop(i: int) -> None:
    """A label was chosen: the loop goes."""
    if st.session_state.get(_key(i)) != DRAWN:
        st.query_params.pop(f"loop{i + 1}", None)
