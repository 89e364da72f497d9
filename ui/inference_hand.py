"""The q that one holds in one's hands: five numbers, moved by sliders or by dragging."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from ui import posteriors
from ui.posteriors import Gaussian, Subject

#: Mean, standard deviations along the two axes of the ellipse, and the angle of the first.
NAMES = ("hand-x", "hand-y", "hand-first", "hand-second", "hand-angle")
NARROW, WIDE, FAR = 0.002, 2.0, 8.0


def current(subject: Subject) -> Gaussian:
    """The q as it stands; for another subject it begins at the encoder's."""
    fresh = st.session_state.get("hand-of") != subject
    if fresh or any(name not in st.session_state for name in NAMES):
        st.session_state["hand-of"] = subject
        _put(posteriors.encoded(subject))
    return _gaussian()


def key() -> str:
    """Changes when the q is to be taken anew by the plane."""
    return str(st.session_state.get("hand-of"))


def take(q: dict[str, Any]) -> None:
    """What was dragged in the plane."""
    xx, xy, yy = q["cov"]
    _put(Gaussian(np.array(q["p"]), np.array([[xx, xy], [xy, yy]])))


def sliders() -> Gaussian:
    """Asks for the five numbers."""
    names = ("mean, z1", "mean, z2", "scale along its first axis", "scale along its second axis")
    for name, label in zip(NAMES[:2], names[:2], strict=True):
        st.slider(label, -FAR, FAR, step=0.005, format="%.3f", key=name)
    for name, label in zip(NAMES[2:4], names[2:], strict=True):
        st.slider(label, NARROW, WIDE, step=0.001, format="%.3f", key=name)
    st.slider("angle of the first axis, degrees", -90.0, 90.0, step=0.5, key=NAMES[4])
    st.button("Back to the encoder's q", on_click=lambda: st.session_state.pop("hand-of", None))
    return _gaussian()


def _put(q: Gaussian) -> None:
    """Keeps a Gaussian as five numbers within their bounds."""
    variance, axes = np.linalg.eigh(q.covariance)
    first = axes[:, 1] if abs(axes[0, 1]) >= abs(axes[0, 0]) else axes[:, 0]
    order = [1, 0] if abs(axes[0, 1]) >= abs(axes[0, 0]) else [0, 1]
    angle = np.degrees(np.arctan2(first[1], first[0]))
    angle = (angle + 90) % 180 - 90
    scales = np.sqrt(np.maximum(variance[order], 0)).clip(NARROW, WIDE)
    values = (*np.clip(q.loc, -FAR, FAR), *scales, angle)
    for name, value in zip(NAMES, values, strict=True):
        st.session_state[name] = float(value)


def _gaussian() -> Gaussian:
    """The five numbers as a Gaussian."""
    x, y, first, second, degrees = (st.session_state[name] for name in NAMES)
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.array([[c, -s], [s, c]])
    return Gaussian(np.array([x, y]), turn @ np.diag([first**2, second**2]) @ turn.T)
