"""A random walk from where a picture landed, in the plane and as a flipbook."""

from __future__ import annotations

import numpy as np
import streamlit as st

from ui import cache, places, seeds, widgets
from ui.canvas.flipbook import flipbook, strip
from ui.own_cache import Landing
from ui.tools.view import View
from vae.walks import walk

#: How many steps, and the amplitude of the noise in each.
STEPS, STEP = 24, 0.2
COLOUR = "#009E73"
#: The seed's name in the link.
SEED = "walk"


def walked(found: Landing) -> np.ndarray | None:
    """The walk whose seed is in the link: (STEPS + 1, D)."""
    seed = seeds.seed(SEED)
    return None if seed is None else walk(found.loc, STEPS, STEP, seed)


def show(view: View, found: Landing) -> None:
    """The walk as a flipbook; a ring goes along in the plane."""
    st.subheader("Walk from it")
    way = walked(found)
    with st.container(horizontal=True):
        name = "Walk from it" if way is None else "Another walk"
        st.button(name, on_click=seeds.again, args=(SEED,), icon=":material/directions_walk:")
        if way is not None:
            st.button("No walk", on_click=seeds.forget, args=(SEED,))
    if way is None:
        st.caption(f"{STEPS} small random steps that leave the prior as it is.")
        return
    decoded = cache.decode(view.run.id, way, view.label)
    flipbook(
        "own-walk",
        url=strip(decoded),
        n=len(way),
        tile=decoded.shape[1:],
        places=view.where.project(way),
        captions=[f"step {k} of {STEPS}, {places.shown(z)}" for k, z in enumerate(way)],
        alt="What the places of the walk decode to, one after the other",
    )
    widgets.look_for(
        "Whether the pictures change little by little, or stand still and then jump: there the "
        "walk crosses a border between kinds of images."
    )
    widgets.explain(
        rf"z_{{t+1}} = \sqrt{{1 - s^2}}\, z_t + s\, \varepsilon_t, \qquad s = {STEP}",
        "Each step keeps N(0, I) as it is: the root pulls back as much as the noise spreads. After "
        f"{STEPS} steps the correlation with the start is {(1 - STEP**2) ** (STEPS / 2):.2f}.",
        "Neal 1998, the autoregressive proposal for a Gaussian prior",
    )
