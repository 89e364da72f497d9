"""A small app around the latent plane, with made-up routes whose answers are known exactly."""

from __future__ import annotations

import io
import time

import numpy as np
import streamlit as st
from PIL import Image
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ui import serving
from ui.packing import packed

SIDE = 28
GRID = 41
EXTENT = (-4.0, 4.0, -4.0, 4.0)


def nodes(bent: bool) -> np.ndarray:
    """The grid's columns, and its rows: evenly from -4 to 4, or denser in the middle."""
    t = np.linspace(-1, 1, GRID)
    return 4 * (np.sinh(1.5 * t) / np.sinh(1.5) if bent else t)


def picture(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Draw a ring whose width and slant follow the place, with shape (*x.shape, 28, 28)."""
    x, y = np.asarray(x)[..., None, None], np.asarray(y)[..., None, None]
    v, u = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    u = u + 0.18 * y * v
    radius = np.hypot(u / (1.2 + 6.5 / (1 + np.exp(-1.2 * x))), v / (8.5 + 0.5 * np.sin(y)))
    ink = np.exp(-(((radius - 1) / 0.22) ** 2)) * (np.abs(v) < 11)
    return np.round(255 * ink).astype(np.uint8)


def png(pixels: np.ndarray) -> Response:
    """Answer grey pixels."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return Response(buffer.getvalue(), media_type="image/png")


def decode(request: Request) -> Response:
    """Answer the picture at p, slowly on the left if so asked, or a sentence instead."""
    if request.query_params.get("fail") == "1":
        return PlainTextResponse("the run was deleted.", status_code=404)
    x, y = (float(v) for v in request.query_params["p"].split(","))
    if request.query_params.get("slow") == "1" and x < 0:
        time.sleep(0.7)
    return png(picture(np.float64(x), np.float64(y)))


def sprite(request: Request) -> Response:
    """Answer the mosaic, largest y first."""
    if request.query_params.get("fail") == "1":
        return PlainTextResponse("the grid is not there yet.", status_code=503)
    side = nodes(request.query_params.get("bent") == "1")
    tiles = picture(*np.meshgrid(side, side[::-1]))
    return png(tiles.transpose(0, 2, 1, 3).reshape(GRID * SIDE, GRID * SIDE))


def field(request: Request) -> Response:
    """Answer values that rise from left to right, or from below: black is lo, white is hi."""
    if request.query_params.get("fail") == "1":
        return PlainTextResponse("this decoder has no metric.", status_code=400)
    rise = np.round(np.linspace(0, 255, 33)).astype(np.uint8)
    across = np.tile(rise, (33, 1))
    if request.query_params["of"] != "across":
        return png(across.T[::-1].copy())
    answer = png(across)
    answer.headers["X-Range"] = "-3.5,1.25"
    return answer


def points(request: Request) -> Response:
    """Answer n points in clusters, one a label; datum 0 lies alone at (3.2, −3.2)."""
    n = int(request.query_params.get("n", 10_000))
    labels = int(request.query_params.get("labels", 10))
    rng = np.random.default_rng(0)
    label = rng.integers(labels, size=n)
    turn = 2 * np.pi * label / labels
    reach = 1.3 + 0.5 * (label % 2)
    noise = rng.normal(size=(2, n)) * 0.28
    x, y = reach * np.cos(turn) + noise[0], reach * np.sin(turn) + noise[1]
    x[0], y[0], label[0] = 3.2, -3.2, 0
    scale_x, scale_y = 0.05 + 0.1 * rng.random((2, n))
    sxy = 0.6 * scale_x * scale_y
    value = label if request.query_params.get("mode") != "value" else -140 - 12 * np.hypot(x, y)
    body = packed(np.stack([x, y], 1), np.stack([scale_x**2, sxy, scale_y**2], 1), value)
    return Response(body, media_type="application/octet-stream")


app = st.App(
    "canvas_page.py",
    routes=[
        serving.route,
        Route("/api/decode", decode),
        Route("/api/sprite", sprite),
        Route("/api/points", points),
        Route("/api/field", field),
    ],
)
