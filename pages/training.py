"""How does the bound rise while a model trains?"""

from __future__ import annotations

import streamlit as st

from ui import histories, training_view, widgets
from vae import runs
from vae.train import objective

st.title("How does the bound rise while a model trains?")
st.markdown(
    "Training pushes up the **ELBO**, a lower bound on log p(x). It has two parts that pull "
    "against each other: the **distortion** (how badly images come back) and the **rate** (how "
    "much the code says about the image). Start a run in the sidebar and watch it here."
)

choice, axis, pause = st.columns([5, 3, 2], vertical_alignment="bottom")
with choice:
    chosen = histories.pick_runs()
x = axis.segmented_control(
    "Horizontal axis",
    ["epoch", "step", "seconds"],
    default="epoch",
    required=True,
    key="x",
    bind="query-params",
)
paused = pause.toggle("Pause", key="paused", help="Holds the charts still, so that you can zoom.")
if not chosen:
    st.info("Choose a run above, or press Train in the sidebar: its curves grow here.")
    st.stop()


def live() -> None:
    """The curves, redrawn while something trains."""
    records = {widgets.title(run_id): runs.metrics(run_id) for run_id in chosen}
    records = {name: lines for name, lines in records.items() if lines}
    histories.show_states(chosen)
    histories.warn_if_mixed(chosen)
    if not records:
        st.info("Waiting for the first evaluation: it is written before the first epoch.")
        return
    by = {"x": x, "x_title": {"seconds": "seconds of training"}.get(x, x)}
    by["runs_shown"] = list(records)
    st.subheader("ELBO")
    histories.chart("elbo", histories.by_split(records, "elbo", x), y_title="nats", **by)
    widgets.look_for(
        "Higher is better. Solid is held-out, dashed is training data: where the dashed curve "
        "goes on rising and the solid one does not, the model learns its data by heart. "
        + histories.newest(records)
    )
    left, right = st.columns(2)
    with left:
        st.subheader("Distortion")
        histories.chart(
            "distortion", histories.by_split(records, "distortion", x), y_title="nats", **by
        )
        widgets.look_for("Lower is better: what is lost between the image and its decode.")
    with right:
        st.subheader("Rate")
        histories.chart("rate", histories.by_split(records, "rate", x), y_title="nats", **by)
        widgets.look_for("It rises as the code says more; near 0 the decoder ignores the code.")
    if vaes := histories.with_field(records, "rates"):
        training_view.of_vaes(vaes, by)
    if coded := histories.with_field(records, "perplexity"):
        training_view.of_codes(coded, by)
    training_view.schedule(records, by)


running = any(state in runs.ACTIVE for state in widgets.states(chosen).values())
st.fragment(live, run_every=1.0 if running and not paused else None)()

widgets.explain(
    r"\begin{aligned}\mathrm{ELBO} &= \mathbb{E}_{q(z \mid x)}[\log p(x \mid z)] "
    r"- \mathrm{KL}(q(z \mid x) \,\|\, p(z)) \\ &= -(D + R) \;\le\; \log p(x)\end{aligned}",
    "Everything is in nats, summed over the pixels of an image and averaged over images; held-out "
    "and training values are on 2,000 data each (all, if there are fewer) under one fixed "
    "binarisation, with ± one standard error over these data.",
    "Kingma & Welling 2014, eq. 3; Alemi et al. 2018 for rate and distortion",
)
histories.downloads(chosen)
widgets.show_source(objective)
widgets.link("latent_space", "Next: what the trained latent space looks like")
widgets.link("likelihood", "Then: how far the ELBO is from log p(x)")
