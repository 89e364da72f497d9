"""Samples of the model from three distributions of latents, and how they differ from the data."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from ui import cache, figures, sampled, widgets
from ui.sampled import Source
from ui.tools.view import View
from vae import runs

N = 16

NAMES: dict[Source, str] = {
    "prior": "the prior",
    "aggregate": "the aggregate posterior",
    "mixture": "a Gaussian mixture",
}
COLOURS: dict[Source, str] = {"prior": "#D55E00", "aggregate": "#009E73", "mixture": "#0072B2"}
MEANING: dict[Source, str] = {
    "prior": "**z from p(z) = N(0, I)**, as the model defines a sample. Nothing makes sure that "
    "the decoder was ever trained there.",
    "aggregate": "**A training datum is chosen at random, then z is drawn from its q.** These "
    "places the decoder knows; the price is that the data are needed to sample.",
    "mixture": "**z from a mixture of Gaussians fitted to the means of q after training, each "
    "widened by the mean variance of q.** A small density that stands in for the aggregate "
    "posterior; the data are no longer needed.",
}
HINTS: dict[Source, str] = {
    "prior": "Dots of the plane that lie between the groups: there the samples are blends of two "
    "kinds, or no digit at all. The aggregate posterior puts hardly any dot there.",
    "aggregate": "Every dot lies in a crowd. Compare each sample with its nearest training image: "
    "alike in kind, but not the same strokes, unless the model has learnt them by heart.",
    "mixture": "The ellipses are the components, at one and two standard deviations. Where one "
    "bridges two groups, its samples land between them, though fewer than the prior's.",
}

MANY = (
    "A picture of two dimensions hides the holes of many: look at the samples that are no digit at "
    "all, and at the number below, which counts latents that lie where hardly any datum is encoded."
)


def layers(view: View) -> dict[str, Any]:
    """The samples as numbered dots, with the mixture they came from."""
    source = _source()
    drawn = sampled.samples(view.run.id, view.label, source, N, _seed()).drawn
    points = np.asarray(view.where.project(drawn.z)).round(4).tolist()
    found: dict[str, Any] = {
        "draws": {
            "points": points,
            "colour": COLOURS[source],
            "label": f"Samples: {NAMES[source]}",
        },
        "marks": [
            {"p": p, "label": str(number), "shape": "ring"} for number, p in enumerate(points, 1)
        ],
    }
    if source == "mixture" and view.axes != "tsne":  # no ellipse stays one in such a map
        found["ellipses"] = _components(view)
    return found


def show(view: View, picked: Any) -> None:
    """The samples beside their nearest training images, and what there is to say of the source."""
    source, pixels = _controls()
    found = sampled.samples(view.run.id, view.label, source, N, _seed())
    st.markdown(MEANING[source])
    if view.label is not None and source != "prior":
        st.caption("Of the training data only those with the label that is told: q(z | y).")
    names = cache.label_names(view.run.id)
    nearest = cache.thumbnails(view.run.id, "train", found.near.index.tolist())
    distances = _distances(view, found.near.distance)
    shown = found.means if pixels == "mean" else found.draws
    with st.container(horizontal=True, gap="small"):
        for k in range(N):
            caption = f"**{k + 1}** · {distances[k]} · {names[found.labels[k]]}"
            st.image(_pair(shown[k], nearest[k]), caption=caption, width=140)
    st.caption(_about_distance(view))
    if pixels == "draw":
        st.caption(
            "A draw takes every pixel on its own, given z: hence the speckle, which no image of "
            "the data has. What z has settled is the mean; so that is what is shown elsewhere."
        )
    if source == "prior" and view.run.config.latent_dim > 2:
        widgets.look_for(MANY)
    else:
        widgets.look_for(HINTS[source])
    _judge(view)


def _controls() -> tuple[Source, str]:
    """Asks where latents come from and what is shown of p(x|z)."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        source = st.segmented_control(
            "Latents from",
            list(NAMES),
            default="prior",
            required=True,
            key="sampler",
            bind="query-params",
            format_func=NAMES.get,
        )
        pixels = st.segmented_control(
            "Show",
            ["mean", "draw"],
            default="mean",
            required=True,
            key="pixels",
            bind="query-params",
            format_func={"mean": "the mean of p(x|z)", "draw": "a draw of x"}.get,
        )
        st.button("Draw again", on_click=_draw_again, icon=":material/casino:")
    return source, pixels


