"""How does a VQ-VAE spend its codes?"""

from __future__ import annotations

import streamlit as st

from ui import codes, widgets
from ui.codebook import book, hard_em, levels, maps, samples, spent, summary
from vae import runs, vq, vqvae

st.title("How does a VQ-VAE spend its codes?")
st.markdown(
    "A VQ-VAE says an image in **codes**: the encoder answers with a map of vectors, each is "
    "replaced by the nearest of a **codebook**, and the decoder draws from these. So an image is a "
    "short text in an alphabet that was learned along with it. Click codes, exchange them, and see "
    "what each is worth."
)

SECTIONS = {
    "Codebook": book.show,
    "Code map": maps.show,
    "Usage": spent.show,
    "Hard EM": lambda run: hard_em.show(),
    "Samples": samples.show,
    "Levels": levels.show,
}

notices = st.container()
left, right = st.columns([2, 5], vertical_alignment="bottom")
with left:
    run = widgets.pick_run(notices, "VQ-VAE", codes.run)
with right:
    section = st.segmented_control(
        "What to look at",
        list(SECTIONS),
        default="Codebook",
        required=True,
        key="section",
        bind="query-params",
    )


def look() -> None:
    """The section, which reruns on its own."""
    if run.id not in runs.ids():
        st.rerun()
    if section != "Hard EM":
        book.newest(run)
    if section in ("Codebook", "Usage"):
        summary.show(run)
    SECTIONS[section](run)


st.fragment(look)()

if section in ("Codebook", "Code map"):
    widgets.explain(
        r"\begin{aligned} z &= \mathrm{enc}(x), \quad k = \arg\min_j |z - e_j|^2, "
        r"\quad z_q = e_k \\ "
        r"\mathcal{L} &= -\log p(x \mid z_q) + |\mathrm{sg}[z] - e|^2 "
        r"+ \beta\, |z - \mathrm{sg}[e]|^2 \end{aligned}",
        "sg stops the gradient. The choice of a code has no gradient, so that of $z_q$ is handed "
        "to z "
        "as it is (straight through), or turned and scaled along (rotation trick). Codes follow "
        "the "
        "vectors that chose them, by the second term or as moving averages; the third keeps the "
        "encoder near its codes.",
        "van den Oord, Vinyals & Kavukcuoglu 2017, eq. 1 to 3; Fifty et al. 2024 for the rotation",
    )
widgets.show_source(vq.VectorQuantizer.forward, vq.VectorQuantizer.learn, vqvae.VQVAE.objective)
widgets.link("training", "Next: the curves of a codebook that learns")
widgets.link("latent_space", "Or: latents that are numbers")
