"""A small app around a plane with a codebook, whose codes and points are known exactly."""

from __future__ import annotations

import numpy as np
import streamlit as st
from canvas_app import decode, png, sprite
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ui import serving
from ui.packing import packed

#: The epochs of the replay.
EPOCHS = 4


def codes(count: int, epoch: int = EPOCHS - 1) -> tuple[np.ndarray, np.ndarray]:
    """Places (count, 2) that spread epoch by epoch, and usage (count,); every ninth is dead."""
    rng = np.random.default_rng(7)
    turn, reach = rng.uniform(0, 2 * np.pi, count), 3.2 * np.sqrt(rng.random(count))
    goal = np.stack([reach * np.cos(turn), reach * np.sin(turn)], axis=1)
    usage = rng.gamma(0.8, size=count)
    usage[::9] = 0
    drawn = 0.25 + 0.75 * epoch / (EPOCHS - 1)
    return (goal * drawn).round(4), usage / usage.sum()


def points(request: Request) -> Response:
    """Answer data around the codes of an epoch, as often as each is used, labelled by angle."""
    count, n = int(request.query_params["codes"]), int(request.query_params["n"])
    places, usage = codes(count, int(request.query_params.get("epoch", EPOCHS - 1)))
    rng = np.random.default_rng(3)
    at = places[rng.choice(count, n, p=usage)] + rng.normal(size=(n, 2)) * 0.16
    label = ((np.arctan2(at[:, 1], at[:, 0]) / np.pi + 1) * 5).astype(int) % 10
    covariance = np.tile([1e-6, 0.0, 1e-6], (n, 1))
    return Response(packed(at, covariance, label), media_type="application/octet-stream")


def blank(request: Request) -> Response:
    """Answer four empty pictures."""
    return png(np.zeros((56, 56), np.uint8))


app = st.App(
    "codes_page.py",
    routes=[
        serving.route,
        Route("/api/decode", decode),
        Route("/api/sprite", sprite),
        Route("/api/blank", blank),
        Route("/api/points", points),
    ],
)
