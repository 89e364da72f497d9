"""What does the encoder get wrong?"""

from __future__ import annotations

import streamlit as st

from ui import (
    gap_table,
    inference_parts as parts,
    inference_subject,
    inference_view as view,
    posteriors,
    widgets,
)
from vae import svi

st.title("What does the encoder get wrong?")
st.markdown(
    "Bayes' rule says where an image may have come from: the **posterior** p(z | x). The encoder "
    "answers at a glance with a simple shape, q(z | x). With one or two latent dimensions the "
    "posterior can be computed and shown, and with it what the answer misses: "
    "the **approximation gap**, because the shape is too simple, and the **amortisation gap**, "
    "because one network must answer for every image at once."
)

run, datum = view.pick()
widgets.refuse_conditional(run)
flat = run.config.latent_dim <= 2
looks = [v for v in view.VIEWS if v != "draw" or len(run.config.shape) == 3]
if flat:
    look = st.segmented_control(
        "What to do with it",
        looks,
        default="posterior",
        required=True,
        key="look",
        bind="query-params",
        format_func=view.VIEWS.get,
    )


def explore() -> None:
    """The plane, and what one does in it: they rerun together, on their own."""
    widgets.keep_to(run)
    subject = inference_subject.ask(run, datum, look)
    if subject is None:
        return
    show = {
        "posterior": parts.compare,
        "race": parts.race,
        "hands": parts.hands,
        "families": parts.families,
        "erase": parts.erase,
        "draw": parts.drawing,
    }[look]
    show(run, subject)


if flat:
    st.fragment(explore)()
else:
    st.info(
        f"This run has {run.config.latent_dim} latent dimensions: no grid can sum over them, so "
        "its posterior cannot be drawn. What the encoder gets wrong can still be measured, below. "
        "Choose a run with two latent dimensions to see it."
    )

widgets.explain(
    r"\underbrace{\log p(x) - \mathcal{L}[q]}_{\mathrm{KL}(q \,\|\, p(z \mid x))} \;=\; "
    r"\underbrace{\log p(x) - \mathcal{L}[q^*]}_{\text{approximation gap}} \;+\; "
    r"\underbrace{\mathcal{L}[q^*] - \mathcal{L}[q]}_{\text{amortisation gap}}",
    r"$\mathcal{L}[q]$ is the ELBO with q, and $q^*$ the best q of the encoder's family for this "
    "one x, found by stochastic variational inference (SVI): gradient steps on the ELBO for one x, "
    "with the decoder fixed.",
    "Cremer, Li & Duvenaud 2018, Inference Suboptimality in Variational Autoencoders, section 3",
)
st.subheader("Over a few hundred data")
gap_table.show(run, datum)
widgets.show_source(svi.step, posteriors.judge)
widgets.link("likelihood", "Back to all data: how far is the ELBO from log p(x)?", run=run.id)
