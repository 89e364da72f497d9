"""Analogies in latent space: a is to b as c is to what?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from ui import cache, figures, widgets
from ui.tools import labels
from ui.tools.view import View
from vae import directions, latent

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator


def show(view: View) -> None:
    """Asks for a, b and c, and shows what the answer decodes to."""
    st.subheader("An analogy: a is to b as c is to what?")
    picks = view.at is not None and view.second is not None
    from_picks = st.toggle(
        "a and b are the places A and B",
        key="analogy-picks",
        bind="query-params",
        disabled=not picks,
        help=None if picks else "Set A with a click and B with Shift and a click in the plane.",
    )
    shown = cache.points(view.run.id, view.split)
    given = [view.at, view.second] if picks and from_picks else [None, None]
    columns = st.columns(3)
    defaults, latents, captions = _first(shown.labels), [], []
    names, told = cache.label_names(view.run.id), labels.under(view)
    for name, column, z, first in zip("abc", columns, [*given, None], defaults, strict=False):
        if z is not None:
            column.markdown(f"**{name}** is the place {name.upper()}")
            latents.append(z)
            captions.append(f"{name}: place {name.upper()}, decoded{told}")
            continue
        row = _datum(column, name, first, len(shown.loc))
        latents.append(shown.loc[row].astype(float))
        captions.append(f"{name}: label {names[shown.labels[row]]}, decoded from its mean{told}")
    answer = directions.analogy(*latents)
    (near,) = latent.nearest(shown.loc, answer)
    distance = float(np.linalg.norm(shown.loc[near] - answer))
    pictures = cache.decode(view.run.id, np.stack([*latents, answer]), view.label)
    datum = cache.thumbnails(view.run.id, view.split, [int(near)])
    captions += [
        f"the answer c + (b − a), decoded{told}",
        f"nearest to it: datum {near}, label {names[shown.labels[near]]}, {distance:.2f} away",
    ]
    with st.container(horizontal=True):
        for picture, caption in zip([*pictures, *datum], captions, strict=True):
            st.image(figures.enlarge(picture, 168), width=144, caption=caption)
    widgets.look_for(
        "Does the answer differ from c as b differs from a, in slant, width or kind? An answer "
        "far from its nearest datum is a place where the decoder invents."
    )
    widgets.explain(
        r"z = c + (b - a)",
        "Like a direction taken from one pair only: it assumes that the same straight step means "
        "the same everywhere, which nothing in the training asks for.",
        "Mikolov, Yih & Zweig 2013, for words; White 2016, Sampling Generative Networks, for "
        "pictures",
    )


def _datum(column: DeltaGenerator, name: str, first: int, n: int) -> int:
    """Asks for a datum by its number; one of another run that is not here is forgotten."""
    key = f"analogy-{name}"
    kept = st.session_state.get(key)
    if kept is not None and not 0 <= kept < n:
        del st.session_state[key]
    return int(
        column.number_input(f"{name}, a datum", 0, n - 1, value=first, key=key, bind="query-params")
    )


def _first(labels: np.ndarray) -> list[int]:
    """Two data of one label and one of another, to begin with."""
    same = np.flatnonzero(labels == labels[0])
    other = np.flatnonzero(labels != labels[0])
    return [int(same[0]), int(same[min(1, len(same) - 1)]), int(other[0]) if len(other) else 0]
