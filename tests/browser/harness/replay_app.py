"""A small app around a replay of five epochs, whose points and pictures are known exactly."""

from __future__ import annotations

import numpy as np
import streamlit as st
from canvas_app import png
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ui import serving
from ui.packing import packed

N = 200


def points(request: Request) -> Response:
    """Answer datum 0 at (epoch − 2, −1.5) with a width that grows, all others far below at rest."""
    epoch = int(request.query_params["epoch"])
    if request.query_params.get("fail") == str(epoch):
        return PlainTextResponse("this epoch was not kept.", status_code=404)
    at = np.full((N, 2), -3.5)
    at[0] = epoch - 2, -1.5
    covariance = np.tile([0.01, 0.0, 0.01], (N, 1)) * (1 + epoch)
    labels = np.ones(N, int)
    labels[0] = 5
    return Response(packed(at, covariance, labels), media_type="application/octet-stream")


def sprite(request: Request) -> Response:
    """Answer four pictures of one grey, 30 brighter each epoch."""
    grey = 30 * (1 + int(request.query_params["epoch"]))
    return png(np.full((56, 56), grey, np.uint8))


def decode(request: Request) -> Response:
    """Answer a picture of one grey, 10 above that of the sprite."""
    grey = 30 * (1 + int(request.query_params["epoch"])) + 10
    return png(np.full((28, 28), grey, np.uint8))


app = st.App(
    "replay_page.py",
    routes=[
        serving.route,
        Route("/api/points", points),
        Route("/api/sprite", sprite),
        Route("/api/decode", decode),
    ],
)
