"""The frames of a replay: where the same held-out data lay after each epoch that was kept."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import numpy as np

from ui import cache, inference_cache, places
from ui.tools.view import View
from vae import latent, runs
from vae.runs import Run
from vae.snapshots import GRID_NODES, GRID_RADIUS

#: What is known of the data of a past epoch.
COLOURS = ("labels", "rate")


def epochs(run: Run) -> list[int]:
    """The epochs that can be shown, in order; the last one is the newest where its data are those
    of the others."""
    kept = [epoch for epoch in runs.snapshots(run.id) if epoch <= run.epoch]
    if kept and kept[-1] < run.epoch and same_data(run, kept[-1]):
        kept.append(run.epoch)
    return kept


def same_data(run: Run, epoch: int) -> bool:
    """Whether the held-out data at hand begin with those of an epoch: the bundled cut of MNIST
    stands in for all of it."""
    then = cache.snapshot(run.id, epoch).labels
    return np.array_equal(cache.points(run.id, "held_out").labels[: len(then)], then)


def frames(view: View, newest: dict[str, Any]) -> list[dict[str, Any]]:
    """The frames as the plane takes them; the newest is like ``newest``, what the plane shows."""
    run, kept = view.run, set(runs.snapshots(view.run.id))
    ask: dict[str, Any] = {"run": run.id, "axes": view.axes}
    if view.axes == "pca":
        ask["stamp"] = runs.stamp(run.id)  # the axes are those of the newest means
    own: dict[str, Any] = {}
    if view.label is not None:
        own["y"] = view.label
    if run.config.latent_dim > 2:
        own["at"] = places.written(view.where.origin)
    past, found = set(runs.past(run.id)), []
    for epoch in epochs(run):
        points: dict[str, Any] = {"colour": view.colour, "epoch": epoch}
        if epoch not in kept:
            first = len(cache.snapshot(run.id, min(kept)).labels)
            points = {"colour": view.colour, "first": first, "stamp": runs.stamp(run.id)}
        frame = {"label": f"epoch {epoch}", "points": _url("points", ask | points)}
        if epoch == run.epoch:
            frame |= {"backdrop": newest["backdrop"], "decode": newest["decode"]}
        else:
            decode = _url("decode", ask | own | {"epoch": epoch}) if epoch in past else ""
            frame |= {"backdrop": _backdrop(view, epoch), "decode": decode}
        found.append(frame)
    return found


def _backdrop(view: View, epoch: int) -> dict[str, Any] | None:
    """The decoded plane as it was, if that plane was kept."""
    if not has_grid(view, epoch):
        return None
    run, nodes = view.run, latent.nodes(GRID_NODES, GRID_RADIUS).tolist()
    ask = {"run": run.id, "epoch": epoch}
    if view.label is not None:
        ask["y"] = view.label
    tile = list(run.config.shape[1:]) if len(run.config.shape) == 3 else [32, 32]
    return {"url": _url("sprite", ask), "xs": nodes, "ys": nodes, "tile": tile}


def has_grid(view: View, epoch: int) -> bool:
    """Whether a snapshot has pictures of this plane: of its axes, and through z = 0."""
    axes = ",".join(map(str, cache.snapshot(view.run.id, epoch, view.label).axes))
    return axes == view.axes and not np.abs(view.where.origin).max() > 0


def _url(route: str, ask: dict[str, Any]) -> str:
    """Where the server answers."""
    return f"/api/{route}?{urlencode(ask)}"


def decode(run_id: str, epoch: int, z: np.ndarray, label: int | None) -> np.ndarray:
    """Pictures of latents (*, D) by the weights of a past epoch: uint8 (*, H, W).

    Raises:
        RunError: If they were not kept.
    """
    model = inference_cache.run_at(run_id, epoch).model
    return latent.decode_pictures(model.given(label or 0), z)
