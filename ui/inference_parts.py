"""What one does with a datum on the Inference page: each part asks, computes, draws, explains."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from ui import (
    figures,
    inference_figures,
    inference_hand as hand,
    inference_subject,
    inference_view as view,
    posteriors,
    widgets,
)
from ui.canvas import plane
from ui.datum_figures import evidence_bar
from ui.inference_figures import BEST, ENCODER, OWN
from ui.inference_view import ellipse
from ui.likelihood_view import residual, small
from ui.posteriors import Subject
from vae.runs import Run

HEIGHT = 520
FAMILIES = ("diagonal", "full", "flow")


def compare(run: Run, subject: Subject) -> None:
    """The posterior with the encoder's q and the best q over it, and what each is worth."""
    best = posteriors.best_gaussian(subject, run.config.family)
    both = [_encoder(subject), ellipse(best, "best q of its family", BEST, dash=True)]
    field(run, subject, both)
    widgets.look_for(
        "The darker, the likelier is it that x came from there. An ellipse should cover the dark "
        "and nothing else; where it is off, the bound pays. Ellipses are drawn at one and two "
        "standard deviations, crosses mark the modes. Click any point to see the posterior of that "
        "datum."
    )
    numbers(run, subject)


def field(run: Run, subject: Subject, ellipses: list[dict[str, Any]], **overlays: Any) -> None:
    """The plane with the posterior and ellipses; of one latent dimension, densities on a line."""
    seen = view.window(subject, ellipses)
    if run.config.latent_dim == 1:
        grid, lines = posteriors.on_a_line(subject, seen[:2])
        lines |= {e["label"]: (view.density(e, grid), e["colour"]) for e in ellipses}
        figure = inference_figures.densities(grid, lines)
        widgets.chart(figure, key="line", alt="The posterior density with q over it")
        return
    data = view.plane_data(run, subject, seen, ellipses=ellipses, **overlays)
    picked = plane("inference", data=data, height=HEIGHT)
    if "handle" in overlays and picked.q:
        hand.take(picked.q)
        widgets.rerun_fragment()
    if picked.pick and view.take(picked.pick, racing="race" in overlays):
        st.rerun()


def _encoder(subject: Subject, *, dash: bool = False) -> dict[str, Any]:
    """The encoder's answer, as the plane draws it."""
    return ellipse(posteriors.encoded(subject), "encoder's q", ENCODER, dash=dash)


def numbers(run: Run, subject: Subject) -> None:
    """log p(x), the ELBO, and the two parts of the gap between them."""
    family = run.config.family
    truth, judged = posteriors.truth(subject), posteriors.judge_encoder(subject)
    best, error, converged = posteriors.best_elbo(subject, family)
    original, back = posteriors.picture(subject), posteriors.reconstruction(subject)
    columns = st.columns([1, 1, 2, 2, 2, 2])
    columns[0].image(figures.enlarge(original, 112), caption="x", width="stretch")
    columns[1].image(figures.enlarge(back, 112), caption="from q's mean", width="stretch")
    named = (
        (
            "log p(x)",
            truth.log_evidence,
            truth.error,
            "Summed over the grid; ± its error estimate.",
        ),
        ("ELBO", judged.elbo, judged.elbo_error, "Of the encoder's q."),
        (
            "Amortisation gap",
            best - judged.elbo,
            float(np.hypot(error, judged.elbo_error)),
            "What the encoder loses against the best q of its family for this x.",
        ),
        (
            "Approximation gap",
            truth.log_evidence - best,
            float(np.hypot(error, truth.error)),
            "What the best q of the family still loses: the posterior has another shape.",
        ),
    )
    for column, (name, value, spread, about) in zip(columns[2:], named, strict=True):
        column.metric(name, widgets.precise(value), help=about)
        column.caption(f"± {small(spread)} nats")
    figure = inference_figures.gap_bar(
        judged.elbo, (best, error), (truth.log_evidence, truth.error)
    )
    widgets.chart(figure, key="gap-bar", alt="From the ELBO over the best q to log p(x)")
    missing = truth.log_evidence - judged.elbo - judged.kl
    error = float(np.hypot(judged.elbo_error, judged.kl_error))
    widgets.look_for(
        f"The whole gap is the divergence of q from the posterior. Summed on its own, at other "
        f"points than the ELBO, it is **{widgets.precise(judged.kl)} nats**; ELBO + KL misses "
        f"log p(x) by {residual(missing)} ± {small(error)} nats."
    )
    if not converged:
        st.warning(
            "The search for the best q has not come to rest for this x: the amortisation gap is at "
            "least, and the approximation gap at most, what is shown."
        )


def _beside_x(subject: Subject, text: str) -> None:
    """x as a small picture, with what one does beside it."""
    left, right = st.columns([1, 11], vertical_alignment="center")
    left.image(figures.enlarge(posteriors.picture(subject), 84), width=72)
    right.markdown(text)


