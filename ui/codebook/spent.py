"""How codes are spent: usage, what naming them costs, and what each trick of training is for."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import streamlit as st

from ui import code_figures, codes, histories, widgets
from ui.codebook.book import pick_level
from vae import runs
from vae.config import RunConfig
from vae.runs import Run, RunError

#: What the settings of a run are called beside one another.
TRICKS = {
    "codebook": "codebook by",
    "kmeans_init": "k-means start",
    "revival": "revival",
    "through": "gradient",
    "levels": "levels",
    "quantiser": "quantiser",
}


def show(run: Run) -> None:
    """Histogram, costs, and runs side by side."""
    level = pick_level(run)
    found = codes.spending(run.id, "held_out")
    st.subheader("Who uses which code?")
    counts, n = np.sort(found.counts[level])[::-1], int(found.counts[level].sum())
    widgets.chart(
        code_figures.usage_bars(counts / n),
        key="usage",
        alt="Share of the held-out latents that use each code, the busiest first",
    )
    perplexity, dead = found.perplexity[level], int(found.dead[level])
    widgets.look_for(
        f"Codes from the busiest to the idlest, over {n:,} held-out latents; the dashed line is an "
        f"even share. **{len(counts) - dead} of {len(counts)} codes are used** at least once, and "
        f"the perplexity is **{perplexity:.1f}**: so many codes, used evenly, would be as hard to "
        "guess."
    )
    _costs(run)
    _side_by_side(run)


def _costs(run: Run) -> None:
    """What it costs to name a code, under three descriptions."""
    found, judged = codes.spending(run.id, "held_out"), codes.judged(run.id, "held_out")
    config = run.config
    even = math.log2(config.n_codes)
    entropy = float(np.log2(found.perplexity).mean())
    rates = judged.rate.numpy() / (config.n_latents * math.log(2))
    rate, error = float(rates.mean()), float(rates.std(ddof=1) / len(rates) ** 0.5)
    st.subheader("What does it cost to name a code?")
    bars = {"every code equally likely": even, "codes by their use": entropy}
    learned = _has_prior(run)
    if learned:
        bars["codes by those before them (learned prior)"] = rate
    widgets.chart(code_figures.cost_bars(bars), key="costs", alt="Bits a code, three ways")
    text = (
        f"A code out of {config.n_codes} costs {even:.2f} bits if all are equally likely. Counting "
        f"how often each is used brings that to {entropy:.2f}: the effective bits, log₂ of the "
        "perplexity. "
    )
    text += (
        f"Knowing the codes before it brings it to **{rate:.2f} ± {error:.2f}** bits (mean over "
        f"{len(rates):,} held-out data ± one standard error): what a map repeats need not be named."
        if learned
        else "This run has no learned prior: with *Then epochs of a prior over codes* in the "
        "sidebar, a second stage of training finds out how far the codes of a map predict one "
        "another."
    )
    widgets.look_for(text)
    widgets.explain(
        r"H = -\sum_k \bar p_k \log \bar p_k, \qquad \text{perplexity} = e^{H}, \qquad "
        r"\text{rate} = -\log p(k_1, \dots, k_n)",
        f"p̄ is the share of the held-out latents that use each code. An image of this run has n = "
        f"{config.n_latents} codes: with all codes equally likely they cost n log {config.n_codes} "
        f"= {codes.model(run.id).uniform:.1f} nats.",
        "van den Oord et al. 2017, section 3; Shannon 1948 for entropy as a price",
    )


def _has_prior(run: Run) -> bool:
    """Whether the second stage has begun."""
    return bool(run.config.prior_epochs) and run.epoch > run.config.epochs


def _side_by_side(run: Run) -> None:
    """The same model with one trick of training turned off, beside this one."""
    st.subheader("What is each trick of training for?")
    ids = [i for i in runs.ids() if widgets.kind_of(i) == "VQ-VAE" and runs.metrics(i)]
    digits = [i for i in ids if i.startswith("digits-vq") and runs.is_shipped(i)]
    shown = st.multiselect(
        "Runs",
        ids,
        default=digits if len(digits) > 1 else [run.id] if run.id in ids else ids[:1],
        key="codebooks-compared",
        format_func=widgets.title,
    )
    records = {}
    for run_id in shown:
        try:
            records[run_id] = runs.metrics(run_id), runs.read_config(run_id)
        except RunError:
            continue  # deleted a moment ago
    if not records:
        st.info("Choose runs to compare.")
        return
    lines = {
        run_id: (
            [line["epoch"] for line in found],
            [np.mean(line["held_out"]["perplexity"]) for line in found],
        )
        for run_id, (found, _) in records.items()
    }
    lines = {name: histories.until(line, records[name][1].epochs) for name, line in lines.items()}
    histories.chart(
        "perplexity-compared", lines, x="epoch", x_title="epoch", y_title="codes", y_floor=0
    )
    table = pd.DataFrame([_row(name, *found) for name, found in records.items()])
    st.dataframe(table, hide_index=True, width="stretch")
    widgets.look_for(
        "Perplexity on held-out data while the codebook learns. Where no dead code is revived and "
        "the start is small and random, a few codes win everything: the decoder never sees the "
        "others, and they never move. A start by k-means spreads them; revival brings back what "
        "the moving encoder leaves behind. Compare the bound as well as the usage: codes that are "
        "used are not yet used well. These are single runs with one seed."
    )


def _row(name: str, lines: list[dict], config: RunConfig) -> dict[str, object]:
    """A run in one line: its tricks, and what came of it."""
    last = lines[-1]["held_out"]
    words = {True: "yes", False: "no"}
    tricks = {
        title: words.get(value, value) if isinstance(value, bool) else str(value)
        for field, title in TRICKS.items()
        for value in [getattr(config, field)]
    }
    return {
        "run": name,
        **tricks,
        "perplexity": " + ".join(f"{p:.0f}" for p in last["perplexity"]),
        "dead codes": " + ".join(str(d) for d in last["dead"]),
        "distortion (nats)": f"{last['distortion']:.1f}",
        "bound, uniform prior (nats)": widgets.nats(last["elbo_uniform"], last["elbo_se"]),
    }
