"""The Inference page's dealings with people: what is asked, and what stands in the plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import numpy as np
import streamlit as st

from ui import inference_cache, places, posteriors, widgets
from ui.inference_figures import ENCODER, OWN, PRIOR
from ui.posteriors import Gaussian, Subject
from vae.runs import Run

#: What one may do with a datum.
VIEWS = {
    "posterior": "Posterior and q",
    "race": "SVI race",
    "hands": "Hands on q",
    "families": "Families",
    "erase": "Rub out evidence",
    "draw": "Draw a digit",
}


def pick() -> tuple[Run, Subject]:
    """Asks for a run, an epoch and a datum; all of it is kept in the URL."""
    notices = st.container()
    first, second, third, fourth, fifth = st.columns([3, 2, 2, 2, 2], vertical_alignment="bottom")
    with first:
        run = widgets.pick_run(notices)
    with second:
        epoch = widgets.pick_weights(run)
    with third:
        split = widgets.pick_split()
    most = inference_cache.size(run.id, split) - 1
    asked = st.query_params.get("datum", "")
    index = min(int(asked), most) if asked.isdecimal() else 0
    if asked and asked != str(index):
        notices.info(
            f"There is no datum {widgets.plain(asked)} here: datum {index} is shown instead."
        )
        st.query_params["datum"] = str(index)
    st.session_state["inference-datum"] = index
    fourth.number_input(
        "Datum",
        0,
        most,
        key="inference-datum",
        on_change=lambda: choose(st.session_state["inference-datum"]),
        help="Its number in the set. A click on a point in the plane chooses one too.",
    )
    fifth.button(
        "Random",
        icon=":material/casino:",
        on_click=lambda: choose(int(np.random.default_rng().integers(most + 1))),
        width="stretch",
    )
    return run, Subject(run.id, epoch, f"{split}:{st.session_state['inference-datum']}")


def choose(index: int) -> None:
    """Makes a datum the chosen one, and forgets what was done to the last."""
    st.query_params["datum"] = str(index)
    for done in ("seen", "start"):
        st.query_params.pop(done, None)


def take(pick: dict[str, Any], *, racing: bool) -> bool:
    """A click in the plane: a point chooses its datum, in a race any place a start."""
    if racing:
        st.query_params["start"] = ",".join(f"{v:.3f}" for v in pick["p"])
        return True
    if pick.get("index") is None:
        return False
    choose(int(pick["index"]))
    return True


def window(
    subject: Subject, ellipses: Sequence[dict[str, Any]]
) -> tuple[float, float, float, float]:
    """A square that holds the posterior, and three deviations of each q."""
    x0, x1, y0, y1 = posteriors.extent(subject)
    for q in ellipses:
        (x, y), (xx, _, yy) = q["p"], q["cov"]
        x0, x1 = min(x0, x - 3 * xx**0.5), max(x1, x + 3 * xx**0.5)
        y0, y1 = min(y0, y - 3 * yy**0.5), max(y1, y + 3 * yy**0.5)
    half = max(x1 - x0, y1 - y0) / 2
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    return tuple(round(float(v), 5) for v in (x - half, x + half, y - half, y + half))


def density(q: dict[str, Any], z: np.ndarray) -> np.ndarray:
    """The density of a Gaussian over the first latent dimension."""
    variance = q["cov"][0]
    return np.exp(-0.5 * (z - q["p"][0]) ** 2 / variance) / np.sqrt(2 * np.pi * variance)


def ellipse(q: Gaussian, label: str, colour: str, *, dash: bool = False) -> dict[str, Any]:
    """A Gaussian as the plane draws it."""
    return {**_gaussian(q), "colour": colour, "label": label, "dash": dash}


def _gaussian(q: Gaussian) -> dict[str, list[float]]:
    """Mean and covariance as the plane takes them; of one dimension, the second is idle."""
    if len(q.loc) == 1:
        return {"p": [float(q.loc[0]), 0.0], "cov": [float(q.covariance[0, 0]), 0.0, 1e-6]}
    (xx, xy), (_, yy) = q.covariance
    return {"p": [float(v) for v in q.loc], "cov": [float(v) for v in (xx, xy, yy)]}


def handle(q: Gaussian, key: str) -> dict[str, Any]:
    """A Gaussian to drag, stretch and turn."""
    return {**_gaussian(q), "colour": OWN, "label": "your q", "key": key}


def plane_data(
    run: Run,
    subject: Subject,
    view: tuple[float, float, float, float],
    **overlays: Any,
) -> dict[str, Any]:
    """What the plane shows: the posterior as a heat map, under everybody's points."""
    split = subject.source.partition(":")[0]
    split = split if split in widgets.SPLITS else "held_out"
    data = places.plane_data(places.view(run, split, "labels", "0,1", None))
    ask = {"stamp": subject.stamp, "window": ",".join(map(str, view)), **subject._asdict()}
    truth = posteriors.truth(subject)
    data |= {
        "heat": {
            "url": f"/api/posterior?{urlencode({k: v for k, v in ask.items() if v is not None})}",
            "extent": list(view),
            "title": "posterior density, square-root scale",
        },
        "view": list(view),
        "view_key": f"{subject}-{view}",
        "picks": [],
        "paths": [],
        "marks": [
            {"p": [float(v) for v in mode], "label": f"mode {i + 1}", "shape": "cross"}
            for i, mode in enumerate(truth.modes)
        ],
    }
    if subject.epoch is not None:  # points, backdrop and pictures are those of the newest model
        data |= {"points": None, "backdrop": None, "decode": None}
    return data | overlays


def race(subject: Subject) -> dict[str, Any]:
    """The ways of two or three q towards the posterior, as the plane plays them."""
    clicked = _start()
    path = posteriors.race(subject, clicked)
    runners = (
        ("from the encoder", ENCODER),
        ("from the prior", PRIOR),
        ("from your click", OWN),
    )
    tracks = []
    for i in range(path.elbo.shape[1]):
        label, colour = runners[i]
        xx, xy, yy = (path.covariance[:, i, a, b] for a, b in ((0, 0), (0, 1), (1, 1)))
        frames = np.column_stack([path.loc[:, i], xx, xy, yy])
        tracks.append(
            {
                "label": label,
                "colour": colour,
                "frames": frames.round(6).tolist(),
                "elbo": path.elbo[:, i].round(4).tolist(),
            }
        )
    return {
        "key": f"{subject}-{clicked}",
        "tracks": tracks,
        "top": posteriors.truth(subject).log_evidence,
        "cap": max(posteriors.best_elbo(subject, "diagonal")[0], float(path.elbo[-1].max())),
        "steps_per_frame": 1,
    }


def _start() -> str | None:
    """The place that was clicked to start from, if it is one."""
    text = st.query_params.get("start", "")
    try:
        place = [float(part) for part in text.split(",")]
    except ValueError:
        return None
    return (
        text
        if len(place) == 2 and np.isfinite(place).all() and max(map(abs, place)) < 100
        else None
    )
