"""Gaps datum by datum: figures one can click, the latent map, the worst-explained images."""

from __future__ import annotations

import base64

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from ui import evidence, gap_figures, inference_cache, widgets
from ui.canvas.sheet import sheet
from ui.evidence import Found
from ui.figures import enlarge
from ui.likelihood_figures import PLAIN
from vae import latent
from vae.requests import Evidence
from vae.runs import Run

COLUMNS, WORST = 8, 16
#: What the map may be coloured by.
COLOURS = {"gap": "gap", "modes": "number of modes", "k_hat": "k̂"}
HINTS = {
    "gap": "Each point is the mean of q of a datum; the brightest 2 % share a colour. Large gaps "
    "often lie where groups meet: there a datum can be explained from more than one side. Click a "
    "point to choose its datum.",
    "modes": "A posterior with two modes explains the datum in two ways; where they lie apart, one "
    "Gaussian q sits on one of them, and misses the other. Click a point to choose its datum.",
    "k_hat": "Bright points are those whose importance-sampled value is worth least. Compare with "
    "the gap: some of the largest gaps are not bright, for k̂ knows only what was drawn.",
}


def chosen(found: Found) -> int:
    """The row of the datum that the URL names as ``datum``; else the one of largest gap."""
    text = st.query_params.get("datum", "")
    return found.of(int(text) if text.isdecimal() else -1)


def pick_datum(found: Found) -> int:
    """Asks for a datum by its number; a click in a figure chooses one too."""
    row = chosen(found)
    st.session_state["datum-picked"] = int(found.index[row])
    st.number_input(
        "Datum",
        int(found.index.min()),
        int(found.index.max()),
        key="datum-picked",
        on_change=lambda: choose(st.session_state["datum-picked"]),
        help="Its number in the set; a click on a point of a figure of this page chooses one too.",
    )
    return row


def choose(index: int) -> None:
    """Makes a datum the chosen one."""
    st.query_params["datum"] = str(index)


def _clicked(key: str) -> None:
    """Takes the datum of the clicked point."""
    for point in st.session_state[key].selection.points[:1]:
        index = point.get("customdata")
        if index is not None:
            choose(int(np.ravel(index)[0]))


def clickable(figure: go.Figure, key: str, alt: str) -> None:
    """Draws a figure whose points choose a datum."""
    st.plotly_chart(
        figure,
        key=key,
        on_select=lambda: _clicked(key),
        selection_mode="points",
        config=PLAIN,
        alt=alt,
    )


def figures(found: Found, names: tuple[str, ...]) -> None:
    """Sorted gaps, ELBO against log p(x), and a box for each class."""
    exact = found.exact is not None
    logarithmic = st.toggle("Logarithmic gaps", key="log", bind="query-params")
    spread = gap_figures.sorted_gaps(
        found.index,
        found.sampled - found.bound,
        np.hypot(found.sampled_se, found.bound_error),
        found.trusted,
        found.gap if exact else None,
        found.gap_error if exact else None,
        logarithmic=logarithmic,
    )
    clickable(spread, f"gaps-{logarithmic}", "The gap of each datum, the largest first")
    widgets.look_for(what_the_gaps_say(found))
    left, right = st.columns(2)
    with left:
        st.markdown("**ELBO against log p(x)**")
        scatter = gap_figures.against(
            found.index,
            found.log_p,
            found.log_p_error,
            found.bound,
            found.bound_error,
            found.labels,
            names,
            trusted=found.trusted,
            exact=exact,
        )
        clickable(scatter, "against", "ELBO against log p(x), a point for each datum")
        widgets.look_for(
            "No point lies above the diagonal, but for its error bar: the ELBO is a lower bound. "
            "How far it lies below is its gap; hollow points are those whose importance-sampled "
            "value is not to be trusted."
        )
    with right:
        st.markdown("**The gap of each class**")
        boxes = gap_figures.by_class(found.index, found.gap, found.labels, names)
        clickable(boxes, "boxes", "The gap of each class as a box")
        widgets.look_for(
            "The line in a box is the median, the box holds the middle half, points are outliers. "
            "A class that lies higher is one whose posteriors the encoder fits worse."
        )


