"""VQ as hard EM: k-means, a codebook and a mixture, step by step on the same points."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from ui import hard_em_figures as figures, widgets
from ui.hard_em_figures import Panel
from ui.likelihood_view import table
from vae import data, hard_em, mixture
from vae.mixture import Start

#: Steps that are computed at once; the figure plays them.
STEPS = 40
DATA = {"gaussian-mixture": "eight round clusters", "pinwheel": "five bent arms"}
SIZES = (8, 50, 200, 500)
STARTS = {"data": "random points", "corner": "one corner (bad)", "same": "one place (worst)"}
#: How many data a step of VQ sees; 0 for all.
BATCHES = (8, 32, 128, 0)


class Settings(NamedTuple):
    """What is asked for: keys of the cache, and what a link keeps."""

    dataset: str
    n: int
    k: int
    kind: Start
    seed: int
    decay: float
    batch: int
    sigma: float
    learn: bool


class Race(NamedTuple):
    """Three algorithms over ``STEPS`` steps: k-means, VQ, EM; and how wide EM's components end."""

    panels: tuple[Panel, Panel, Panel]
    empty: tuple[int, int]
    places: int
    sigma: float


def show() -> None:
    """The section: what to compare, the three side by side, and why they are one algorithm."""
    st.subheader("Is learning a codebook a kind of EM?")
    st.markdown(
        "Each of the three has K centres and repeats two moves. **E-step:** say which centre each "
        "datum belongs to, a distribution q(k) over the centres. **M-step:** move every centre "
        "towards the mean of what belongs to it. They differ in two things only: whether q is "
        "**one-hot** (all or nothing) or **soft** (shares), and **how far** a centre goes in one "
        "step. Same points, same start: press **Play**, or drag the slider a step at a time."
    )
    asked = _ask()
    if not _possible(asked):
        return
    race = _race(asked)
    _warn(asked, race)
    widgets.chart(
        _figure(asked),
        key="em-figure",
        alt="k-means, VQ and EM on the same points, step by step, over the bound that each raises",
    )
    widgets.look_for(_look(asked, race))
    _ties(asked, race)
    widgets.explain(
        r"\begin{gathered}F(q, \theta) = \mathbb{E}_{q(k)}[\log p(x, k)] + \mathrm{H}[q] = "
        r"\log p(x) - \mathrm{KL}(q(k) \,\|\, p(k \mid x)) \\ \text{one-hot } q: \quad F = "
        r"\underbrace{\log \mathcal{N}(x; e_k, \sigma^2 I)}_{\log p(x \mid \text{code})} + "
        r"\underbrace{\log \tfrac1K}_{\log p(\text{code})} = -\frac{\|x - e_k\|^2}{2\sigma^2} - "
        r"\log(2\pi\sigma^2) - \log K\end{gathered}",
        "F is a bound on log p(x) for every q. The one on the second line is the bound of a VQ-VAE "
        "with a Gaussian likelihood and a uniform prior over K codes, and all that a step changes "
        "in it is the squared distance, which is what k-means makes small: each step of k-means "
        "raises this bound, for any σ. The bound touches log p(x) where q is p(k | x), and that is "
        "EM's E-step. As σ goes to 0, p(k | x) itself becomes one-hot and the gap closes: EM turns "
        "into k-means.",
        "Neal & Hinton 1998; Roy et al. 2018 for VQ as hard EM; van den Oord et al. 2017, appendix "
        "A.1, for the moving averages",
    )


