"""Draws from the encoder's q for one picture, and the formula behind them with live numbers."""

from __future__ import annotations

import numpy as np
import streamlit as st

from ui import own_cache, seeds, widgets
from ui.inline import inline
from ui.own_cache import Draws, Landing
from ui.tools.view import View

N_DRAWS = 8
COLOUR = "#E69F00"
#: The seed's name in the link.
SEED = "eps"


def drawn(view: View, x: bytes) -> Draws | None:
    """The draws whose seed is in the link."""
    seed = seeds.seed(SEED)
    if seed is None:
        return None
    return own_cache.draws(view.run.id, view.label, x, N_DRAWS, seed)


def show(view: View, x: bytes, found: Landing) -> None:
    """Eight draws from q, one of them with its numbers."""
    st.subheader("Resample ε")
    st.button("Resample ε", on_click=seeds.again, args=(SEED,), icon=":material/casino:")
    if (draws := drawn(view, x)) is None:
        st.caption(
            f"Draws {N_DRAWS} noises ε and turns each into a z: the reparameterisation trick."
        )
        return
    with st.container(horizontal=True, gap="small"):
        for k, picture in enumerate(draws.pictures):
            st.image(inline(picture, 112), caption=f"draw {k + 1}", width=96)
    widgets.explain(
        formula(found, draws),
        f"**Draw 1 in numbers**{_which(found)}. All randomness is in ε; the rest is what the "
        "encoder answers, so a gradient can flow through it. The dots in the plane are these "
        f"{N_DRAWS} z.",
        "Kingma & Welling 2014, section 2.4, the reparameterisation trick",
    )
    widgets.look_for(
        "Pictures that hardly differ: the ellipse is small, and the code is precise. Where they "
        "differ, the encoder is not sure, or the decoder bends sharply right there."
    )


def formula(found: Landing, draws: Draws) -> str:
    """How the first draw came about, in LaTeX with its numbers, for two dimensions."""
    z, noise = draws.z[0], draws.noise[0]
    dims = sorted(int(d) for d in np.argsort(found.rates)[::-1][:2])
    if found.factor is None:
        given = ", ".join(map(number, noise[:4])) + (r", \dots" if len(noise) > 4 else "")
        made = r",\; ".join(f"z_{{{d + 1}}} = {number(z[d])}" for d in dims)
        return rf"z = g_\phi(\varepsilon; x), \qquad \varepsilon = ({given}) \;\mapsto\; {made}"
    diagonal = not np.tril(found.factor, -1).any()
    lines = [r"z &= \mu + \sigma \odot \varepsilon" if diagonal else r"z &= \mu + L\,\varepsilon"]
    for d in dims:
        terms = [
            f"{_signed(found.factor[d, k])} \\times {_signed(noise[k])}"
            for k in ([d] if diagonal else range(d + 1))
        ]
        if len(terms) > 3:
            moved = _signed(float(found.factor[d] @ noise))
            terms = [rf"\underbrace{{{moved}}}_{{\sum_k L_{{{d + 1},k}}\, \varepsilon_k}}"]
        lines.append(
            f"z_{{{d + 1}}} &= {' + '.join([number(found.loc[d]), *terms])} = {number(z[d])}"
        )
    return r"\begin{aligned}" + r" \\ ".join(lines) + r"\end{aligned}"


def number(value: float) -> str:
    """A number to the thousandth: 0.081, −1.250.

    Example:
        >>> number(-1.25), number(-0.0001)
        ('−1.250', '0.000')
    """
    return f"{value:z.3f}".replace("-", "−")


def _signed(value: float) -> str:
    """A factor or a term, in brackets if it is negative."""
    return f"({number(value)})" if number(value).startswith("−") else number(value)


def _which(found: Landing) -> str:
    """Which dimensions the formula shows."""
    n = len(found.loc)
    return f", for the two of {n} dimensions that carry most" if n > 2 else ""
