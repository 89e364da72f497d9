"""A small app around a code map, whose routes answer what is known exactly."""

from __future__ import annotations

import io

import numpy as np
import streamlit as st
from PIL import Image
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ui import serving

SIDE = 28
N = 128

#: How often a decode must still fail, and with which status.
trouble = {"left": 0, "status": 503}


def codes_of(datum: int, levels: int, side: int) -> np.ndarray:
    """The encoder's choice for an image, with shape (L, H, W): 7 more from cell to cell."""
    first = np.arange(levels * side * side) * 7 + 11 * datum + 3
    return (first % N).reshape(levels, side, side)


def brightness(codes: np.ndarray) -> np.ndarray:
    """The picture of a map: each cell as bright as its codes are large, with shape (28, 28)."""
    share = codes.mean(0) / (N - 1)
    where = np.arange(SIDE) * codes.shape[1] // SIDE
    return np.round(255 * share[where][:, where]).astype(np.uint8)


def nats(codes: np.ndarray) -> tuple[float, float]:
    """The log-likelihood: minus all codes; and log p(codes): uniform."""
    return -float(codes.sum()), -float(codes.size * np.log(N))


def png(pixels: np.ndarray, headers: dict[str, str] | None = None) -> Response:
    """Answer pixels."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return Response(buffer.getvalue(), media_type="image/png", headers=headers)


def shape(request: Request) -> tuple[int, int, int]:
    """Datum, levels and side that an address names."""
    asked = request.query_params
    return int(asked["index"]), int(asked["levels"]), int(asked["side"])


def decode(request: Request) -> Response:
    """Answer the picture of the codes, or trouble."""
    if trouble["left"] > 0 and "codes" in request.query_params:
        trouble["left"] -= 1
        return PlainTextResponse("the model is busy.", status_code=trouble["status"])
    _, levels, side = shape(request)
    text = request.query_params["codes"].split(",")
    codes = np.array([int(code) for code in text]).reshape(levels, side, side)
    likelihood, prior = nats(codes)
    headers = {"X-Log-Likelihood": f"{likelihood:.3f}", "X-Log-Prior": f"{prior:.3f}"}
    return png(brightness(codes), headers)


def fail(request: Request) -> Response:
    """Have the next decodes fail."""
    trouble["left"] = int(request.query_params["times"])
    trouble["status"] = int(request.query_params["status"])
    return PlainTextResponse("so be it")


def distances(request: Request) -> Response:
    """Answer (code − choice)² / 100, and a tenth more for those above."""
    own = codes_of(*shape(request))[..., None]
    code = np.arange(N)
    squared = (code - own) ** 2 / 100 * np.where(code > own, 1.1, 1)
    return Response(squared.astype("<f4").tobytes(), media_type="application/octet-stream")


def palette(request: Request) -> Response:
    """Answer 128 patches of 8 × 8, 16 a row: a disc that grows and brightens with the code."""
    v, u = np.mgrid[:8, :8] - 3.5
    code = np.arange(N)[:, None, None]
    turn = np.cos(2 * np.pi * code / 9) * u + np.sin(2 * np.pi * code / 9) * v
    tiles = np.round(255 / (1 + np.exp(-turn - (code - 64) / 24))).astype(np.uint8)
    return png(tiles.reshape(8, 16, 8, 8).transpose(0, 2, 1, 3).reshape(64, 128))


def picture(request: Request) -> Response:
    """Answer a picture of the pipeline: the input is the reconstruction but for a bright bar."""
    codes = codes_of(*shape(request))
    share = codes.mean(0) / (N - 1)
    colour = np.stack([share, 1 - share, 0.5 + 0 * share], -1)
    which = int(request.query_params["of"])
    if which in (1, 2):
        return png(np.round(255 * colour).astype(np.uint8))
    pixels = brightness(codes)
    if which == 0:
        pixels[4:8, 4:24] = 250
    return png(pixels)


app = st.App(
    "codemap_page.py",
    routes=[
        serving.route,
        Route("/api/vq/decode", decode),
        Route("/api/vq/distances", distances),
        Route("/api/vq/palette", palette),
        Route("/fake/picture", picture),
        Route("/fake/fail", fail),
    ],
)
