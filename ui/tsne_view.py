"""The t-SNE plane on the latent page: what the plane is told otherwise, and how far to trust it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from ui import analyses, cache, layouts, widgets
from ui.tools.view import View
from vae.runs import Run

#: What the panel says of a picture that stands for a datum.
STANDS_FOR = "decoded from the nearest datum’s mean"


def settle(run: Run, axes: str) -> str:
    """The plane that can be shown: t-SNE is computed once, and PCA stands in meanwhile."""
    if axes != "tsne" or analyses.ask(run.id, layouts.ASK, "t-SNE of the means") is not None:
        return axes
    st.caption("Until the t-SNE is there, the plane shows the principal axes.")
    return "pca"


def itself(view: View) -> bool:
    """Whether A stands for itself in the picture: it is no datum's mean."""
    return view.at is not None and not view.where.embedded.has(view.at)


def changes(view: View, seen: Callable[[list[float]], list[float]]) -> dict[str, Any]:
    """What the plane is told otherwise than of a plane through the latent space; ``seen`` says
    which part is seen, instead of all."""
    embedded = view.where.embedded
    (x0, y0), (x1, y1) = 1.05 * embedded.at.min(axis=0), 1.05 * embedded.at.max(axis=0)
    return {
        "backdrop": None,
        "fields": [],
        "density": None,
        "prior": False,
        "unit": "",
        "decoded": "" if itself(view) else STANDS_FOR,
        "view": seen([float(v) for v in (x0, x1, y0, y1)]),
    }


def note(view: View) -> str:
    """Which data the picture shows, where it is not all of them."""
    n, of = len(cache.seen(view.run.id, view.split, "tsne")), view.split
    all_of_them = len(cache.points(view.run.id, of).loc)
    first = "" if n == all_of_them else f"The first {n:,} of {all_of_them:,}. "
    placed = "Training data are placed among the held-out ones." if of == "train" else ""
    return first + placed


def honesty(run: Run) -> None:
    """What the picture keeps of who is near whom, and what it does not show."""
    found = layouts.kept(run)
    if found is None:
        return
    n = len(found["at"])
    kept = [_percent(*pair) for pair in zip(found["kept"], found["kept_se"], strict=True)]
    trust = [_share(*pair) for pair in zip(found["trust"], found["trust_se"], strict=True)]
    st.markdown(
        f"Of the ten held-out data nearest in this picture **{kept[0]}** are among the ten nearest "
        f"in the {run.config.latent_dim}-dimensional latent space; of those nearest in the PCA "
        f"plane {kept[1]}, by chance {_percent(10 / (n - 1))}. Trustworthiness: **{trust[0]}**, of "
        f"the PCA plane {trust[1]} (1: no stranger comes near; about 0.5: by chance). All this is "
        "of the held-out data, also while training data are shown."
    )
    widgets.look_for(
        "Groups that lie apart, and single data inside a foreign group: click them. Who is beside "
        "whom means something; how far groups are from one another, how large and how dense they "
        "are, means little (Wattenberg et al. 2016). A place between the data has no latent of "
        "its own: a click there takes the nearest datum."
    )
    with st.expander("How this picture is made"):
        widgets.explain(
            r"\min_y \mathrm{KL}(P \,\|\, Q) \quad\text{with}\quad q_{ij} \propto "
            r"\left(1 + \lVert y_i - y_j \rVert^2\right)^{-1}",
            f"t-SNE moves the places $y$ of the means of {n:,} held-out data until who is near "
            "whom in the picture, $Q$, resembles who is near whom in latent space, $P$; "
            f"{found['divergence']:.2f} nats are left. Each datum looks at about "
            f"{found['perplexity']:.0f} neighbours (the perplexity). New places, such as A or a "
            "picture of your own, are put among the data, which stay where they are. ± is the "
            "standard error over the data.",
            "van der Maaten & Hinton 2008, t-SNE; Venna & Kaski 2001, trustworthiness; Poličar et "
            "al. 2024, openTSNE; Wattenberg et al. 2016, How to use t-SNE effectively",
        )


def _percent(share: float, error: float | None = None) -> str:
    """A share in per cent: 41.7 ± 0.4 %."""
    return f"{100 * share:.1f}" + (f" ± {100 * error:.1f}" if error is not None else "") + " %"


def _share(value: float, error: float) -> str:
    """A number from 0 to 1 with its standard error: 0.942 ± 0.002."""
    return f"{value:.3f} ± {error:.3f}"