def _source() -> Source:
    """Where latents come from, before the control is drawn: as chosen, or as the link says."""
    if (chosen := st.session_state.get("sampler")) is not None:
        return chosen
    text = st.query_params.get("sampler", "")
    return next((source for source, name in NAMES.items() if name == text), "prior")


def _seed() -> int:
    """The seed in the link."""
    text = st.query_params.get("draw", "")
    return int(text) % 2**31 if text.isdecimal() else 0


def _draw_again() -> None:
    """The next seed."""
    st.query_params["draw"] = str(_seed() + 1)


def _components(view: View) -> list[dict[str, Any]]:
    """The components of the mixture, as ellipses in the plane."""
    mixture = sampled.mixture(view.run.id, view.label)
    p = np.asarray(view.where.project(mixture.means)).round(4)
    cov = view.where.covariance(np.zeros_like(mixture.means), mixture.covariances).round(6)
    return [
        {
            "p": p[c].tolist(),
            "cov": cov[c].tolist(),
            "colour": COLOURS["mixture"],
            "label": "Components of the mixture",
            "dash": False,
        }
        for c in range(len(mixture.weights))
    ]


def _pair(sample: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    """A sample, and the nearest training image on its right."""
    one, other = (figures.enlarge(picture, 112) for picture in (sample, nearest))
    return np.hstack([one, np.full((len(one), 4), 96, np.uint8), other])


def _distances(view: View, distance: np.ndarray) -> list[str]:
    """Distances as people read them: of images the root mean square over the pixels."""
    if len(view.run.config.shape) == 1:
        return [f"{d:.2f}" for d in distance]
    return [f"{100 * d / np.prod(view.run.config.shape) ** 0.5:.1f} %" for d in distance]


def _about_distance(view: View) -> str:
    """What stands under the pairs, and what distance is usual."""
    (usual,) = _distances(view, np.array([sampled.usual_distance(view.run.id)]))
    what = "in the units of the data"
    if len(view.run.config.shape) > 1:
        what = "the root mean square difference of their pixels, in % of full scale"
    return (
        "Left the sample, with its number in the plane; right the training image nearest to its "
        f"mean (of all of them, grey, as stored), with the distance, {what}, and the label of that "
        "image. A copy would be at 0. "
        "The mean reconstruction of a datum that the model never saw, as smooth as these, is "
        f"{usual} from its nearest (median of the first {sampled.N_USUAL} held-out ones). Sharp "
        "images lie further apart."
    )


def _judge(view: View) -> None:
    """One number for the three sources."""
    st.subheader("Do the samples land where data are encoded?")
    if runs.status(view.run.id).state in runs.ACTIVE:
        st.caption("The three sources are compared when the training has ended.")
        return
    found = sampled.outside(view.run.id, view.label)
    n, n_train = sampled.judged(view.run.id, view.label)
    for column, (source, (share, error)) in zip(st.columns(3), found.items(), strict=True):
        column.metric(
            f"Outside, from {NAMES[source]}",
            f"{100 * share:.1f} ± {100 * error:.1f} %",
            help=f"Of {n:,} latents, ± one standard error.",
        )
    full = sampled.mixture(view.run.id, view.label).full
    of = "" if view.label is None else " with the label that is told"
    shape = "full covariances" if full else "diagonal covariances, for there are few data"
    widgets.explain(
        r"\text{outside} = \{z : q(z) < t\}, \qquad q(z) = \frac{1}{N} \sum_n q(z \mid x_n), "
        r"\qquad t \text{ such that } P(q(z^*) < t) = 5\,\%",
        f"q(z) is made of {n_train:,} training data{of}, and z* is drawn from the q of held-out "
        f"data{of}: "
        "**outside is where codes of new images hardly ever lie**, and 5 % is the share to compare "
        "with. More from the prior: there are holes, which no datum is coded into, and the decoder "
        "invents. From the aggregate posterior about 5 %, unless new images are encoded otherwise "
        "than training images: a draw is weighed by the q of all data but the one it came from, "
        "which it is always near. The mixture has "
        f"{len(sampled.mixture(view.run.id, view.label).weights)} components with {shape}, fitted "
        "to the means by scikit-learn; the mean variance of q is then added to each, so that it is "
        "as wide as q(z), in the dimensions too that the encoder does not use.",
        "Tomczak & Welling 2018, VAE with a VampPrior; Ghosh et al. 2020, From Variational to "
        "Deterministic Autoencoders, section 4 (ex-post density estimation)",
    )
