"""The whole set on the Likelihood page: three forms of the ELBO, its surgery, its past, AIS."""

from __future__ import annotations

import numpy as np
import streamlit as st

from ui import evidence, likelihood_figures as figures, widgets
from ui.analyses import Arrays
from ui.evidence import Found
from ui.likelihood_figures import ELBO, EXACT, GAP, IS, PLAIN, Line
from ui.likelihood_view import nats, summary, table
from vae.evaluate import Split

#: The three forms, as ``vae.forms`` orders them, with what is random in each.
FORMS = {
    "log p(x | z) − KL": r"\mathbb{E}_q[\log p(x \mid z)] - \mathrm{KL}(q \,\|\, p(z))",
    "log p(x, z) − log q(z)": r"\mathbb{E}_q[\log p(x, z) - \log q(z \mid x)]",
    "log p(x, z) + H[q]": r"\mathbb{E}_q[\log p(x, z)] + \mathrm{H}[q]",
}
WHY = {
    0: "only log p(x | z) is drawn, and the KL is exact: no chance is spent on it.",
    1: "where q is close to the posterior, log p(x, z) − log q(z) is close to the constant "
    "log p(x): what chance adds to one term it takes from the other. Were q the posterior, there "
    "would be no noise at all.",
    2: "only log p(x, z) is drawn, and the entropy is exact.",
}


def three_forms(found: Found) -> None:
    """The three formulas side by side, their error bars the chance of the draws."""
    value = found.forms.mean(axis=0)
    noise = evidence.noise_of_mean(found.forms_se)
    left, right = st.columns([4, 5], vertical_alignment="center")
    with left:
        rows = [
            (f"${formula}$", nats((v, e)))
            for formula, v, e in zip(FORMS.values(), value, noise, strict=True)
        ]
        table(("Mean over q of", "nats"), rows)
    with right:
        figure = figures.dots(list(FORMS), value, noise)
        st.plotly_chart(
            figure, key="forms", config=PLAIN, alt="The ELBO by three formulas, with error bars"
        )
    widgets.look_for(what_the_forms_say(found))


def what_the_forms_say(found: Found) -> str:
    """How far the three are apart against their paired errors, and which is least noisy."""
    if np.allclose(found.forms, found.forms[:, :1]):
        return (
            "Of a flow neither the KL nor the entropy has a closed form: both are means over the "
            "same draws, and the three formulas are one."
        )
    least = int(np.argmin(evidence.noise_of_mean(found.forms_se)))
    apart = evidence.mean(found.forms[:, 0] - found.forms[:, 2])
    return (
        "Equal in expectation, they differ here by chance alone: the error bars are that of the "
        f"draws of z. The first less the third, from the same draws, is {nats(apart)}. Least noisy "
        f"here: **{list(FORMS)[least]}**, for {WHY[least]}"
    )


def surgery(found: Found) -> None:
    """The rate as mutual information and the mismatch of the aggregate posterior."""
    n, rate = int(found.surgery_n), f"{float(found.rate_mean):.3f}"
    if found.rate_mean_error is not None and found.rate_mean_error > 0:
        rate = nats((float(found.rate_mean), float(found.rate_mean_error)))
    information = float(found.mutual_information), float(found.mutual_information_error)
    marginal = float(found.marginal_kl), float(found.marginal_kl_error)
    cap = float(np.log(n))
    figure = figures.surgery(information, marginal, cap)
    st.plotly_chart(figure, key="surgery", config=PLAIN, alt="The rate as its two parts")
    widgets.look_for(
        f"Over {n:,} data: rate {rate} = {nats(information)} + {nats(marginal)} nats, each "
        "computed on its own. What a code can tell about which datum it came from is at most "
        f"log N = log {n:,} = {cap:.2f} nats, the dotted line: where the first bar comes near it, "
        "more data would make it longer. The second bar is what a better prior would save."
    )


