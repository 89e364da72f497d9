"""A codebook in a plane: its codes, the encoder's answers around them, and how both moved."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import numpy as np
import streamlit as st
import torch

from ui import cache, codes
from vae import latent, runs
from vae.code_snapshots import N_VECTORS, CodeSnapshot, some_vectors
from vae.config import RunConfig
from vae.latent import Plane
from vae.vq import nearest

#: Nodes a side of the decoded plane.
NODES = 25


def decodes(config: RunConfig) -> bool:
    """Whether a place of the plane is a whole vector, so that it can be decoded."""
    return config.latent_dim == 2 and config.levels == 1 and config.quantiser == "vq"


def cells(config: RunConfig) -> bool:
    """Whether the nearest code in the plane is the nearest code: no dimension is left out, and
    distances are those of the plane."""
    return config.latent_dim == 2 and not config.cosine


def plane(run_id: str, level: int) -> Plane:
    """Code vectors of two dimensions as they are; of more, the principal plane of the codes."""
    book = codes.codebook(run_id, level)
    if book.shape[1] == 2:
        return latent.axes_plane(2, 0, 1)
    return latent.principal_plane(book)


def points(run_id: str, level: int, epoch: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Some encoder outputs in the plane (M, 2), with their labels; of a deeper level what the
    levels before left over."""
    vectors, labels = _vectors(run_id, runs.stamp(run_id), level, epoch)
    return plane(run_id, level).project(vectors), labels


@st.cache_resource(max_entries=60, show_spinner=False)
def _vectors(
    run_id: str, stamp: int, level: int, epoch: int | None
) -> tuple[np.ndarray, np.ndarray]:
    if epoch is not None:
        kept = codes.snapshot(run_id, epoch)
        return left_over(kept.vectors, kept.codebook[:level]), kept.labels
    model, x = codes.model(run_id), codes.examples(run_id, "held_out")
    of = torch.from_numpy(codes.labels(run_id, "held_out"))
    few = x[: max(50, N_VECTORS // model.side**2)]
    vectors, labels = some_vectors(model, few, of, N_VECTORS)
    return left_over(vectors.numpy(), model.quantiser.codebook[:level].numpy()), labels.numpy()


def left_over(vectors: np.ndarray, books: np.ndarray) -> np.ndarray:
    """Vectors (M, D) less the nearest code of each of some levels (l, n_codes, D)."""
    for book in books:
        vectors = vectors - book[nearest(*map(torch.from_numpy, (vectors, book))).numpy()]
    return vectors


def extent(run_id: str, level: int) -> tuple[float, float, float, float]:
    """The window that shows all live codes and almost all vectors."""
    at, _ = points(run_id, level, None)
    every = np.concatenate([at, plane(run_id, level).project(codes.codebook(run_id, level))])
    low, high = np.quantile(every, [0.002, 0.998], axis=0)
    half = max(1e-3, float((high - low).max()) / 2 * 1.08)
    (x, y) = (low + high) / 2
    return x - half, x + half, y - half, y + half


def nodes(run_id: str) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows of the decoded plane."""
    x0, x1, y0, y1 = extent(run_id, 0)
    return np.linspace(x0, x1, NODES).round(4), np.linspace(y0, y1, NODES).round(4)


def decode(run_id: str, places: np.ndarray) -> np.ndarray:
    """Pictures of vectors of the plane (*, 2), each everywhere in a map: uint8 (*, h, w)."""
    model = codes.model(run_id)
    z = torch.as_tensor(places, dtype=torch.float32).reshape(-1, 1, 1, 2)
    with torch.no_grad():
        found = latent.picture(model.decode_vectors(z.expand(-1, model.side, model.side, -1)))
    return found.reshape(*places.shape[:-1], *found.shape[1:])


def data(run_id: str, level: int, selected: int | None, *, replayed: bool) -> dict[str, Any]:
    """What the plane is given; with ``replayed`` the frames of the training."""
    config, stamp = codes.run(run_id).config, runs.stamp(run_id)
    where, ask = plane(run_id, level), {"run": run_id, "level": level, "stamp": stamp}
    book = where.project(codes.codebook(run_id, level))
    usage = codes.spending(run_id, "held_out").share[level]
    near = [] if selected is None else codes.neighbours(run_id, level, selected)[0].tolist()
    window = [round(float(v), 4) for v in extent(run_id, level)]
    names = ["PC 1", "PC 2"] if config.latent_dim > 2 else ["e1", "e2"]
    xs, ys = nodes(run_id) if decodes(config) else ([], [])
    backdrop = {
        "url": f"/api/vq/ground?{urlencode(ask)}",
        "xs": list(map(float, xs)),
        "ys": list(map(float, ys)),
        "tile": list(config.shape[1:]) if len(config.shape) == 3 else [32, 32],
    }
    found = {
        "points": {
            "url": f"/api/vq/points?{urlencode(ask)}",
            "mode": "label",
            "labels": list(cache.label_names(run_id)),
            "title": "Label of the image",
            "range": [0, 1],
        },
        "backdrop": backdrop if decodes(config) else None,
        "decode": f"/api/vq/place?{urlencode(ask)}" if decodes(config) else None,
        "decoded": "decoded, a place between codes" if config.map_side == 1 else "everywhere",
        "axes": names,
        "view": window,
        "view_key": f"{run_id} {level}",
        "picks": [],
        "prior": False,
        "unit": "",
        "layers": {"points": True, "backdrop": decodes(config)},
        "codes": {
            "places": book.round(4).tolist(),
            "usage": usage.round(6).tolist(),
            "cells": cells(config),
            "title": "Codes",
            "selected": selected,
            "neighbours": near,
            "trails": None,
            "unit_note": f"Counted over the first {len(codes.examples(run_id, 'held_out')):,} "
            "held-out data.",
        },
    }
    if replayed and (frames := _frames(run_id, level, where)):
        found["replay"] = {"key": f"{run_id} {level}", "frames": frames, "start": len(frames) - 1}
        found |= {"backdrop": None, "decode": None}  # of the newest weights only
        found["layers"] = {"points": True, "backdrop": False}
    return found


def epochs(run_id: str) -> list[int]:
    """The epochs whose codebook was kept, in order."""
    return runs.snapshots(run_id)


def _frames(run_id: str, level: int, where: Plane) -> list[dict[str, Any]]:
    """The codebook after each epoch that was kept, in the plane of the newest."""
    found = []
    for epoch in epochs(run_id):
        kept: CodeSnapshot = codes.snapshot(run_id, epoch)
        share = kept.counts[level] / max(1, kept.counts[level].sum())
        ask = {"run": run_id, "level": level, "epoch": epoch, "stamp": runs.stamp(run_id)}
        found.append(
            {
                "label": f"epoch {epoch}",
                "points": f"/api/vq/points?{urlencode(ask)}",
                "backdrop": None,
                "decode": "",
                "codes": {
                    "places": where.project(kept.codebook[level]).round(4).tolist(),
                    "usage": share.round(6).tolist(),
                },
            }
        )
    return found
