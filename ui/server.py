"""What lives as long as the server: the jobs, the heavy imports, and the /api routes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from collections.abc import AsyncIterator

import numpy as np
import torch
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ui import (
    cache,
    code_routes,
    colours,
    fields,
    frames,
    jobs,
    posteriors,
    posters,
    prints,
    serving,
    traversals,
)
from ui.answering import FOREVER, QUICK, BadRequest, answer, numbers, one_of, whole
from ui.packing import packed
from vae import owners, runs
from vae.config import RunConfig
from vae.model import flops_per_datum


@contextlib.asynccontextmanager
async def lifespan(app: object) -> AsyncIterator[dict[str, object]]:
    """Starts the workers beside the server and ends them with it."""
    torch.set_num_threads(1)
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # runs in a read-only folder can still be looked at
            stack.callback(owners.serve().release)
            owners.reconcile()
            runs.empty_trash()
        threading.Thread(target=_warm_up, daemon=True).start()
        try:
            yield {}
        finally:
            await asyncio.to_thread(jobs.stop)


def _warm_up() -> None:
    """Does once what would make people wait later, while the first page is on its way.

    Streamlit collects garbage after every rerun: what is loaded and frozen now need not be looked
    at then. The workers come last, for they want both cores for some seconds.
    """
    import pandas  # noqa: F401
    import plotly.graph_objects  # noqa: F401
    import sklearn.decomposition  # noqa: F401

    flops_per_datum(RunConfig())  # the meta device takes seconds to come up
    gc.collect()
    gc.freeze()
    jobs.start()


def _points(request: Request) -> Response:
    """Points of the plane, as ``packed`` makes them."""
    ask = request.query_params
    run_id, split = ask.get("run", ""), one_of(ask.get("split", "held_out"), "held_out", "train")
    epoch = _epoch(ask.get("epoch"))
    colour = one_of(ask.get("colour", "labels"), *colours.COLOURS)
    if colour == "elbo" and epoch is not None:
        raise BadRequest("The ELBO of each datum is known for the newest epoch only.")
    axes = _axes(run_id, ask.get("axes", "0,1"), tsne=epoch is None)
    shown = cache.points(run_id, split, epoch)
    where = cache.plane(run_id, axes)
    at = where.project(shown.loc) if epoch is not None else cache.seen(run_id, split, axes)
    values = colours.values(run_id, split, colour, epoch)[: len(at)]
    values = values[: whole(ask.get("first"), "A number of points")]
    covariance = where.covariance(shown.scale, shown.covariance)[: len(values)]
    body = packed(at[: len(values)], covariance, values)
    return Response(body, media_type="application/octet-stream", headers=FOREVER)


def _sprite(request: Request) -> Response:
    """The decoded plane as one PNG."""
    ask = request.query_params
    run_id, epoch = ask.get("run", ""), _epoch(ask.get("epoch"))
    if epoch is not None:
        grid = cache.snapshot(run_id, epoch, _label(run_id, ask.get("y"))).grid
        return Response(grid, headers=FOREVER)
    axes = _axes(run_id, ask.get("axes", "0,1"))
    n, radius = numbers(f"{ask.get('n', 21)},{ask.get('radius', 3)}", 2)
    if not (2 <= n <= 41 and 0 < radius <= 1e3):
        raise BadRequest("A grid has 2 to 41 nodes a side, and a radius above 0.")
    spacing = one_of(ask.get("spacing", "z"), "z", "quantile", "bent")
    at = _at(run_id, ask.get("at"))
    label = _label(run_id, ask.get("y"))
    png = cache.sprite(run_id, axes, at, int(n), float(radius), spacing, label=label)
    return Response(png, media_type="image/png", headers=FOREVER)


def _field(request: Request) -> Response:
    """A field over the plane as a grey PNG; the header X-Range says what 0 and 255 stand for."""
    ask = request.query_params
    run_id, name = ask.get("run", ""), one_of(ask.get("name", ""), *fields.NAMES)
    split = one_of(ask.get("split", "held_out"), "held_out", "train")
    axes = _axes(run_id, ask.get("axes", "0,1"))
    radius = float(numbers(ask.get("radius", "3"), 1)[0])
    if axes == "tsne" or runs.read_config(run_id).latent_dim < 2 or radius <= 0:
        raise BadRequest("A field needs a plane through the latent space, and a radius above 0.")
    at = _at(run_id, ask.get("at"))
    through = None if at is None else tuple(at.tolist())
    label = _label(run_id, ask.get("y"))
    found = fields.field(fields.Asked(run_id, name, split, axes, through, label, radius))
    headers = {**FOREVER, "X-Range": f"{found.low:.4f},{found.high:.4f}"}
    return Response(found.png, media_type="image/png", headers=headers)


def _poster(request: Request) -> Response:
    """The decoded plane as a sheet of pictures, bright on black or dark on white."""
    from vae.latent import mosaic, png

    ask = request.query_params
    run_id, most = ask.get("run", ""), posters.MOST
    asked = f"{ask.get('rows', 15)},{ask.get('columns', 15)},{ask.get('radius', 3)}"
    rows, columns, radius = numbers(asked, 3)
    if not (1 <= rows <= most and 1 <= columns <= most and 0 < radius <= 1e3):
        raise BadRequest(f"A poster has 1 to {most} rows and columns, and a radius above 0.")
    spacing = one_of(ask.get("spacing", "z"), "z", "quantile")
    layout = posters.Layout(int(rows), int(columns), spacing, float(radius))
    axes, label = _axes(run_id, ask.get("axes", "0,1")), _label(run_id, ask.get("y"))
    pictures = posters.pictures(run_id, axes, _at(run_id, ask.get("at")), label, layout)
    ground = one_of(ask.get("ground", "dark"), "dark", "light")
    return Response(png(prints.on_ground(mosaic(pictures), ground)), headers=FOREVER)


def _traversal(request: Request) -> Response:
    """One row of pictures a latent dimension, the busiest first."""
    ask = request.query_params
    run_id, rows = ask.get("run", ""), ask.get("rows", "12")
    at = numbers(ask.get("at", ""), cache.run(run_id).config.latent_dim)
    if not rows.isdecimal() or not 1 <= int(rows[:4]) <= len(at):
        raise BadRequest(f"There are 1 to {len(at)} rows: one for each latent dimension.")
    png = traversals.sheet(run_id, at, int(rows[:4]), _label(run_id, ask.get("y")))
    return Response(png, media_type="image/png", headers=FOREVER)


def _posterior(request: Request) -> Response:
    """The true posterior of one datum in a window of the plane, as a grey PNG."""
    ask = request.query_params
    run_id, epoch = ask.get("run", ""), _epoch(ask.get("epoch"))
    subject = posteriors.Subject(run_id, epoch, ask.get("source", ""), ask.get("observed", ""))
    x0, x1, y0, y1 = numbers(ask.get("window", ""), 4).tolist()
    if runs.read_config(run_id).latent_dim != 2 or not (x0 < x1 and y0 < y1):
        raise BadRequest("A window has x0 < x1 and y0 < y1, in a space of two latent dimensions.")
    posteriors.refuse_nonsense(subject)
    png = posteriors.heat(subject, (x0, x1, y0, y1))
    return Response(png, media_type="image/png", headers=FOREVER)


def _decode(request: Request) -> Response:
    """One decoded latent as a PNG: z in full, or p in the plane that axes and at name."""
    from vae.latent import png

    ask = request.query_params
    run_id = ask.get("run", "")
    latent_dim = cache.run(run_id).config.latent_dim
    if "p" in ask:
        axes = _axes(run_id, ask.get("axes", "0,1"), tsne=True)
        z = cache.plane(run_id, axes, _at(run_id, ask.get("at"))).to_latent(numbers(ask["p"], 2))
    else:
        z = numbers(ask.get("z", ""), latent_dim)
    epoch, label = _epoch(ask.get("epoch")), _label(run_id, ask.get("y"))
    if epoch is None:
        picture = cache.decode(run_id, z, label)
    else:
        picture = frames.decode(run_id, epoch, z, label)
    return Response(png(picture), media_type="image/png")


def _at(run_id: str, text: str | None) -> np.ndarray | None:
    """The point that a plane goes through, if one is given."""
    return numbers(text, cache.run(run_id).config.latent_dim) if text else None


def _axes(run_id: str, text: str, *, tsne: bool = False) -> str:
    """The name of a plane, checked; a t-SNE is none, and has no coordinates to decode."""
    latent_dim = runs.read_config(run_id).latent_dim
    if latent_dim > 2 and (text == "pca" or (tsne and text == "tsne")):
        return text
    first, second = numbers(text, 2)
    if not (0 <= first < max(2, latent_dim) and 0 <= second < max(2, latent_dim)):
        raise BadRequest(f"This run has {latent_dim} latent dimensions, counted from 0.")
    return f"{int(first)},{int(second)}"


def _label(run_id: str, text: str | None) -> int | None:
    """What a conditional model is told, if a label is given."""
    if text is None:
        return None
    n = len(cache.label_names(run_id))
    if not text.isdecimal() or len(text) > 3 or int(text) >= n:
        raise BadRequest(f"This run has {n} labels, counted from 0.")
    return int(text)


def _epoch(text: str | None) -> int | None:
    """A past epoch, if one is given."""
    return whole(text, "An epoch")


routes = [
    serving.route,
    Route("/api/points", answer(_points)),
    Route("/api/sprite", answer(_sprite)),
    Route("/api/field", answer(_field)),
    Route("/api/decode", answer(_decode, QUICK)),
    Route("/api/poster", answer(_poster)),
    Route("/api/traversal", answer(_traversal)),
    Route("/api/posterior", answer(_posterior)),
    *code_routes.routes,
]
