"""How codes are spent: usage, what naming them costs, and what each trick of training is for."""

from __future__ import annotations

import math
from typing import Any

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
#: What the shipped runs on digits show.
ABOUT_KIN = (
    "All of them lose most codes at first, for the encoder's answers move away from where the "
    "codes "
    "began; then they differ. *digits-vq* has revival and a start by k-means; *bare* has neither, "
    "and *loss* and *rotation* are bare but for the one thing they are named after. Without "
    "revival a fifth of the 256 codes stay dead, whatever the start; learned by the gradient of "
    "the "
    "loss, more than half do; revival, or the rotation trick alone, keeps nearly all. Start by "
    "k-means hardly matters here. And look at the bounds: they differ far less than the usage. "
    "Codes that are used are not yet of use. "
)
#: What to say of a run without a second stage.
NO_PRIOR = (
    "This run has no learned prior: with *Then epochs of a prior over codes* in the sidebar, a "
    "second stage of training finds out how far the codes of a map predict one another."
)


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
        f"Codes from the busiest to the idlest, over {n:,} held-out latents "
        f"({n // run.config.map_side**2:,} data × {run.config.map_side**2} places); the dashed "
        "line "
        f"is an even share. **{len(counts) - dead} of {len(counts)} codes are used** at least "
        "once, and "
        f"the perplexity is **{perplexity:.1f}**: so many codes, used evenly, would be as hard to "
        "guess."
    )
    _over_training(run)
    _costs(run)
    _side_by_side(run)


def _over_training(run: Run) -> None:
    """How the use of the codebook came about."""
    lines = [line for line in runs.metrics(run.id) if line["epoch"] <= run.config.epochs]
    if len(lines) < 2:
        return
    st.subheader("How did that come about?")
    left, right = st.columns(2)
    by = {"x": "epoch", "x_title": "epoch"}
    with left:
        curves = histories.by_split({"perplexity": lines}, "perplexity", "epoch")
        histories.chart("perplexity", curves, y_title="perplexity", y_floor=0, **by)
    with right:
        revived = histories.values({"revived": lines}, "epoch", lambda line: line["revived"])
        histories.chart("revived", revived, y_title="revivals so far", y_floor=0, **by)
    widgets.look_for(
        "Left: perplexity over up to 2,000 data of each set; a dip is where the encoder's answers "
        "moved away from the codes. Right: how often a code that hardly anybody used was moved to "
        "where answers are"
        + (", which brings the perplexity back." if run.config.revival else ": never, in this run.")
    )


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
        f"how often each is used, on these very data, brings that to {entropy:.2f}: the effective "
        "bits, log₂ of the perplexity. "
    )
    text += _learned(run, rate, error, len(rates)) if learned else NO_PRIOR
    widgets.look_for(text)
    widgets.explain(
        r"H = -\sum_k \bar p_k \log \bar p_k, \qquad \text{perplexity} = e^{H}, \qquad "
        r"\text{rate} = -\log p(k_1, \dots, k_n)",
        f"p̄ is the share of the held-out latents that use each code. An image of this run has n = "
        f"{config.n_latents} codes: with all codes equally likely they cost n log {config.n_codes} "
        f"= {codes.model(run.id).uniform:.1f} nats.",
        "van den Oord et al. 2017, section 3; Shannon 1948 for entropy as a price",
    )


def _learned(run: Run, rate: float, error: float, n: int) -> str:
    """What the learned prior asks for a code."""
    cost = f"**{rate:.2f} ± {error:.2f}** bits (mean over {n:,} held-out data ± one standard error)"
    if run.config.n_latents == 1:
        return (
            "The prior has learned from the training data how often each code comes; no code "
            f"stands before another here. On held-out data it asks for {cost}."
        )
    return (
        f"A prior that learned from the training data how codes follow on one another asks for "
        f"{cost}: what a map repeats need not be named."
    )


def _has_prior(run: Run) -> bool:
    """Whether the second stage has begun."""
    return bool(run.config.prior_epochs) and run.epoch > run.config.epochs


def _side_by_side(run: Run) -> None:
    """The same model with tricks of training turned off, beside this one."""
    st.subheader("What is each trick of training for?")
    ids = [i for i in runs.ids() if widgets.kind_of(i) == "VQ-VAE" and runs.metrics(i)]
    kin = [i for i in ids if i.startswith("digits-vq") and runs.is_shipped(i)]
    kin = [i for i in kin if i != "digits-vq-residual"]  # its codebooks are of another size
    shown = st.multiselect(
        "Runs",
        ids,
        default=kin if len(kin) > 1 else [run.id] if run.id in ids else ids[:1],
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
        run_id.removeprefix("digits-vq-"): histories.until(
            (
                [line["epoch"] for line in found],
                [float(np.mean(line["held_out"]["perplexity"])) for line in found],
            ),
            config.epochs,
        )
        for run_id, (found, config) in records.items()
    }
    histories.chart(
        "perplexity-compared", lines, x="epoch", x_title="epoch", y_title="perplexity", y_floor=0
    )
    configs = [config for _, config in records.values()]
    differ = [f for f in TRICKS if len({getattr(c, f) for c in configs}) > 1]
    rows = [_row(name, differ, *found) for name, found in records.items()]
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch")
    widgets.look_for(
        "Perplexity on held-out data while the codebook learns; with several levels, their mean. "
        + (ABOUT_KIN if set(kin) <= set(shown) and len(kin) > 1 else "")
        + "Each is a single run with one seed; ± is one standard error over the data."
    )


def _row(
    name: str, differ: list[str], lines: list[dict[str, Any]], config: RunConfig
) -> dict[str, str]:
    """A run in one line: its tricks, and what came of it when the codes were learned."""
    learned = [line for line in lines if line["epoch"] <= config.epochs]
    last, words = learned[-1]["held_out"], {True: "yes", False: "no"}
    size = f"{config.levels} × {config.n_codes}" if config.levels > 1 else str(config.n_codes)
    found = {"run": name.removeprefix("digits-vq-"), "codes": size}
    for field in differ:
        value = getattr(config, field)
        found[TRICKS[field]] = words[value] if isinstance(value, bool) else str(value)
    return found | {
        "perplexity": " + ".join(f"{p:.0f}" for p in last["perplexity"]),
        "dead": " + ".join(str(d) for d in last["dead"]),
        "bound, uniform prior": widgets.nats(last["elbo_uniform"], last["elbo_se"]),
    }
