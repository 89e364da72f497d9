"""What each level of residual codes adds."""

from __future__ import annotations

import itertools
import math

import numpy as np
import streamlit as st
import torch

from ui import code_figures, codes, figures, widgets
from vae import latent, runs
from vae.runs import Run

#: Images that are shown with 1, 2, … levels, and data behind the bars.
N_SHOWN = 8


def show(run: Run) -> None:
    """Reconstructions with 1, 2, … levels, and what they cost."""
    levels = run.config.levels
    st.markdown(
        "With residual codes, a first codebook says the coarse part of each vector, a second what "
        "the first left over, and so on: $z_q = e^{(1)}_{k_1} + e^{(2)}_{k_2} + \\dots$"
    )
    if levels == 1:
        _where_to_see_it(run)
        return
    rows, names = _rows(run), [f"{n} level{'s' * (n > 1)}" for n in range(1, levels + 1)]
    for name, row in zip(["image", *names], rows, strict=True):
        left, right = st.columns([1, 8], vertical_alignment="center")
        left.markdown(f"**{name}**")
        sheet = figures.enlarge(latent.mosaic(row[None], 1), 900)
        right.image(sheet, width="stretch", alt=f"Eight held-out images: {name}")
    distortion, errors = _distortions(run)
    per_level = run.config.map_side**2 * math.log(run.config.n_codes)
    rate = [per_level * n for n in range(1, levels + 1)]
    widgets.chart(
        code_figures.level_bars(distortion, rate, errors),
        key="levels",
        alt="Distortion and rate of the first levels of codes",
    )
    bounds = [-(d + r) for d, r in zip(distortion, rate, strict=True)]
    said = ", ".join(
        f"{name}: {widgets.nats(b, e)}" for name, b, e in zip(names, bounds, errors, strict=True)
    )
    widgets.look_for(
        "Each level adds what those before left over, and costs as much as the one before. Here "
        f"the distortion falls by {_steps(distortion)} nats with each further level, while each "
        f"costs {per_level:.1f} nats to name. {_worth(bounds)} The model was trained with all its "
        "levels; the decoder was never shown fewer. Bounds on log p(x) in nats, with a uniform "
        f"prior over the levels kept: {said} (held-out, ± one standard error over the data)."
    )
    widgets.explain(
        r"r_1 = z, \quad k_l = \arg\min_j |r_l - e^{(l)}_j|^2, \quad "
        r"r_{l+1} = r_l - e^{(l)}_{k_l}",
        "With n codes a level, L levels tell nᴸ vectors apart, with L·n vectors in store.",
        "Lee et al. 2022, Autoregressive Image Generation using Residual Quantization, section 3.1",
    )


def _steps(distortion: list[float]) -> str:
    """By how much each further level lowers it."""
    falls = [a - b for a, b in itertools.pairwise(distortion)]
    return " and ".join(f"{fall:.1f}" for fall in falls)


def _worth(bounds: list[float]) -> str:
    """Whether what further levels save is worth their price."""
    if all(b < a for a, b in itertools.pairwise(bounds)):
        return (
            "**So the bound gets worse with every level**: as long as all codes are equally "
            "likely, a level is dearer than the pixels it mends. A learned prior would make the "
            "later ones cheaper."
        )
    return "The bound is best with as many levels as save more than they cost."


def _where_to_see_it(run: Run) -> None:
    """This run has one level: which others have more."""
    st.info("This run has one level of codes: there is nothing to add up.")
    for run_id in runs.ids():
        if widgets.kind_of(run_id) == "VQ-VAE" and runs.read_config(run_id).levels > 1:
            widgets.link(
                "codebook",
                f"Open {widgets.plain(run_id)}, which has more",
                run=run_id,
                section="Levels",
            )


def _rows(run: Run) -> list[np.ndarray]:
    """The images, then what comes back with 1, 2, … levels: (n, h, w) each."""
    found = [codes.mapped(run.id, "held_out", i) for i in range(N_SHOWN)]
    maps = np.stack([f.codes for f in found])
    rows = [np.stack([f.original for f in found])]
    return rows + [codes.decode(run.id, maps[:, :n]) for n in range(1, run.config.levels + 1)]


def _distortions(run: Run) -> tuple[list[float], list[float]]:
    """Mean distortion with 1, 2, … levels over held-out data, in nats, and their errors."""
    return _cached(run.id, runs.stamp(run.id))


@st.cache_data(max_entries=20, show_spinner=False)
def _cached(run_id: str, stamp: int) -> tuple[list[float], list[float]]:
    model, x = codes.model(run_id), codes.examples(run_id, "held_out")
    maps, means, errors = codes.judged(run_id, "held_out").codes, [], []
    for n in range(1, model.levels + 1):
        with torch.no_grad():
            parts = [
                -model.decode(k[:, :n]).log_prob(part)
                for k, part in zip(maps.split(500), x.split(500), strict=True)
            ]
        values = torch.cat(parts).double()
        means.append(values.mean().item())
        errors.append(values.std().item() / len(values) ** 0.5)
    return means, errors