def _ask() -> Settings:
    """The controls, all kept in the URL."""
    a, b, c, d = st.columns(4)
    dataset = a.selectbox(
        "Points", list(DATA), key="em-data", bind="query-params", format_func=DATA.get
    )
    n = b.select_slider("Number of points N", SIZES, value=200, key="em-n", bind="query-params")
    k = c.slider("Centres K", 1, 10, 8, key="em-k", bind="query-params")
    sigma = d.slider(
        "Width σ",
        0.05,
        1.5,
        0.3,
        0.05,
        key="em-sigma",
        bind="query-params",
        help="Standard deviation of the Gaussian about every centre, in the units of the points: "
        "of EM's components, and of the likelihood in the bound.",
    )
    a, b, c, d = st.columns(4)
    kind = a.selectbox(
        "Start", list(STARTS), key="em-start", bind="query-params", format_func=STARTS.get
    )
    seed = b.number_input(
        "Seed",
        0,
        999,
        0,
        key="em-seed",
        bind="query-params",
        help="Decides where centres start and which points a batch has.",
    )
    decay = c.slider(
        "Decay γ of VQ",
        0.0,
        0.99,
        0.9,
        0.01,
        key="em-decay",
        bind="query-params",
        help="How much of its past a code keeps in each step. With 0 and all points at once VQ is "
        "k-means.",
    )
    batch = d.select_slider(
        "Batch of VQ",
        BATCHES,
        value=0,
        key="em-batch",
        bind="query-params",
        format_func=lambda size: f"{size}" if size else "all",
        help="How many points a step of VQ sees: a VQ-VAE sees one batch at a time.",
    )
    learn = st.toggle(
        "EM learns its width and its weights too",
        key="em-learn",
        bind="query-params",
        help="Else its width stays the σ above and all its centres are equally probable, as in "
        "k-means and VQ.",
    )
    return Settings(dataset, int(n), k, kind, int(seed), decay, int(batch), sigma, learn)


def _possible(asked: Settings) -> bool:
    """Whether there are as many points as centres; says so if not."""
    if asked.k <= asked.n:
        return True
    st.warning(
        f"{asked.k} centres are more than the {asked.n} points, so some can never hold any: choose "
        f"K of at most {asked.n}, or more points."
    )
    return False


@st.cache_data(max_entries=50, show_spinner=False)
def _race(asked: Settings) -> Race:
    """All steps of all three, from the same centres."""
    x = _points(asked)
    first = mixture.start(x, asked.k, asked.kind, asked.seed)
    size = min(asked.batch or asked.n, asked.n)
    means = [hard_em.kmeans_init(first)]
    codes = [hard_em.vq_init(first, size / asked.k)]  # as if each held its share so far
    mixtures = [mixture.em_init(first, asked.sigma)]
    random = np.random.default_rng(asked.seed)
    for _ in range(STEPS):
        batch = x if size == asked.n else x[random.choice(asked.n, size, replace=False)]
        means.append(hard_em.kmeans_step(means[-1], x)[0])
        codes.append(hard_em.vq_step(codes[-1], batch, asked.decay, 0.0)[0])
        after, _ = mixture.em_step(
            mixtures[-1], x, learn_weights=asked.learn, learn_variance=asked.learn
        )
        mixtures.append(after)
    soft = [mixture.responsibilities(x, m) for m in mixtures]
    bounds = np.array([mixture.free_energy(x, m, q) for m, q in zip(mixtures, soft, strict=True)])
    widths = np.sqrt([m.variance for m in mixtures])
    hard = [
        _hard_panel(name, x, np.stack([state.centres for state in states]), asked.sigma)
        for name, states in (("k-means", means), ("VQ", codes))
    ]
    em = Panel(
        "EM",
        np.stack([m.centres for m in mixtures]),
        np.stack(soft).astype(np.float32),
        bounds,
        bounds,
        widths,
    )
    empty = [asked.k - len(np.unique(panel.q[-1])) for panel in hard]
    places = len(np.unique(mixtures[-1].centres.round(2), axis=0))
    return Race((*hard, em), (empty[0], empty[1]), places, float(widths[-1]))


def _points(asked: Settings) -> np.ndarray:
    """The first N points of a toy, with shape (N, 2)."""
    return data.load(asked.dataset).train[: asked.n].astype(np.float64)


def _hard_panel(name: str, x: np.ndarray, centres: np.ndarray, sigma: float) -> Panel:
    """An algorithm whose q is one-hot on the nearest of its centres (T, K, 2)."""
    q = np.stack([hard_em.nearest(x, at) for at in centres])
    found = [hard_em.hard_bound(x, at, sigma) for at in centres]
    levels = np.array([(bound.bound, bound.log_likelihood) for bound in found])
    return Panel(name, centres, q, *levels.T)