def race(run: Run, subject: Subject) -> None:
    """q runs from the encoder, the prior, and a clicked place towards the posterior."""
    best = posteriors.best_gaussian(subject, "diagonal")
    shown = [ellipse(best, "best diagonal q", BEST, dash=True)]
    _beside_x(
        subject,
        "Press **Play**. Each q takes gradient steps on the ELBO of this one x, with the decoder "
        "fixed: stochastic variational inference (SVI). **Click any place** in the plane to start "
        "a third one there. The prior's q is so wide that it begins off the screen: zoom out to "
        "see it.",
    )
    field(run, subject, shown, race=view.race(subject))
    widgets.look_for(
        "The ELBO climbs towards log p(x) and stops below it, by the approximation gap. A q that "
        "starts far off may settle at another mode: a worse bound, from which no step leads up. "
        "Of a diagonal encoder, how far its own start lies below the best diagonal q is the "
        "amortisation gap."
    )


def hands(run: Run, subject: Subject) -> None:
    """A q of one's own: drag it, or move the sliders, and beat the encoder."""
    own = hand.current(subject)
    held = view.handle(own, hand.key())
    _beside_x(subject, "This is x. Move your q to where the posterior is, and beat the encoder.")
    field(run, subject, [_encoder(subject, dash=True)], handle=held, decode=None)
    left, right = st.columns([3, 2])
    with right:
        own = hand.sliders()
    with left:
        mine, theirs = posteriors.judge(subject, own), posteriors.judge_encoder(subject)
        truth = posteriors.truth(subject)
        lead = mine.elbo - theirs.elbo
        st.metric(
            f"You {'beat' if lead > 0 else 'are behind'} the encoder by (nats)",
            widgets.precise(abs(lead)),
        )
        elbo, kl = (mine.elbo, mine.elbo_error), (mine.kl, mine.kl_error)
        figure = evidence_bar(elbo, kl, (truth.log_evidence, truth.error))
        widgets.chart(figure, key="own-bar", alt="Your ELBO and KL, end to end, over log p(x)")
    best, error, _ = posteriors.best_elbo(subject, "full")
    widgets.look_for(
        "Drag the middle to move q, an end of an axis to stretch or turn it. ELBO and KL always "
        "add up to log p(x): to raise the bound is to come closer to the posterior. "
        f"The best ellipse that SVI found has {widgets.precise(best)} ± {small(error)}; "
        f"yours has {widgets.precise(mine.elbo)}."
    )


def families(run: Run, subject: Subject) -> None:
    """The best q of each family on the same datum."""
    with st.spinner("Fitting the best q of each family to this x"):
        fits = {family: posteriors.best_elbo(subject, family) for family in FAMILIES}
    shown = [
        ellipse(posteriors.best_gaussian(subject, family), f"best {family} q", colour)
        for family, colour in (("diagonal", OWN), ("full", BEST))
    ]
    draws = {
        "points": posteriors.flow_draws(subject).tolist(),
        "colour": ENCODER,
        "label": "draws from the best flow",
    }
    _beside_x(subject, "This is x. How well can a q of each family fit its posterior?")
    field(run, subject, shown, draws=draws, decode=None)
    truth = posteriors.truth(subject)
    gaps = np.array([truth.log_evidence - elbo for elbo, _, _ in fits.values()])
    errors = np.array([np.hypot(error, truth.error) for _, error, _ in fits.values()])
    figure = inference_figures.families(FAMILIES, gaps, errors)
    widgets.chart(figure, key="families", alt="The approximation gap of each family")
    if unsettled := [family for family, (_, _, converged) in fits.items() if not converged]:
        st.caption(f"Not yet at rest: {', '.join(unsettled)}; its gap is at most this.")
    widgets.look_for(
        "The gap shrinks as the shape gets freer: an ellipse along the axes (diagonal), one that "
        "may lean (full), one that may bend and split (flow). Where the posterior is a single "
        "round blot there is nothing to win; try a datum whose posterior is bent, or has two modes."
    )


def erase(run: Run, subject: Subject) -> None:
    """The posterior of what is left of x, and what each of its modes decodes to."""
    truth = posteriors.truth(subject)
    order = np.argsort(-np.asarray(truth.mass))[:6]
    pictures = [posteriors.predictive(subject)]
    pictures += list(posteriors.decoded(subject, np.asarray(truth.modes)[order]))
    captions = ["expected: the average over the posterior"]
    captions += [f"mode {i + 1}, {truth.mass[i]:.0%} of it" for i in order]
    with inference_subject.beside():
        st.markdown(
            f"log p(x seen) = **{widgets.precise(truth.log_evidence)} ± {small(truth.error)} nats**"
        )
        with st.container(horizontal=True):
            for shown, caption in zip(pictures, captions, strict=True):
                st.image(figures.enlarge(shown, 112), caption=caption, width=116)
    field(run, subject, [_encoder(subject, dash=True)])
    widgets.look_for(
        "The less is seen, the wider the posterior: with nothing left it is the prior. Where two "
        "explanations fit what is left, it splits, and each mode decodes to one of them."
    )


def drawing(run: Run, subject: Subject) -> None:
    """The posterior of a drawing, what it decodes to, and what the encoder makes of it."""
    erase(run, subject)
    numbers(run, subject)
