"""Three ways from one latent to another, computed once per run, checkpoint, ends and label."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
import streamlit as st

from ui import cache
from ui.tools.view import View
from vae import geodesic, metric, runs
from vae.metric import Length

Kind = Literal["straight", "spherical", "geodesic"]
KINDS: tuple[Kind, ...] = get_args(Kind)

#: Pictures along a path, ends included; paths are drawn, and measured, through as many knots.
N_PICTURES = 33

_Ends = tuple[str, int, tuple[float, ...], tuple[float, ...], int | None]


class Way(NamedTuple):
    """A path: its places (n, D), how long it is for who sees the pictures, how long in z, and
    whether the search that found it came to rest."""

    z: np.ndarray
    seen: Length
    in_z: float
    found: bool


def known(view: View) -> dict[Kind, Way]:
    """The paths from A to B that need no search, and the geodesic if it was asked for before.

    Places of the straight and of the spherical one lie evenly in z and in angle, those of the
    geodesic evenly for who sees the pictures.
    """
    if view.at is None or view.second is None:
        return {}
    ends, ways = _ends(view), {}
    ways["straight"], ways["spherical"] = _quick(*ends)
    if ends in st.session_state.get("geodesics", set()):
        ways["geodesic"] = _geodesic(*ends)
    return ways


def search(view: View) -> None:
    """Finds the geodesic from A to B: up to a second in a plane, some seconds in 50 dimensions."""
    ends = _ends(view)
    _geodesic(*ends)
    st.session_state["geodesics"] = {*st.session_state.get("geodesics", set()), ends}


def _ends(view: View) -> _Ends:
    """What the paths depend on."""
    a, b = (tuple(np.round(end, 3).tolist()) for end in (view.at, view.second))
    return view.run.id, runs.stamp(view.run.id), a, b, view.label


@st.cache_resource(max_entries=64, show_spinner=False)
def _quick(
    run_id: str, stamp: int, a: tuple[float, ...], b: tuple[float, ...], label: int | None
) -> list[Way]:
    model = cache.model(run_id, label)
    paths = [make(np.array(a), np.array(b), N_PICTURES) for make in _MAKERS]
    return [Way(z, metric.length(model, z), _euclidean(z), True) for z in paths]


@st.cache_resource(max_entries=64, show_spinner=False)
def _geodesic(
    run_id: str, stamp: int, a: tuple[float, ...], b: tuple[float, ...], label: int | None
) -> Way:
    model = cache.model(run_id, label)
    knots = 32 if len(a) == 2 else 16  # a step costs D derivatives a knot
    found = geodesic.geodesic(model, np.array(a), np.array(b), knots)
    z = geodesic.evenly(model, found.path, N_PICTURES)
    return Way(z, metric.length(model, z), _euclidean(z), found.converged)


_MAKERS = (geodesic.straight, geodesic.spherical)


def _euclidean(path: np.ndarray) -> float:
    """How long a path (n, D) is in units of z."""
    return float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
