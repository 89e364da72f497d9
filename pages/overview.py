"""What is this place, and where does one begin?"""

from __future__ import annotations

import numpy as np
import streamlit as st

from ui import cache, codes, figures, widgets
from vae import latent, runs
from vae.data import DataError
from vae.runs import RunError

st.title("How does a variational autoencoder work?")
st.markdown(
    "A variational autoencoder (VAE) learns to put images into a small **latent space** and to "
    "draw images from it. Here you see it do both: click a latent space, train a model of your "
    "own, and watch the bound that training raises."
)

ids = runs.ids()
usable = [run_id for run_id in ids if runs.stamp(run_id)]
if not usable:
    st.info("There is no trained run here yet: choose a preset in the sidebar and press Train.")
    st.stop()


def tour(run_id: str) -> None:
    """The four steps of a VAE, with one datum of a real run."""
    points = cache.points(run_id, "held_out")
    index = int(points.scale[:100].min(axis=1).argmax())  # an ellipse wide enough to be seen
    datum = cache.datum(run_id, "held_out", index)
    where = cache.plane(run_id, "0,1")
    xx, xy, yy = where.covariance(points.scale, points.covariance)[index]
    centre, covariance = points.loc[index], np.array([[xx, xy], [xy, yy]])
    one, two, three = st.columns([3, 5, 5], gap="large")
    with one:
        st.markdown("**1 · An image x**")
        st.image(figures.enlarge(datum.original, 224), width=200, alt="A handwritten digit")
        st.caption(f"A {datum.label} from the held-out set, each pixel black or white.")
    with two:
        st.markdown("**2 · The encoder answers $q(z \\mid x)$**")
        figure = figures.encoder_ellipse(
            points.loc[:3000], points.labels[:3000], centre, covariance
        )
        st.plotly_chart(figure, key="tour-ellipse", config={"displayModeBar": False})
        st.caption(
            "Not a point but a normal distribution: the ellipses are one and two standard "
            "deviations. Dots are other images, coloured by their digit."
        )
    with three:
        st.markdown("**3 · Draw z from q, decode it**")
        strip = latent.mosaic(cache.decode(run_id, datum.draws)[None])
        st.image(figures.enlarge(strip, 672), width="stretch", alt="Three decoded draws")
        st.caption("Three draws, decoded: $p(x \\mid z)$ says how likely each pixel is white.")
        st.markdown("**4 · Training raises a bound on log p(x)**")
        bar = figures.elbo_bar(datum.distortion, datum.rate)
        st.plotly_chart(bar, key="tour-elbo", config={"displayModeBar": False})
        st.caption(
            f"ELBO = −(distortion + rate) = {widgets.nats(datum.elbo, datum.elbo_se)} nats "
            "for this image (256 draws of z; ± is their standard error). Distortion: how badly "
            "x comes back. Rate: what the code z costs."
        )


def card(run_id: str) -> None:
    """A run: its decoded plane, its numbers, and where to open it."""
    if widgets.kind_of(run_id) == "VQ-VAE":
        codebook_card(run_id)
        return
    run = cache.run(run_id)
    axes = "pca" if run.config.latent_dim > 2 else "0,1"
    st.image(
        cache.sprite(run_id, axes, n=15, gap=1),
        width="stretch",
        alt=f"Decoded images on a grid of the latent plane of {run_id}",
    )
    st.markdown(f"**{widgets.plain(widgets.title(run_id))}**")
    kinds = {"mlp": "fully connected", "conv": "convolutional", "linear": "linear (PCA)"}
    kind = kinds[run.config.body]
    about = [run.config.dataset, kind, f"{run.config.latent_dim} latent dimensions"]
    if run.config.conditional:
        about.append(f"conditional: told the label (here {cache.label_names(run_id)[0]})")
    if lines := runs.metrics(run_id):
        last = lines[-1]
        score = widgets.nats(last["held_out"]["elbo"], last["held_out"]["elbo_se"])
        about.append(f"held-out ELBO {score} nats after {last['epoch']} epochs")
    st.caption(", ".join(about))
    widgets.link("latent_space", "Open its latent space", run=run_id)


def codebook_card(run_id: str) -> None:
    """A VQ-VAE: what its codes look like, its numbers, and where to open it."""
    run = codes.run(run_id)
    sheet = latent.in_square(codes.patches(run_id, 0), 1)
    st.image(sheet, width="stretch", alt=f"What each code of {run_id} decodes to")
    st.markdown(f"**{widgets.plain(widgets.title(run_id))}**")
    config, last = run.config, runs.metrics(run_id)[-1]["held_out"]
    score = widgets.nats(last["elbo"], last["elbo_se"])
    st.caption(
        f"{config.dataset}, VQ-VAE, {config.n_codes} codes of {config.latent_dim} numbers, map of "
        f"{config.map_side} × {config.map_side}, held-out bound {score} nats"
    )
    widgets.link("codebook", "Open its codebook", run=run_id)


def can_guide(run_id: str) -> bool:
    """Whether the words of the tour fit a run: a plane, normal answers, black and white pixels."""
    config = runs.read_config(run_id)
    if config.is_vq:
        return False
    told = config.family == "flow" or config.conditional
    return (config.latent_dim, config.likelihood) == (2, "bernoulli") and not told


def first(ids: list[str]) -> list[str]:
    """A dozen runs worth a card: of the codebooks that the Codebook page compares, one."""
    cards = [i for i in ids if not (runs.is_shipped(i) and i.startswith("digits-vq-"))]
    return cards[:12]


try:
    if guide := next(filter(can_guide, usable), None):
        st.subheader("One minute: what happens to one image")
        st.caption(f"Computed now, with the run {widgets.plain(widgets.title(guide))}.")
        tour(guide)
except (RunError, DataError) as error:
    st.warning(str(error))

st.subheader("What each page answers")
one, two = st.columns(2)
with one:
    widgets.link("latent_space", "**Latent space**: what does each place decode to?")
    st.caption("Click the plane, compare images with what comes back, walk between them.")
with two:
    widgets.link("training", "**Training**: how does the bound rise?")
    st.caption("ELBO, rate and distortion of every run, live, on training and held-out data.")
with one:
    widgets.link("likelihood", "**Likelihood**: how far is the ELBO from log p(x)?")
    st.caption("Every bound beside the truth, which two latent dimensions let one compute.")
with two:
    widgets.link("inference", "**Inference**: what does the encoder get wrong?")
    st.caption("The true posterior under q, and the gap taken apart.")
with one:
    widgets.link("codebook", "**Codebook**: how does a VQ-VAE spend its codes?")
    st.caption("Latents that are codes: click them, exchange them, draw new ones.")

st.subheader("Trained runs")
st.caption(
    "Each card shows what a grid of latent places decodes to, within three standard deviations "
    "of the prior; of a run with more than two dimensions, along its principal plane; of a VQ-VAE, "
    "what each of its codes stands for. ELBOs are "
    "means over up to 2,000 held-out images, ± one standard error over these images. Runs that "
    "come with the project stand first, then your newest."
)
columns = st.columns(4)
for position, run_id in enumerate(first(usable)):
    with columns[position % 4]:
        try:
            card(run_id)
        except (RunError, DataError) as error:
            st.warning(str(error))
widgets.show_source(latent.decoded_grid)
