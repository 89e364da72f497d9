"""One datum on the Likelihood page: what its log p(x) is made of, and what sampling makes of it."""

from __future__ import annotations

import numpy as np
import streamlit as st

from ui import datum_figures, inference_cache, likelihood_figures, widgets
from ui.evidence import Found
from ui.figures import enlarge
from ui.likelihood_figures import ELBO, EXACT, IS, PLAIN
from ui.likelihood_view import nats, residual, small, table
from vae.requests import Evidence
from vae.runs import Run
from vae.trust import MIN_EFFECTIVE, Judged, pareto_threshold


def pictures(run: Run, ask: Evidence, index: int) -> None:
    """The datum, and what comes back of it."""
    original = inference_cache.seen(run.id, ask.split, [index])[0]
    back = inference_cache.reconstruction(run.id, ask.epoch, ask.split, index)
    st.image(
        [enlarge(original, 168), enlarge(back, 168)],
        caption=["x, as the model sees it", "decoded from the mean of q"],
        width=104,
    )


def balance(found: Found, row: int) -> None:
    """ELBO + KL = log p(x), the two by averages over q that share neither nodes nor formula."""
    if found.exact is None or found.kl is None:
        st.metric("ELBO (nats)", nats((found.elbo[row], found.elbo_se[row])))
        st.metric(
            "IS, at least this on average (nats)", nats((found.sampled[row], found.sampled_se[row]))
        )
        st.info(
            "The posterior of more than two latent dimensions cannot be summed over a grid, so "
            "neither KL(q ‖ posterior) nor log p(x) is known. The importance-sampled value stands "
            f"in: the gap is at least {nats((found.gap[row], found.gap_error[row]))} nats, on "
            "average."
        )
        return
    elbo = float(found.elbo_exact[row]), float(found.elbo_exact_error[row])
    kl = float(found.kl[row]), float(found.kl_error[row])
    log_p = float(found.exact[row]), float(found.exact_error[row])
    figure = datum_figures.evidence_bar(elbo, kl, log_p)
    st.plotly_chart(
        figure, key="balance", config=PLAIN, alt="ELBO and KL end to end, over log p(x)"
    )
    left = log_p[0] - elbo[0] - kl[0]
    error = float(np.hypot(elbo[1], kl[1]))
    widgets.look_for(
        "The upper bars end where the lower one does, though ELBO and KL are two sums over q, at "
        f"other points and by other formulas. What is left over: **{residual(left)} nats**, "
        f"± {small(error)} by the error estimates of the two. It says nothing about log p(x), "
        f"which is needed for the KL, too: that one has its own error, ± {small(log_p[1])}."
    )


def honesty(run: Run, ask: Evidence, found: Found, row: int) -> None:
    """The log-weights of a datum, the ladder over K, and what each proposal does."""
    index = int(found.index[row])
    compared = inference_cache.proposals(run.id, ask.epoch, ask.split, index, ask.k)
    exact = None if found.exact is None else float(found.exact[row])
    own = next(iter(compared.values()))
    left, right = st.columns(2)
    with left:
        st.markdown("**Log-weights of draws from the encoder's q**")
        lines = {"ELBO": (float(own.judged.elbo[0]), ELBO)}
        lines["IS"] = (float(own.judged.log_evidence[0]), IS)
        if exact is not None:
            lines["log p(x), exact"] = (exact, EXACT)
        figure = datum_figures.weights(own.log_w, lines)
        st.plotly_chart(figure, key="weights", config=PLAIN, alt="Where draws and their weight lie")
        share = np.exp(own.log_w - own.log_w.max())
        widgets.look_for(
            f"The heaviest of {len(share):,} draws carries **{(1 / share.sum()):.0%}** of all "
            "weight. Where the orange bars stand far right of the blue ones, a few draws decide, "
            "and others like them may not have been drawn at all."
        )
    with right:
        st.markdown("**The same draws in groups of K**")
        figure = likelihood_figures.ladder(
            own.judged.ladder,
            own.judged.iwae[0],
            own.judged.iwae_se[0],
            exact=None if exact is None else (exact, float(found.exact_error[row])),
        )
        st.plotly_chart(
            figure, key="datum-ladder", config=PLAIN, alt="The bound of this datum over K"
        )
        widgets.look_for(
            "A curve that still climbs at its right end has not arrived; one that lies flat below "
            "the exact line would need far more draws, for these miss where the posterior is."
        )
    st.markdown("**What each proposal does**")
    st.markdown(
        "**SVI** (stochastic variational inference) improves the encoder's q further, for this "
        "datum alone, by gradient steps on its ELBO."
    )
    judged = {name: each.judged for name, each in compared.items()}
    figure = likelihood_figures.dots(
        list(judged),
        np.array([j.log_evidence[0] for j in judged.values()]),
        np.array([j.se[0] for j in judged.values()]),
        trusted=np.array([j.trusted[0] for j in judged.values()]),
        colour=IS,
        line=None if exact is None else ("log p(x), exact", exact),
    )
    st.plotly_chart(figure, key="proposals", config=PLAIN, alt="The estimate of each proposal")
    rows = [_row(name, j, exact) for name, j in judged.items()]
    head = ("Draws from", "IS, nats", "ESS", "k̂", "trusted")
    table((*head, "log p(x) − IS") if exact is not None else head, rows)
    widgets.look_for(
        f"Hollow dots are not to be trusted: k̂ is not below {pareto_threshold(ask.k):.2f}, or ESS "
        f"is below {MIN_EFFECTIVE:.0f} of {ask.k:,}. A proposal that is too narrow misses what it "
        "should find; a wider one, or a mixture with the prior, pays with some draws and finds "
        "more. “No” is a warning, “yes” is no proof: a proposal that misses a part of the "
        "posterior cannot know it."
    )


def _row(name: str, judged: Judged, exact: float | None) -> tuple[str, ...]:
    """A line of the table of proposals."""
    value = float(judged.log_evidence[0])
    cells = (
        name,
        nats((value, float(judged.se[0]))),
        f"{judged.ess[0]:,.0f}",
        f"{judged.pareto_k[0]:.2f}".replace("-", "−"),
        "yes" if judged.trusted[0] else "**no**",
    )
    return cells if exact is None else (*cells, f"{exact - value:z.2f}".replace("-", "−"))
