"""How far is the ELBO from log p(x)?"""

from __future__ import annotations

import streamlit as st

from ui import (
    analyses,
    cache,
    datum_view,
    gap_view,
    inference_cache,
    likelihood_view,
    set_view,
    widgets,
)
from ui.evidence import Found, read
from vae import forms, runs, trust
from vae.requests import Annealing, History

st.title("How far is the ELBO from log p(x)?")
st.markdown(
    "Training raises the ELBO because log p(x), how likely the model finds a datum, is an integral "
    "over every latent z that cannot be computed in general. With one or two latent dimensions "
    "it can: a fine grid is enough. Here you see how much the ELBO, and every better estimate, "
    "leaves out, and for which data. All numbers are in **nats**: one nat is a factor of e in "
    "probability."
)
run, ask = likelihood_view.pick()
widgets.refuse_conditional(run)


def bounds(found: Found) -> None:
    """Every estimate on average, and the bound over K."""
    st.subheader("Which estimate comes close?")
    st.markdown(
        "**IWAE-K** draws K latents from the encoder's q(z | x) and takes the logarithm of their "
        "mean weight p(x, z) / q(z | x): with K = 1 it is the ELBO, and it tightens as K grows. "
        "**IS** (importance sampling) is the same with all draws at once: it lies below log p(x) "
        "on average, and is an estimate, not log p(x) itself."
    )
    likelihood_view.headline(found)
    likelihood_view.ladders(found)
    widgets.look_for(likelihood_view.what_the_ladder_says(found))
    widgets.explain(
        r"\begin{gathered}\mathrm{ELBO} = \mathcal{L}_1 \le \mathcal{L}_K = \mathbb{E}\Big[\log "
        r"\frac1K \sum_{k=1}^K w_k\Big] \le \log p(x) \\ w_k = \frac{p(x, z_k)}{q(z_k \mid x)}, "
        r"\quad z_k \sim q(z \mid x)\end{gathered}",
        "Error bars here are the chance of the draws of z, the band of an exact value the error of "
        "its grid: the data stay the same.",
        "Burda et al. 2016, theorem 1; Vehtari et al. 2024 for k̂",
    )


def annealing(found: Found) -> None:
    """What stands in where there is no exact value: a button starts it."""
    st.subheader("More than two dimensions: what stands in for the exact value?")
    st.markdown(
        f"No grid can sum over {run.config.latent_dim} dimensions. **Annealed importance "
        "sampling** (AIS) walks from the prior, or from the encoder's q, to the posterior in small "
        "steps and weighs every walk: dearer than IS, and better where q misses part of the "
        "posterior."
    )
    if st.toggle("Run AIS (some minutes)", key="ais", bind="query-params"):
        walk = Annealing(epoch=ask.epoch, split=ask.split)
        walked = analyses.ask(run.id, walk, f"AIS of {walk.n} data")
        if walked is not None:
            set_view.annealed(found, walked)


def every_datum(found: Found) -> None:
    """The gap of each datum."""
    st.subheader("Which data lose most?")
    gap_view.figures(found, cache.label_names(run.id))
    widgets.explain(
        r"\log p(x) - \mathrm{ELBO} = \mathrm{KL}(q(z \mid x) \,\|\, p(z \mid x)) \ge 0",
        "The gap of a datum is how far the encoder's q is from the true posterior, the "
        "distribution of z that explains this x.",
        "Kingma & Welling 2014, eq. 1",
    )


