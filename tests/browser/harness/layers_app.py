"""A small app around the plane with all its layers, whose heat map is known exactly."""

from __future__ import annotations

import numpy as np
import streamlit as st
from canvas_app import decode, png, points, sprite
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ui import serving

NODES = 161
EXTENT = (-4.0, 4.0, -4.0, 4.0)


def density(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A bent hill at (0, 1) and a round one at (1.5, −1.4)."""
    bent = np.exp(-((x / 0.9) ** 2) - ((y - 1 + 0.5 * x**2) / 0.3) ** 2)
    return bent + 0.6 * np.exp(-((x - 1.5) ** 2 + (y + 1.4) ** 2) / (2 * 0.2**2))


def heat(request: Request) -> Response:
    """Answer the density, largest y first, or a box of ones at a corner if so asked."""
    if request.query_params.get("fail") == "1":
        return PlainTextResponse("this posterior is not there yet.", status_code=503)
    xs = np.linspace(EXTENT[0], EXTENT[1], NODES)
    ys = np.linspace(EXTENT[3], EXTENT[2], NODES)
    values = density(*np.meshgrid(xs, ys))
    return png(np.round(255 * values / values.max()).astype(np.uint8))


app = st.App(
    "layers_page.py",
    routes=[
        serving.route,
        Route("/api/decode", decode),
        Route("/api/sprite", sprite),
        Route("/api/points", points),
        Route("/api/heat", heat),
    ],
)