@st.cache_data(max_entries=20, show_spinner=False)
def _figure(asked: Settings) -> go.Figure:
    """The figure of a race."""
    return figures.race(_points(asked), _race(asked).panels)


def _warn(asked: Settings, race: Race) -> None:
    """One sentence about a start from which nothing can be learnt, or about codes that died."""
    if asked.kind == "same" and asked.k > 1:
        st.warning(
            f"All {asked.k} centres start in one place: with one-hot q the first of them takes "
            "every point, and under k-means the others stay empty for ever; with soft q all of "
            "them get equal shares and move as one."
        )
        return
    counts = zip(("k-means", "VQ"), race.empty, strict=True)
    dead = [f"{empty} of {name}" for name, empty in counts if empty]
    if dead:
        st.warning(
            f"Of {asked.k} centres {' and '.join(dead)} hold no point after {STEPS} steps (a "
            "circle with a cross): no point is nearest to them, so no mean pulls them. A VQ-VAE "
            "revives such dead codes by moving them onto data."
        )


def _look(asked: Settings, race: Race) -> str:
    """What to look for, with what these settings show."""
    gap = float((race.panels[0].log_likelihood - race.panels[0].bound)[-1])
    text = (
        "Points take the colour of the centre they belong to; under EM, points between centres are "
        "**mixed colours**, for they belong to several. Solid lines below are the bound F that "
        "each algorithm raises; the tint up to the dotted line is what a one-hot q loses, here "
        f"**{widgets.precise(gap)} nats** per datum for k-means at the end."
    )
    if asked.batch == 0 and asked.decay == 0:
        text += " With γ = 0 and all points at once, **VQ is k-means**: the two move as one."
    elif asked.batch == 0 or asked.batch >= asked.n:
        text += (
            f" VQ walks to where k-means jumps: about {1 - asked.decay:.2f} of the way in a step "
            "(1 − γ). Set γ to 0 and the two move as one."
        )
    else:
        text += (
            " VQ sees another batch in every step, so its bound over all points may fall now and "
            "then; a larger γ averages over more batches, and is slower."
        )
    if race.places < asked.k and asked.kind != "same":
        text += (
            f" EM's {asked.k} centres have met in **{race.places}** "
            f"place{'s' if race.places > 1 else ''}: with this σ one Gaussian is enough for what "
            "those that met have in common."
        )
    if asked.learn:
        text += (
            f" EM has learnt a width of {race.sigma:.2f} and weights of its own, and is judged by "
            f"them; the bounds of the others keep σ = {asked.sigma:.2f} and equal weights."
        )
    return text


def _ties(asked: Settings, race: Race) -> None:
    """The table that ties the three together."""
    way = f"about {1 - asked.decay:.2f} of the way" if asked.decay else "the whole way"
    gaps = [float((p.log_likelihood - p.bound)[-1]) for p in race.panels[:2]]
    width = f", σ ← {race.sigma:.2f}" if asked.learn else ""
    table(
        ["", "k-means", "VQ (moving averages)", "EM, mixture of Gaussians"],
        [
            ["**q(k)**", "one-hot", "one-hot", "soft: p(k ∣ x)"],
            ["**E-step**", "nearest centre", "nearest code", "responsibilities"],
            [
                "**M-step**",
                "centre ← mean of its points",
                "code ← running mean of its points",
                f"centre ← mean by responsibilities{width}",
            ],
            ["**Step size**", "the whole way", f"(1 − γ) n / N: {way}", "the whole way"],
            [
                f"**F after {STEPS} steps** (nats per datum)",
                *(widgets.precise(float(p.bound[-1])) for p in race.panels),
            ],
            [
                "**Gap that stays**, KL(q ‖ p(k ∣ x))",
                *map(widgets.precise, gaps),
                "0: q is p(k ∣ x)",
            ],
        ],
    )
