"""What the prior over codes has learned: samples, and the rest of a half-masked map."""

from __future__ import annotations

import numpy as np
import streamlit as st

from ui import code_samples, codes, strips, widgets
from ui.code_samples import Source
from vae.runs import Run

N = 16
N_COMPLETED = 8
NAMES: dict[Source, str] = {"uniform": "uniform codes", "learned": "the learned prior"}
#: Grey of what is masked, so that it cannot be taken for black pixels.
MASKED = 110


def show(run: Run) -> None:
    """Samples from either prior, then completions."""
    learned = code_samples.has_prior(run.id)
    if not learned:
        st.info(
            "This run has no learned prior, so only uniform codes can be drawn. Set *Then epochs "
            "of a prior over codes* in the sidebar and train: a second stage learns one."
        )
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        source = st.segmented_control(
            "Codes from",
            list(NAMES) if learned else ["uniform"],
            default="learned" if learned else "uniform",
            required=True,
            key=f"codes-from-{learned}",
            format_func=NAMES.get,
        )
        temperature = st.slider(
            "Temperature",
            0.2,
            1.5,
            1.0,
            0.1,
            key="temperature",
            bind="query-params",
            disabled=not learned,
            help="Of the learned prior, here and in the completions below. Divides its logits. "
            "Below 1 it prefers what is likely anyway, above "
            "1 it dares more; only at 1 are these samples of the model.",
            width=280,
        )
        st.button("Draw again", on_click=_draw_again, icon=":material/casino:")
    seed = int(st.session_state.get("codes-seed", 0))
    drawn = code_samples.samples(run.id, source, temperature, seed, N)
    captions = [f"{rate:.0f} nats" for rate in drawn.rates]
    strips.strip(list(drawn.pictures), captions, side=6.5)
    widgets.look_for(_hint(run, source, drawn.rates, learned))
    if learned:
        _complete(run, temperature, seed)


def _draw_again() -> None:
    """Other random numbers."""
    st.session_state["codes-seed"] = st.session_state.get("codes-seed", 0) + 1


def _hint(run: Run, source: Source, rates: np.ndarray, learned: bool) -> str:
    """What the samples show."""
    if run.config.n_latents == 1:
        return (
            "A map of one code: every sample is one of the pictures of the codebook, and the prior "
            "says only how often each comes."
        )
    if source == "uniform":
        text = (
            f"Each of ${run.config.n_codes}^{{{run.config.n_latents}}}$ maps is equally likely, "
            "and "
            "hardly any of them is one that an image has: the pictures are patches that do not fit."
        )
        if learned:
            text += (
                " Below each, what the *learned* prior says such a map costs: far more than a real "
                "one."
            )
        return text
    held_out = codes.judged(run.id, "held_out").rate.numpy()
    error = held_out.std(ddof=1) / len(held_out) ** 0.5
    cold = st.session_state.get("temperature", 1.0)
    varied = ""
    if cold < 0.8:
        varied = (
            "**Cold draws are cheap to name, and alike**: what is likely anyway is drawn again and "
            "again, and what is rare no more. "
        )
    return (
        f"{varied}Strokes go on from patch to patch, for each code was drawn given those before "
        "it. Below "
        "each stands what its map costs to name; held-out images cost "
        f"{widgets.nats(held_out.mean(), error)} nats on average (± one standard error), a sample "
        f"here {widgets.nats(rates.mean())}."
    )


def _complete(run: Run, temperature: float, seed: int) -> None:
    """The rest of a map, given its first rows."""
    side = run.config.map_side
    st.subheader("Complete a half-masked map")
    if side == 1:
        st.caption("A map of one code has no half: choose a run with a larger map.")
        return
    one, two, _ = st.columns([1, 1, 2], vertical_alignment="bottom")
    n = len(codes.examples(run.id, "held_out"))
    index = one.number_input("Image", 0, n - 1, 0, 1, key="complete", bind="query-params")
    rows = two.slider(
        "Rows that stay",
        0,
        side - 1,
        side // 2,
        key="rows",
        bind="query-params",
        help="The prior goes row by row, so these may be any number of the first.",
    )
    found = codes.mapped(run.id, "held_out", int(index))
    drawn = code_samples.completions(run.id, int(index), rows, temperature, seed, N_COMPLETED)
    masked = found.back.copy()
    masked[rows * found.back.shape[0] // side :] = MASKED
    pictures = [found.original, found.back, masked, *drawn.pictures]
    captions = ["the image", "its codes, decoded", "what stays"]
    captions += [f"{rate:.0f} nats" for rate in drawn.rates]
    strips.strip(pictures, captions, side=6.5)
    widgets.look_for(
        f"The first {rows} rows of codes stand, the others are drawn given them, "
        f"{N_COMPLETED} times: where what stays leaves open which digit it was, the completions "
        "differ. The real map costs "
        f"{widgets.nats(found.rate)} nats."
    )
