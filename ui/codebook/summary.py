"""A VQ-VAE in a few numbers, and what to do about a codebook that collapsed."""

from __future__ import annotations

import math

import streamlit as st
import torch

from ui import codes, jobs, widgets
from vae import runs
from vae.code_record import bits_per_dim
from vae.config import ConfigError
from vae.data import DataError
from vae.runs import Run, RunError

#: Below this share of the codes, in perplexity, a codebook has collapsed.
COLLAPSED = 0.1


def show(run: Run) -> None:
    """The bound, its price in bits, and the use of the codebook; then trouble, if there is any."""
    judged, spent = codes.judged(run.id, "held_out"), codes.spending(run.id, "held_out")
    elbo = -(judged.distortion + judged.rate)
    mean, error = elbo.mean().item(), (elbo.std() / len(elbo) ** 0.5).item()
    uniform = -judged.distortion.mean().item() - codes.model(run.id).uniform
    d, n = math.prod(run.config.shape), run.config.n_codes
    row = st.container(horizontal=True, gap="large")
    data = f"over {len(elbo):,} held-out data; ± is one standard error over them"
    row.metric(
        "Bound on log p(x), nats",
        widgets.nats(mean, error),
        help=f"log p(x | codes) + log p(codes), mean {data}. With a uniform prior over codes it is "
        f"{widgets.nats(uniform)} nats.",
    )
    row.metric(
        "Bits per dimension",
        f"{bits_per_dim(mean, d):.3f}",
        help=f"The same bound, per {'pixel' if d > 2 else 'number'} and in bits: lower is better. "
        f"With a uniform prior {bits_per_dim(uniform, d):.3f}."
        + " Of a density, as here, it may be negative."
        * (run.config.likelihood != "bernoulli"),
    )
    dead = int(spent.dead.sum())
    row.metric(
        "Codes in use",
        f"{n * run.config.levels - dead} of {n * run.config.levels}",
        help=f"Used at least once by the first {len(elbo):,} held-out data; others may use the "
        "rest.",
    )
    row.metric(
        "Perplexity",
        f"{spent.perplexity.mean():.1f}" + " a level" * (run.config.levels > 1),
        help="exp of the entropy of how often each code is used by these data: "
        f"{', '.join(f'{p:.1f}' for p in spent.perplexity)}. It would be {n} if all codes were "
        "used evenly.",
    )
    if run.config.n_latents == 1:
        _exact(run, mean, error)
    most = min(n, int(spent.counts[0].sum()))  # fewer latents than codes cannot use all
    if spent.perplexity.min() < max(1.5, COLLAPSED * most):
        _offer_revival(run, float(spent.perplexity.min()))


def _exact(run: Run, mean: float, error: float) -> None:
    """One code says all: log p(x) is a sum over the codebook."""
    truth = _evidence(run.id, runs.stamp(run.id))
    st.caption(
        f"A datum of this run has one code, so log p(x) itself is a sum over the "
        f"{run.config.n_codes} codes: **{widgets.nats(truth.mean().item())} nats** on average, "
        "exactly. The bound counts the chosen code alone and lies "
        f"{widgets.precise(truth.mean().item() - mean)} nats below: that is "
        r"$\mathrm{KL}(q \,\|\, p(k \mid x)) = -\log p(k^* \mid x)$ of a q that is certain."
    )


@st.cache_resource(max_entries=12, show_spinner=False)
def _evidence(run_id: str, stamp: int) -> torch.Tensor:
    model, x = codes.model(run_id), codes.examples(run_id, "held_out")
    with torch.no_grad():
        return torch.cat([model.log_evidence(part) for part in x.split(100)]).double()


def _offer_revival(run: Run, perplexity: float) -> None:
    """Says that the codebook has collapsed, and offers to train it with what helps."""
    config = run.config
    helped = config.model_copy(
        update={"revival": True, "kmeans_init": True, "name": f"{config.name} revived"[:80]}
    )
    st.warning(
        f"This codebook has collapsed: it works like one of {perplexity:.1f} codes out of "
        f"{config.n_codes}. "
        + (
            "Train it longer, with fewer codes or another learning rate."
            if config.quantiser == "fsq" or (config.revival and config.kmeans_init)
            else "Codes that nobody chooses are never moved to where they are needed."
        )
    )
    if config.quantiser == "fsq" or (config.revival and config.kmeans_init):
        return
    if st.button("Train it again with revival and a k-means start", key="revive"):
        try:
            run_id = runs.create(helped)
            jobs.submit(run_id)
        except (ConfigError, RunError, DataError, jobs.JobsError) as error:
            st.error(str(error))
            return
        st.session_state["watch"] = run_id
        st.rerun()