def what_the_gaps_say(found: Found) -> str:
    """What to look for in the sorted gaps, with their numbers."""
    half = evidence.half_of_the_gap(found.gap)
    text = (
        f"In the middle the gap is {np.median(found.gap):.2f} nats, at worst "
        f"{found.gap.max():.1f}: half of all of it lies in the worst **{half:.1%}** of the data. "
        f"Hollow triangles ({int((~found.trusted).sum())} of {len(found.index)}) are not to be "
        "trusted. "
    )
    if found.exact is not None:
        full = found.trusted & evidence.falls_short(found)
        return text + (
            "Where a triangle hangs far below its dot, importance sampling missed part of the "
            f"posterior. So do **{int(full.sum())}** full ones, by more than 0.1 nats and three "
            "standard errors: k̂ judges only the draws that were made."
        )
    return text + "A triangle points upwards because the true gap is at least as large, on average."


def atlas(run: Run, ask: Evidence, found: Found) -> None:
    """The latent map coloured by a value of each datum, and the chosen one beside it."""
    modes = found.n_modes
    options = [c for c in COLOURS if c != "modes" or modes is not None]
    colour = st.segmented_control(
        "Colour by",
        options,
        default="gap",
        required=True,
        key="atlas",
        bind="query-params",
        format_func=COLOURS.get,
    )
    values = {"gap": found.gap, "modes": modes, "k_hat": found.pareto_k}
    titles = {"gap": "gap (nats)", "modes": "modes", "k_hat": "k̂"}
    at, axes = _places(run, found, values[colour], titles[colour])
    figure = gap_figures.atlas(
        found.index, at, values[colour], titles[colour], axes, counts=colour == "modes"
    )
    left, right = st.columns([5, 1])
    with left:
        name = f"Means of q in the latent space, coloured by {COLOURS[colour]}"
        clickable(figure, f"atlas-{colour}", name)
    with right:
        row = chosen(found)
        index = int(found.index[row])
        picture = inference_cache.seen(run.id, ask.split, [index])[0]
        label = f"datum {index}, gap {found.gap[row]:.1f} nats"
        st.image(enlarge(picture, 140), caption=label, width=140)
        widgets.link("inference", "Its posterior", **asked(run, ask, found, row))
    widgets.look_for(HINTS[colour])


def _places(
    run: Run, found: Found, value: np.ndarray, title: str
) -> tuple[np.ndarray, tuple[str, str]]:
    """Where the means lie in the plane: of one dimension over the value, of many their PCA."""
    if run.config.latent_dim == 1:
        return np.stack([found.loc[:, 0], value], axis=1), ("z1", title)
    if run.config.latent_dim == 2:
        return found.loc, ("z1", "z2")
    return latent.principal_plane(found.loc).project(found.loc), ("PC 1", "PC 2")


def gallery(run: Run, ask: Evidence, found: Found) -> None:
    """The worst-explained data; a click opens one in Inference."""
    worst = np.argsort(-found.gap)[:WORST]
    for start in range(0, len(worst), COLUMNS):
        rows = worst[start : start + COLUMNS]
        pictures = inference_cache.seen(run.id, ask.split, found.index[rows].tolist())
        empty = np.full((COLUMNS - len(rows), *pictures.shape[1:]), 96, np.uint8)
        strip = latent.mosaic(np.concatenate([pictures, empty])[None])
        cell = sheet(
            f"worst-{start}",
            url=f"data:image/png;base64,{base64.b64encode(latent.png(strip)).decode()}",
            rows=1,
            columns=COLUMNS,
            alt=f"The data of largest gap, from number {start + 1} on",
        )
        _captions([f"{found.index[row]}<br>{found.gap[row]:.1f} nats" for row in rows])
        if cell and cell[1] < len(rows):
            settings = {"split": ask.split} | ({} if ask.epoch is None else {"epoch": ask.epoch})
            datum = str(found.index[rows[cell[1]]])
            widgets.go_to("inference", settings, run=run.id, datum=datum)


def _captions(texts: list[str]) -> None:
    """One line below each picture of a strip."""
    cells = "".join(f"<span>{text}</span>" for text in texts)
    style = f"display:grid;grid-template-columns:repeat({COLUMNS},1fr);text-align:center"
    st.html(f'<div style="{style};font-size:0.85rem">{cells}</div>')


def asked(run: Run, ask: Evidence, found: Found, row: int) -> dict[str, str]:
    """What a link to another page says of a datum; widgets are in a URL by what they show."""
    query = {"run": run.id, "split": widgets.SPLITS[ask.split], "datum": str(found.index[row])}
    return query | ({"epoch": str(ask.epoch)} if ask.epoch is not None else {})