def over_training(history: Arrays, sizes: dict[Split, int]) -> None:
    """Bounds and gap for each kept epoch, of the first so many held-out and training data."""
    which = st.segmented_control(
        "Over the data",
        ["mean", "median"],
        default="mean",
        required=True,
        key="centre",
        bind="query-params",
    )
    epochs = history["epochs"].tolist()
    start = 1 if len(epochs) > 2 and epochs[0] == 0 else 0  # untrained weights flatten the rest
    exact = bool(history["exact"])
    log_p = "log p(x)" if exact else "IS, at least this"
    curves, gaps = [], []
    for split, word, dash in (("held_out", "held-out", "solid"), ("train", "training", "dash")):
        for name, quantity, colour, into in (
            (log_p, "log_evidence", EXACT if exact else IS, curves),
            ("ELBO", "elbo", ELBO, curves),
            ("gap", "gap", GAP, gaps),
        ):
            value = history[f"{split}_{quantity}_{which}"][start:]
            error = history[f"{split}_{quantity}_se"][start:] if which == "mean" else None
            into.append(Line(f"{name}, {word}", value, error, colour, dash))
    for key, lines, y_title in (("bounds", curves, "nats"), ("lag", gaps, "gap (nats)")):
        figure = figures.bands(epochs[start:], lines, x_title="epoch", y_title=y_title)
        st.plotly_chart(
            figure, key=f"history-{key}-{which}", config=PLAIN, alt=f"{y_title} over epochs"
        )
    widgets.look_for(
        "Where log p(x) rises faster than the ELBO, the gap beneath grows: the decoder has moved "
        "on and the encoder has not followed yet. A gap that is larger on held-out data than on "
        "training data points to the encoder, not the model, failing to generalise."
        + ("" if exact else _how_far_to_believe(history))
    )
    st.caption(
        f"The curves are over the first {sizes['held_out']:,} held-out and the first "
        f"{sizes['train']:,} training data, whatever N is chosen above: their end therefore "
        "differs from the numbers at the top of the page."
    )


def _how_far_to_believe(history: Arrays) -> str:
    """That gaps are bounds where log p(x) is sampled, and how many of the values are trusted."""
    return (
        " Here log p(x) is importance-sampled, so every gap is at least this large on average; at "
        f"the last epoch **{1 - history['held_out_trusted'][-1]:.0%}** of the held-out values are "
        "not to be trusted."
    )


def annealed(found: Found, walked: Arrays) -> None:
    """AIS beside IS on the same data, and its sandwich on simulated data."""
    value, error = walked["log_evidence"], walked["log_evidence_se"]
    n = min(len(value), len(found.index))
    value, error = value[:n], error[:n]
    rows = [
        ("ELBO", found.elbo[:n], "lower bound"),
        (f"IS, K = {found.ladder[-1]:,}", found.sampled[:n], "lower bound, on average"),
        ("AIS", value, "lower bound, on average"),
    ]
    summary(rows)
    figure = figures.ladder(
        found.ladder,
        found.iwae[:n].mean(axis=0),
        evidence.noise_of_mean(found.iwae_se[:n]),
        sampled=(
            int(found.ladder[-1]),
            float(found.sampled[:n].mean()),
            float(evidence.noise_of_mean(found.sampled_se[:n])),
        ),
        annealed=(float(value.mean()), float(evidence.noise_of_mean(error))),
    )
    st.plotly_chart(
        figure, key="annealed", config=PLAIN, alt="Bounds over K, and AIS, of the same data"
    )
    lower, upper = walked["bdmc_lower"], walked["bdmc_upper"]
    gap = evidence.mean(upper - lower)
    widgets.look_for(
        f"Over the first {n} data, AIS finds **{nats(evidence.mean(value - found.sampled[:n]))}** "
        "nats more than IS; the true value is no lower, on average. "
        f"**{int((~walked['trusted'][:n]).sum())} of {n}** of its values are not to be trusted: "
        "few walks carry them, or hardly moved, or disagree by where they started. How much higher "
        "may the truth be? On data that the model itself makes up, a walk may start at the very z "
        "that made them and go backwards: that gives an upper bound. "
        f"There, the mean log p(x) lies between {nats(evidence.mean(lower))} and "
        f"{nats(evidence.mean(upper))}, a gap of **{nats(gap)} nats**. Other data may be harder "
        "than the model's own."
    )
    widgets.explain(
        r"\log w = \sum_t \log \frac{f_t(z_{t-1})}{f_{t-1}(z_{t-1})}, \qquad "
        r"f_t(z) = s(z)^{1 - \beta_t}\, p(x, z)^{\beta_t}, \quad "
        r"0 = \beta_0 < \dots < \beta_T = 1",
        "Half of the walks start from the prior, s(z) = p(z), and half from the encoder's q, "
        "s(z) = q(z | x). Between two steps a move of Hamiltonian Monte Carlo keeps the walk near "
        "its target. **BDMC** (bidirectional Monte Carlo) is the pair of bounds; it needs an exact "
        "draw from the posterior, and so simulated data.",
        "Neal 2001; Grosse et al. 2015; Wu et al. 2017",
    )