def one_datum(found: Found) -> None:
    """The chosen datum: the balance of its log p(x), and the honesty of sampling."""
    st.subheader("One datum: where do the missing nats go?")
    left, right = st.columns([2, 5], gap="large")
    with left:
        row = gap_view.pick_datum(found)
        datum_view.pictures(run, ask, int(found.index[row]))
        widgets.link("inference", "See its posterior", **gap_view.asked(run, ask, found, row))
    with right:
        datum_view.balance(found, row)
        widgets.explain(
            r"\log p(x) = \underbrace{\mathbb{E}_q[\log p(x, z) - \log q(z)]}_{\mathrm{ELBO}} "
            r"+ \mathrm{KL}(q(z) \,\|\, p(z \mid x))",
            "Here q(z) is short for q(z | x). True for every q: the bound touches log p(x) where q "
            "is the posterior.",
            "Jordan et al. 1999; Kingma & Welling 2014, eq. 1",
        )
    st.subheader("May one believe importance sampling here?")
    datum_view.honesty(run, ask, found, row)
    widgets.explain(
        r"\begin{gathered}\widehat{p}(x) = \frac1K \sum_k w_k, \quad \mathrm{ESS} = "
        r"\frac{(\sum_k w_k)^2}{\sum_k w_k^2} \\ P(w > t) \sim t^{-1/\hat k}\end{gathered}",
        "Where the tail has k = 0.5 or more the variance of the weights is infinite; their mean is "
        "p(x) and finite, so that a k̂ above 1 says that the draws are too few to show where the "
        "weight lies. ESS and k̂ judge the draws that were made: a part of the posterior that q "
        "never visited leaves both good. Where there is an exact value, believe that one.",
        "Owen 2013, chapter 9; Hesterberg 1995 for the mixture with the prior",
    )


def parts(found: Found) -> None:
    """Three forms of the ELBO, and the rate taken apart."""
    st.subheader("Three formulas, one ELBO: which is least noisy?")
    set_view.three_forms(found)
    st.subheader("What does the rate pay for?")
    st.markdown(
        "The **rate** is KL(q(z | x) ‖ p(z)) on average over the data: what the ELBO pays for "
        "leaving the prior, to tell data apart."
    )
    set_view.surgery(found)
    widgets.explain(
        r"\begin{gathered}\frac1N \sum_n \mathrm{KL}(q(z \mid x_n) \,\|\, p(z)) = I_q(x; z) + "
        r"\mathrm{KL}(q(z) \,\|\, p(z)) \\ q(z) = \frac1N \sum_n q(z \mid x_n)\end{gathered}",
        "The first part is what a code tells about which of the N data it came from; the second is "
        "how badly all codes together fill the prior: nobody gains from it.",
        "Hoffman & Johnson 2016, ELBO surgery",
    )


def over_training() -> None:
    """The gap while the model learned."""
    st.subheader("Does inference lag behind the decoder?")
    if not runs.past(run.id):
        st.info("This run kept no weights of past epochs: train one, and its past is judged here.")
        return
    past = History()
    history = analyses.ask(run.id, past, "The bounds over training")
    if history is not None:
        sizes = {s: min(past.n, inference_cache.size(run.id, s)) for s in widgets.SPLITS}
        set_view.over_training(history, sizes)


def map_of_gaps(found: Found) -> None:
    """The latent map coloured by gaps, and the images of largest gap."""
    st.subheader("Where in the latent space are the gaps?")
    gap_view.atlas(run, ask, found)
    st.subheader("The worst-explained data")
    gap_view.gallery(run, ask, found)
    widgets.look_for(
        "Click one to see its true posterior and what the encoder made of it. Unusual strokes lead "
        "the encoder astray: it answers at a glance, for all data with one network."
    )


arrays = analyses.ask(run.id, ask, f"log p(x) of {ask.n:,} data")
found = read(arrays) if arrays is not None else None
if found is None:
    widgets.look_for(
        "Once log p(x) is computed, curves show here how bounds climb towards it, datum by datum. "
        "The result is kept: the next time, it is there at once."
    )
else:
    bounds(found)
    if found.exact is None:
        annealing(found)
    every_datum(found)
    one_datum(found)
    parts(found)
over_training()
if found is not None:
    map_of_gaps(found)
widgets.show_source(trust.judge_weights, forms.three_forms)
widgets.link("training", "Back to Training: how the bound rises")
