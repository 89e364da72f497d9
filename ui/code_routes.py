"""The /api/vq routes: pictures, distances and points of a VQ-VAE, for the browser."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ui import code_plane, codes
from ui.answering import FOREVER, QUICK, BadRequest, answer, numbers, one_of, whole
from ui.packing import packed
from vae.evaluate import Split
from vae.latent import in_square, mosaic, png


def _datum(request: Request) -> tuple[str, Split, int]:
    """Which datum is asked about."""
    ask = request.query_params
    run_id, split = ask.get("run", ""), one_of(ask.get("split", "held_out"), "held_out", "train")
    codes.run(run_id)
    index, n = whole(ask.get("index") or "0", "A datum"), len(codes.examples(run_id, split))
    if index >= n:
        raise BadRequest(f"There are {n:,} data, counted from 0.")
    return run_id, split, index


def _level(run_id: str, text: str | None) -> int:
    """One of the levels of a run's codes."""
    level, levels = whole(text or "0", "A level"), codes.run(run_id).config.levels
    if level >= levels:
        raise BadRequest(f"This run has {levels} levels of codes, counted from 0.")
    return level


def _map(run_id: str, text: str) -> np.ndarray:
    """A whole map (L, H, W) from its codes in a row."""
    config = codes.run(run_id).config
    parts = text.split(",")
    if len(parts) != config.n_latents or not all(p.isdecimal() and len(p) < 6 for p in parts):
        raise BadRequest(f"A map of this run has {config.n_latents} codes, separated by commas.")
    found = np.array(parts, dtype=np.int64)
    if found.max() >= config.n_codes:
        raise BadRequest(f"This run has {config.n_codes} codes, counted from 0.")
    return found.reshape(config.levels, config.map_side, config.map_side)


def _decode(request: Request) -> Response:
    """A map decoded as a PNG; headers say what the bound of the datum is with these codes."""
    run_id, split, index = _datum(request)
    chosen = _map(run_id, request.query_params.get("codes", ""))
    log_likelihood, log_prior = codes.bound_of(run_id, split, index, chosen)
    headers = {"X-Log-Likelihood": f"{log_likelihood:.3f}", "X-Log-Prior": f"{log_prior:.3f}"}
    picture = codes.decode(run_id, chosen[None])[0]
    return Response(png(picture), media_type="image/png", headers=headers)


def _distances(request: Request) -> Response:
    """Squared distances of a datum's vectors to all codes, float32 (L, H, W, n_codes)."""
    run_id, split, index = _datum(request)
    body = codes.distances(run_id, split, index).astype("<f4").tobytes()
    return Response(body, media_type="application/octet-stream", headers=FOREVER)


def _palette(request: Request) -> Response:
    """What each code of a level looks like, row by row in the least square that holds them."""
    run_id = request.query_params.get("run", "")
    tiles = codes.patches(run_id, _level(run_id, request.query_params.get("level")))
    return Response(png(in_square(tiles)), media_type="image/png", headers=FOREVER)


def _small(request: Request) -> Response:
    """The map of a datum in colour, one pixel a cell: what the encoder answers, or the codes."""
    run_id, split, index = _datum(request)
    which = one_of(request.query_params.get("which", "encoder"), "encoder", "quantised")
    found = codes.mapped(run_id, split, index)
    vectors = found.vectors if which == "encoder" else found.quantised
    rgb = codes.as_colours(vectors, codes.reference(run_id))
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "PNG")
    return Response(file.getvalue(), media_type="image/png", headers=FOREVER)


def _picture(request: Request) -> Response:
    """A datum as it is, or as it comes back."""
    run_id, split, index = _datum(request)
    which = one_of(request.query_params.get("which", "original"), "original", "back")
    return Response(png(getattr(codes.mapped(run_id, split, index), which)), headers=FOREVER)


def _points(request: Request) -> Response:
    """Encoder outputs in the plane of the codes, as ``packed`` makes them."""
    ask = request.query_params
    run_id = ask.get("run", "")
    level, epoch = _level(run_id, ask.get("level")), whole(ask.get("epoch"), "An epoch")
    at, labels = code_plane.points(run_id, level, epoch)
    covariance = np.full((len(at), 3), [1e-12, 0.0, 1e-12])
    body = packed(at, covariance, labels)
    return Response(body, media_type="application/octet-stream", headers=FOREVER)


def _ground(request: Request) -> Response:
    """What a map decodes to that has one vector of the plane everywhere, over a grid of them."""
    ask = request.query_params
    run_id = ask.get("run", "")
    if not code_plane.decodes(codes.run(run_id).config):
        raise BadRequest("The plane of this run shows two of more dimensions: it is not decoded.")
    xs, ys = code_plane.nodes(run_id)
    grid = np.stack(np.meshgrid(xs, ys[::-1]), axis=-1)
    body = png(mosaic(code_plane.decode(run_id, grid)))
    return Response(body, media_type="image/png", headers=FOREVER)


def _place(request: Request) -> Response:
    """One vector of the plane, everywhere in a map, decoded."""
    ask = request.query_params
    run_id, p = ask.get("run", ""), numbers(ask.get("p", ""), 2)
    if not code_plane.decodes(codes.run(run_id).config):
        raise BadRequest("The plane of this run shows two of more dimensions: it is not decoded.")
    return Response(png(code_plane.decode(run_id, p)), media_type="image/png")


routes = [
    Route("/api/vq/decode", answer(_decode, QUICK)),
    Route("/api/vq/distances", answer(_distances)),
    Route("/api/vq/palette", answer(_palette)),
    Route("/api/vq/map", answer(_small)),
    Route("/api/vq/picture", answer(_picture)),
    Route("/api/vq/points", answer(_points)),
    Route("/api/vq/ground", answer(_ground)),
    Route("/api/vq/place", answer(_place, QUICK)),
]
